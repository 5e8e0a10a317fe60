"""RFC 9457 problems: every error of the API has a stable `code` and an Italian `detail`, never the values sent."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, TimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Richiesta non valida",
    403: "Richiesta non permessa",
    404: "Non trovato",
    405: "Metodo non permesso",
    409: "Non è possibile ora",
    413: "Troppo grande",
    421: "Indirizzo non servito",
    422: "Dati da correggere",
    500: "Errore interno",
    503: "Non disponibile",
}
AWAY = (OperationalError, InterfaceError, TimeoutError)
"""The database does not answer; pages and API read nothing else."""
CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 400: "bad-request"}
DETAILS = {
    404: "L'indirizzo richiesto non esiste.",
    405: "Questo indirizzo non accetta questo metodo.",
    400: "La richiesta non si può leggere.",
    413: "La richiesta è troppo grande.",
}
KINDS = {
    "missing": ("missing", "Campo obbligatorio."),
    "uuid_parsing": ("not-a-uuid", "Serve un UUID."),
    "uuid_type": ("not-a-uuid", "Serve un UUID."),
    "enum": ("not-allowed", "Valore non ammesso."),
    "literal_error": ("not-allowed", "Valore non ammesso."),
    "date_from_datetime_parsing": ("not-a-date", "Serve una data (AAAA-MM-GG)."),
    "date_parsing": ("not-a-date", "Serve una data (AAAA-MM-GG)."),
    "json_invalid": ("not-json", "Il corpo della richiesta non è JSON."),
    "extra_forbidden": ("unknown-field", "Campo sconosciuto."),
    "string_too_long": ("too-long", "Testo troppo lungo."),
    "string_too_short": ("too-short", "Testo troppo corto."),
}


class FieldProblem(BaseModel):
    """What is wrong with one field. `field` is its path in the request (`body.due_date`)."""

    field: str
    code: str
    detail: str


class Problem(BaseModel):
    """RFC 9457. `type` is `urn:staffetta:problem:<code>`."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem] = Field(default=[], description="I campi da correggere, se la colpa è loro.")


class ApiProblem(HTTPException):
    """Raised anywhere; becomes a `Problem` (or, on a page, a page that says the same). It is one of the framework's
    own kind, for those pass through the reading of a body unharmed."""

    def __init__(self, status: int, code: str, detail: str, errors: Sequence[FieldProblem] = ()) -> None:
        super().__init__(status, code)
        self.problem = Problem(
            type=f"urn:staffetta:problem:{code}", title=TITLES.get(status) or HTTPStatus(status).phrase, status=status,
            code=code, detail=detail, errors=list(errors),
        )  # fmt: skip


def missing(what: str) -> ApiProblem:
    """404 for a batch, record or document."""
    return ApiProblem(404, f"{what}-not-found", "Non trovato: forse l'indirizzo è incompleto.")


def conflict(code: str, detail: str) -> ApiProblem:
    """409: the same request may work later, or had its time."""
    return ApiProblem(409, code, detail)


def control_character(field: str) -> ApiProblem:
    """422 for text that no database holds."""
    wrong = FieldProblem(
        field=field, code="control-character", detail="Il testo contiene caratteri invisibili non ammessi: toglili."
    )
    return ApiProblem(422, "invalid-request", "Alcuni dati della richiesta sono da correggere.", [wrong])


def as_problem(error: Exception) -> Problem:
    """Any error as a problem. Values that were sent are left out: they may be personal."""
    if isinstance(error, ApiProblem):
        return error.problem
    if isinstance(error, RequestValidationError):
        return ApiProblem(
            422, "invalid-request", "Alcuni dati della richiesta sono da correggere.", _fields(error)
        ).problem
    if isinstance(error, DataError):  # asked for what can be in no database: a text with a zero byte
        return ApiProblem(400, "bad-request", DETAILS[400]).problem
    if isinstance(error, AWAY):
        return ApiProblem(
            503, "database-unavailable", "La banca dati non risponde: nulla è perso, riprovare tra poco."
        ).problem
    if isinstance(error, StarletteHTTPException):
        status = error.status_code
        code, detail = CODES.get(status, f"http-{status}"), DETAILS.get(status, "La richiesta non è stata accolta.")
        return ApiProblem(status, code, detail).problem
    return ApiProblem(
        500, "internal", "Qualcosa non ha funzionato. Riprovare; se si ripete, avvisare chi gestisce il servizio."
    ).problem


def problem_response(problem: Problem) -> Response:
    """The problem on the wire."""
    return JSONResponse(problem.model_dump(exclude_defaults=False), problem.status, media_type=MEDIA_TYPE)


async def answer(request: Request, error: Exception) -> Response:
    """FastAPI's exception handler."""
    problem = as_problem(error)
    page = getattr(request.app.state, "error_page", None)
    if page is not None and is_page(request.url.path):
        shown: Response = page(request, problem)
        return shown
    return problem_response(problem)


def is_page(path: str) -> bool:
    """Whether a person is looking, rather than a program."""
    return not path.startswith(("/api/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/static/"))


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of a route that may answer these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": TITLES[status], "content": content} for status in (*statuses, 422)}


def produces(media_type: str, form: str = "") -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of a route that answers no JSON."""
    schema = {"type": "string"} | ({"format": form} if form else {})
    return {200: {"content": {media_type: {"schema": schema}}}}


def _fields(error: RequestValidationError) -> list[FieldProblem]:
    found = []
    for item in error.errors():
        code, detail = KINDS.get(item["type"], ("invalid", "Valore non valido."))
        found.append(FieldProblem(field=".".join(map(str, item["loc"])), code=code, detail=detail))
    return found
