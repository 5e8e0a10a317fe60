"""GPD v1 over HTTP, the switches for rehearsals (`/_faults`, `/_pay`), and a page to look at.

GPD's calls run on the event loop: one fsync each, which are in line anyway, costs less than a hop to another thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field, model_validator

from deploy.simulators.local import LocalOnly
from deploy.simulators.pagopa.book import Book, Position
from deploy.simulators.pagopa.faults import TAKEN, Fault, Faults
from deploy.simulators.pagopa.gateway import Gateway, Throttled
from deploy.simulators.pagopa.page import page
from deploy.simulators.pagopa.problems import Problem, bad_request
from deploy.simulators.pagopa.shapes import PaymentPosition

PRODUCT_PATH = "/gpd/debt-positions-service/v1"
# The external API never tells the debtor back, except to whoever sends the position.
DEBTOR = {
    "fiscalCode", "fullName", "streetName", "civicNumber", "postalCode", "city", "province", "region", "country", "email",
    "phone", "payStandIn", "switchToExpired",
}  # fmt: skip
KEPT = {"organizationFiscalCode", "insertedDate", "publishDate", "lastUpdatedDate"}
ORDER_BY = {"INSERTED_DATE": "insertedDate", "IUPD": "iupd", "STATUS": "status", "COMPANY_NAME": "companyName"}
Status = Literal["DRAFT", "PUBLISHED", "VALID", "INVALID", "EXPIRED", "PARTIALLY_PAID", "PAID", "REPORTED"]
Key = Annotated[str | None, Header(alias="Ocp-Apim-Subscription-Key")]


def application(book: Book, gateway: Gateway, faults: Faults) -> FastAPI:
    """The application over one book."""
    app = FastAPI(title="Simulatore pagoPA (GPD v1)", docs_url="/docs", redoc_url=None)
    app.add_middleware(LocalOnly)
    app.include_router(_gpd(book, gateway), prefix=PRODUCT_PATH)
    app.include_router(_switches(book, faults))

    @app.exception_handler(Problem)
    def _problem(_request: Request, problem: Problem) -> JSONResponse:
        headers = {"X-Request-Id": str(uuid4())}
        if isinstance(problem, Throttled):
            headers |= {"Retry-After": str(problem.seconds), "x-remaining-calls-per-min": "0"}
        return JSONResponse(problem.json(), problem.status, headers)

    @app.exception_handler(RequestValidationError)
    def _malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = sorted({".".join(str(part) for part in each["loc"]) for each in error.errors()})
        return _problem(request, bad_request("Malformed: " + ", ".join(fields)))

    return app


def _admission(gateway: Gateway) -> Callable[..., Awaitable[None]]:
    async def admitted(
        organization: str,
        response: Response,
        key: Key = None,
        request_id: Annotated[str | None, Header(alias="X-Request-Id")] = None,
    ) -> None:
        left = gateway.admit(key, organization)
        response.headers["X-Request-Id"] = request_id or str(uuid4())
        if left is not None:
            response.headers["x-remaining-calls-per-min"] = str(left)

    return admitted


def _gpd(book: Book, gateway: Gateway) -> APIRouter:
    admitted = Depends(_admission(gateway))
    router = APIRouter(prefix="/organizations/{organization}/debtpositions", dependencies=[admitted])

    @router.post("", status_code=201)
    async def create(
        organization: str,
        asked: PaymentPosition,
        request: Request,
        key: Key = None,
        to_publish: Annotated[bool, Query(alias="toPublish")] = False,
    ) -> dict[str, Any]:
        for option in asked.payment_option:
            gateway.admit_number(key or "", organization, option.iuv)
        taken = bool(request.scope.get(TAKEN))
        return _model(book.create(organization, asked, publish=to_publish, taken=taken))

    @router.get("")
    async def listed(organization: str, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        return wanted.page_of(book.all(organization))

    @router.get("/{iupd}")
    async def find(organization: str, iupd: str) -> dict[str, Any]:
        return _base_response(book.get(organization, iupd))

    @router.post("/{iupd}/publish")
    async def publish(organization: str, iupd: str) -> dict[str, Any]:
        return _model(book.publish(organization, iupd))

    @router.post("/{iupd}/invalidate")
    async def invalidate(organization: str, iupd: str) -> dict[str, Any]:
        return _model(book.invalidate(organization, iupd))

    return router


class Wanted(BaseModel):
    """The list's filters."""

    limit: Annotated[int, Field(ge=1, le=50)] = 10
    page: Annotated[int, Field(ge=0)] = 0
    due_date_from: date | None = None
    due_date_to: date | None = None
    status: Status | None = None
    orderby: Literal["INSERTED_DATE", "IUPD", "STATUS", "COMPANY_NAME"] = "INSERTED_DATE"
    ordering: Literal["ASC", "DESC"] = "DESC"

    @model_validator(mode="after")
    def _interval(self) -> Wanted:
        first, last = self.due_date_from, self.due_date_to
        if first and last and not 0 <= (last - first).days <= 30:
            raise ValueError("due_date_from and due_date_to: in this order, at most 30 days apart")
        return self

    def page_of(self, positions: list[Position]) -> dict[str, Any]:
        """`PaymentPositionsInfo`."""
        by = ORDER_BY[self.orderby]
        found = sorted(filter(self._wants, positions), key=lambda each: str(each[by]), reverse=self.ordering == "DESC")
        here = found[self.page * self.limit : (self.page + 1) * self.limit]
        total = -(-len(found) // self.limit)
        info = {"page": self.page, "limit": self.limit, "items_found": len(here), "total_pages": total}
        return {"payment_position_list": [_base_response(each) for each in here], "page_info": info}

    def _wants(self, position: Position) -> bool:
        if self.status not in (None, position["status"]):
            return False
        first, last = (self.due_date_from or date.min).isoformat(), (self.due_date_to or date.max).isoformat()
        dues = [option["dueDate"][:10] for option in position["paymentOption"]]
        return any(first <= due <= last for due in dues) or not dues


def _switches(book: Book, faults: Faults) -> APIRouter:
    router = APIRouter()

    @router.post("/_faults", status_code=201)
    def order(fault: Fault) -> Fault:
        faults.order(fault)
        return fault

    @router.get("/_faults")
    def waiting() -> list[Fault]:
        return faults.waiting()

    @router.delete("/_faults", status_code=204)
    def clear() -> None:
        faults.clear()

    @router.post("/_pay/{nav}")
    def pay(nav: str) -> dict[str, Any]:
        return _base_response(book.pay(nav))

    @router.get("/", response_class=HTMLResponse)
    def look(page_number: Annotated[int, Query(alias="pagina", ge=1)] = 1) -> str:
        return page(book.all(), page_number, faults.waiting())

    return router


def _model(position: Position) -> dict[str, Any]:
    """`PaymentPositionModel`."""
    options = [
        {name: value for name, value in option.items() if name not in ("status", "paymentDate")}
        for option in position["paymentOption"]
    ]
    return {**{name: value for name, value in position.items() if name not in KEPT}, "paymentOption": options}


def _base_response(position: Position) -> dict[str, Any]:
    """`PaymentPositionModelBaseResponse`: all but the debtor."""
    told = {name: value for name, value in position.items() if name not in DEBTOR}
    options = [
        {
            **option, "organizationFiscalCode": position["organizationFiscalCode"],
            "insertedDate": position["insertedDate"], "lastUpdatedDate": position["lastUpdatedDate"],
            "fee": 0, "notificationFee": 0,
            "transfer": [{**each, "status": "T_UNREPORTED"} for each in option["transfer"]],
        }
        for option in position["paymentOption"]
    ]  # fmt: skip
    return {**told, "paymentOption": options}
