"""What a person does about one notice: *Riprova*, *Sì, è partito* / *No, non è partito*, *Correggi e rimanda*."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from services.status.api import deciding
from services.status.api.asked import Correct, SettleVerdict
from services.status.api.context import Here
from services.status.api.problems import ApiProblem
from services.status.api.record_queries import record_detail
from services.status.api.schemas import RecordDetail
from services.status.web.format import parsed_day, parsed_euro
from services.status.web.record_pages import show_notice
from services.status.web.render import Submitted, go
from shared.contracts.commands import Correction
from shared.contracts.record import Orders

router = APIRouter()


class OurForm(BaseModel):
    """A form of ours with many fields: all text, as a browser sends it."""

    csrf_token: str = ""
    key: str = ""


class SettleForm(OurForm):
    """The verdict; `number` and `year` of a registration that was found."""

    stage: str = ""
    order: str = ""
    verdict: str = ""
    number: str = ""
    year: str = ""


class CorrectForm(OurForm):
    """Every value as it should be; `orders` as the page showed them."""

    orders: str = ""
    name: str = ""
    fiscal_code: str = ""
    amount: str = ""
    due_date: str = ""
    reason: str = ""
    address: str = ""
    channel: str = ""
    subject: str = ""

    def typed(self) -> dict[str, str]:
        """What the person typed, without blanks around."""
        typed = self.model_dump(exclude={"csrf_token", "key", "orders"})
        return {field: value.strip() for field, value in typed.items()} | {
            "fiscal_code": self.fiscal_code.strip().upper()
        }


@router.post("/avvisi/{record_id}/azioni/riprova")
def retry(context: Here, record_id: UUID, key: Submitted) -> Response:
    """*Riprova*."""
    deciding.retry(context, record_id, key)
    return go(f"/avvisi/{record_id}?fatto=retry")


@router.post("/avvisi/{record_id}/azioni/verifica")
def settle(request: Request, context: Here, record_id: UUID, form: Annotated[SettleForm, Form()]) -> Response:
    """*Sì, è partito* / *No, non è partito: rimanda*."""
    context.csrf.check(request, form.csrf_token)
    said = {"stage": form.stage, "order": form.order, "verdict": form.verdict, "number": form.number.strip()}
    try:
        verdict = SettleVerdict.model_validate(said | {"year": form.year.strip() or 0})
    except ValidationError:
        raise ApiProblem(422, "invalid-request", "Scrivere il numero di protocollo e l'anno in cifre.") from None
    deciding.settle(context, record_id, verdict, form.key)
    return go(f"/avvisi/{record_id}?fatto=settle")


@router.post("/avvisi/{record_id}/azioni/correggi")
def correct(request: Request, context: Here, record_id: UUID, form: Annotated[CorrectForm, Form()]) -> Response:
    """*Correggi e rimanda*: only what differs from the notice as it is now goes into the correction."""
    context.csrf.check(request, form.csrf_token)
    with context.database.read() as session:
        detail = record_detail(session, record_id, context.resting)
    typed = form.typed()
    correction, errors = corrected(detail, typed)
    if errors:
        return show_notice(request, context, record_id, typed=typed, errors=errors)
    wanted = Correct(orders=Orders.model_validate_json(form.orders or "{}"), correction=correction)
    deciding.correct(context, record_id, wanted, form.key)
    return go(f"/avvisi/{record_id}?fatto=correct")


def corrected(detail: RecordDetail, typed: dict[str, str]) -> tuple[Correction, dict[str, str]]:
    """(what changed, what is wrong by field)."""
    record, errors = detail.record, {}
    if record is None:
        raise ApiProblem(409, "out-of-order", "Questo avviso ora non si può correggere da qui.")
    cents, due = parsed_euro(typed["amount"]), parsed_day(typed["due_date"])
    if not cents:
        errors["amount"] = "Scrivere l'importo come 1.234,56."
    if due is None:
        errors["due_date"] = "Scrivere la scadenza come gg/mm/aaaa."
    for field, text in (("name", "Scrivere l'intestazione."), ("reason", "Scrivere la causale.")):
        if not typed[field]:
            errors[field] = text
    now: dict[str, Any] = {
        "name": record.debtor.name, "fiscal_code": record.debtor.fiscal_code, "reason": record.payment.reason,
        "amount_cents": record.payment.amount_cents, "due_date": record.payment.due_date,
        "address": record.delivery.address, "channel": record.delivery.channel.value,
        "subject": record.protocol.subject if record.protocol else "",
    }  # fmt: skip
    wanted = typed | {"amount_cents": cents, "due_date": due}
    changed = {field: wanted[field] for field, value in now.items() if wanted[field] != value}
    return Correction.model_validate(changed) if not errors else Correction(), errors
