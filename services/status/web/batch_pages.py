"""The pages of batches: list, preview, progress, decisions."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from services.status.api import deciding
from services.status.api.asked import RecordSearch
from services.status.api.context import Context, Here
from services.status.api.deciding import Decision, objection
from services.status.api.queries import batch_detail, batch_page, batch_row, problem_rows
from services.status.api.record_queries import record_page
from services.status.api.schemas import BatchDetail
from services.status.model import State
from services.status.web.render import Submitted, go, show
from shared.contracts.base import Phase

router = APIRouter()

PREVIEW_ROWS = 100
ENDED = (State.SENT, State.ACCEPTED, State.DELIVERED, State.LATE, State.PAID, State.BY_HAND, State.CANCELLED)
READ_WELL = frozenset(State) - {State.TO_CORRECT}
SCREENS = {
    Decision.GENERATE: "Genera avvisi PagoPA",
    Decision.SEND: "Esegui invio massivo",
    Decision.PAUSE: "Metti in pausa",
    Decision.RESUME: "Riprendi",
    Decision.CANCEL: "Interrompi",
}


def counts_of(batch: BatchDetail, *states: State) -> tuple[int, int]:
    """(records, cents) in any of the states."""
    found = [item for item in batch.counts if item.state in states]
    return sum(item.count for item in found), sum(item.cents for item in found)


def buttons_of(batch: BatchDetail) -> dict[str, str]:
    """Why each of the two buttons after the preview cannot be pressed; empty where it can; `done` where it was."""
    generate = objection(Decision.GENERATE, batch.state, batch.until)
    if not generate and batch.until is not Phase.PREVIEW:
        generate = "done"
    elif not generate and not batch.accepted:
        generate = "Nessuna riga è senza problemi: correggere il foglio."
    send = objection(Decision.SEND, batch.state, batch.until)
    if not send and batch.until is Phase.SEND:
        send = "done"
    elif not send and not counts_of(batch, State.GENERATED, State.BY_HAND)[0]:
        send = "Nessun avviso è ancora generato."
    return {"generate": generate, "send": send}


def _view(context: Context, batch: BatchDetail) -> dict[str, Any]:
    creditor = context.creditors.creditors.get(batch.creditor)
    kind = creditor.payment_types.get(batch.payment_type) if creditor else None
    ended = counts_of(batch, *ENDED)[0]
    return {
        "batch": batch, "buttons": buttons_of(batch), "ended": ended, "creditor_name": creditor.name if creditor else "",
        "kind": kind, "can": {item.value: not objection(item, batch.state, batch.until) for item in Decision},
    }  # fmt: skip


@router.get("/")
def home() -> Response:
    """The dashboard is the front door."""
    return go("/avvisi")


@router.get("/invii")
def batches(request: Request, context: Here, pagina: Annotated[int, Query(ge=1, le=10_000)] = 1) -> Response:
    """All batches."""
    with context.database.read() as session:
        found = batch_page(session, pagina)
    return show(request, context, "batches.html", found=found, creditors=context.creditors.creditors)


@router.get("/invii/{batch_id}")
def batch(
    request: Request, context: Here, batch_id: UUID, fatto: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    """One batch, live."""
    with context.database.read() as session:
        found = batch_detail(session, batch_id, context.resting)
    return show(request, context, "batch.html", **_view(context, found), done=_done(fatto))


@router.get("/invii/{batch_id}/anteprima")
def preview(
    request: Request, context: Here, batch_id: UUID, pagina: Annotated[int, Query(ge=1, le=10_000)] = 1
) -> Response:
    """*Visualizza anteprima* (S15): problems, totals, every recipient with the letter."""
    with context.database.read() as session:
        found = batch_detail(session, batch_id, context.resting)
        states = list(READ_WELL)
        records = record_page(
            session, RecordSearch(page=pagina, page_size=PREVIEW_ROWS, states=states), batch_id, context.resting
        )
        rows = problem_rows(session, batch_id)
    return show(request, context, "preview.html", **_view(context, found), records=records, rows=rows)


@router.get("/invii/{batch_id}/conferma/{decision}")
def confirm(request: Request, context: Here, batch_id: UUID, decision: Decision) -> Response:
    """What is about to happen, in numbers, before it does."""
    with context.database.read() as session:
        found = batch_detail(session, batch_id, context.resting)
    concerned = (State.GENERATED, State.REGISTERED) if decision is Decision.SEND else (State.READY,)
    count, cents = counts_of(found, *concerned)
    why = objection(decision, found.state, found.until)
    return show(
        request, context, "confirm.html", **_view(context, found), decision=decision.value, screen=SCREENS[decision],
        count=count, cents=cents, why=why, by_hand=sum(item.count for item in found.channels if not item.channel),
    )  # fmt: skip


@router.post("/invii/{batch_id}/azioni/riallinea")
def restate(context: Here, batch_id: UUID, key: Submitted) -> Response:
    """*Riallinea* one batch."""
    with context.database.read() as session:
        batch_row(session, batch_id)
    deciding.restate(context, [batch_id], key)
    return go(f"/invii/{batch_id}")


@router.post("/azioni/riallinea")
def restate_all(context: Here, key: Submitted) -> Response:
    """*Riallinea* everything."""
    deciding.restate(context, None, key)
    return go("/invii")


@router.post("/invii/{batch_id}/azioni/riprova")
def retry_group(
    context: Here, batch_id: UUID, key: Submitted, stage: Annotated[str, Form()] = "", code: Annotated[str, Form()] = ""
) -> Response:
    """*Riprova tutti* those that are parked for one cause."""
    deciding.retry_group(context, batch_id, stage, code, key)
    return go(f"/invii/{batch_id}")


@router.post("/invii/{batch_id}/azioni/{decision}")
def decide(context: Here, batch_id: UUID, decision: Decision, key: Submitted) -> Response:
    """Take the decision."""
    deciding.decide(context, batch_id, decision, key)
    return go(f"/invii/{batch_id}?fatto={decision.value}")


def _done(name: str) -> str:
    return SCREENS[Decision(name)] if name in set(Decision) else ""
