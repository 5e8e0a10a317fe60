"""The pages of notices: the payments dashboard, a batch's list, one notice."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from services.status.api.asked import RecordSearch
from services.status.api.context import Context, Here
from services.status.api.queries import batch_row, state_counts, total_counts
from services.status.api.record_queries import record_detail, record_page
from services.status.model import State
from services.status.web.render import go, show

router = APIRouter()

DONE = {
    "correct": "Richiesta ricevuta: l'avviso viene rifatto.",
    "retry": "Richiesta ricevuta: si riprova.",
    "settle": "Grazie: l'esito è stato registrato.",
}


class Filter(BaseModel):
    """What a list shows. `testo` comes in bodies only, for it may be a name."""

    testo: str = Field(default="", max_length=200)
    stato: State | Literal[""] = ""
    fase: str = Field(default="", max_length=20)
    causa: str = Field(default="", max_length=100)
    pagina: int = Field(default=1, ge=1, le=100_000)

    def search(self) -> RecordSearch:
        """As the API wants it."""
        states = [State(self.stato)] if self.stato else []
        return RecordSearch(text=self.testo.strip(), states=states, stage=self.fase, code=self.causa, page=self.pagina)

    def query(self) -> str:
        """All but the text, for a URL."""
        return urlencode({name: value for name, value in self.model_dump(exclude={"testo"}).items() if value})


Asked = Annotated[Filter, Query()]
Typed = Annotated[Filter, Form()]


@router.get("/avvisi")
def notices(request: Request, context: Here, wanted: Asked) -> Response:
    """*Cruscotto dei pagamenti* (S18): every notice of every batch."""
    return _listed(request, context, None, wanted.model_copy(update={"testo": ""}))


@router.post("/avvisi")
def search_notices(request: Request, context: Here, wanted: Typed) -> Response:
    """The same by words."""
    return _listed(request, context, None, wanted) if wanted.testo.strip() else go(f"/avvisi?{wanted.query()}")


@router.get("/invii/{batch_id}/avvisi")
def batch_notices(request: Request, context: Here, batch_id: UUID, wanted: Asked) -> Response:
    """The notices of one batch."""
    return _listed(request, context, batch_id, wanted.model_copy(update={"testo": ""}))


@router.post("/invii/{batch_id}/avvisi")
def search_batch_notices(request: Request, context: Here, batch_id: UUID, wanted: Typed) -> Response:
    """The same by words."""
    here = f"/invii/{batch_id}/avvisi?{wanted.query()}"
    return _listed(request, context, batch_id, wanted) if wanted.testo.strip() else go(here)


@router.get("/avvisi/{record_id}")
def notice(
    request: Request, context: Here, record_id: UUID, fatto: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    """One notice."""
    return show_notice(request, context, record_id, done=DONE.get(fatto, ""))


def show_notice(
    request: Request, context: Context, record_id: UUID, *, done: str = "", typed: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    with context.database.read() as session:
        detail = record_detail(session, record_id, context.resting)
        batch = batch_row(session, detail.batch_id)
    status = 422 if errors else 200
    return show(
        request,
        context,
        "record.html",
        status,
        item=detail,
        batch=batch,
        done=done,
        typed=typed or {},
        errors=errors or {},
    )


def _listed(request: Request, context: Context, batch_id: UUID | None, wanted: Filter) -> Response:
    search = wanted.search()
    with context.database.read() as session:
        batch = batch_row(session, batch_id) if batch_id else None
        counts = state_counts(session, [batch_id])[batch_id] if batch_id else total_counts(session)
        found = record_page(session, search, batch_id, context.resting)
    return show(
        request, context, "records.html", found=found, counts=counts, batch=batch, text=search.text, state=wanted.stato,
        search=search,
    )  # fmt: skip
