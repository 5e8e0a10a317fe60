"""What every way of asking for a batch has in common, whoever asks."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator
from sqlmodel import Session

from services.ingest.refusals import Refusal
from services.ingest.tables import Batch
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import NIL, RequestBatch
from shared.contracts.record import DocumentRef
from shared.creditors import Creditor

REFUSALS = {
    "unknown-creditor": "L'ente creditore indicato non è configurato.",
    "no-mailbox": "L'ente non ha una casella configurata per questo tipo di spedizione: scegline un altro.",
    "letter-unreadable": "Il modello di lettera non si può leggere: avvisa chi lo gestisce.",
    "letter-columns-changed": "Il modello di lettera ora chiede altre colonne: chi gestisce il sistema deve riavviarlo, poi "
    "ripeti.",
    "registration-incomplete": "Per la protocollazione servono classificazione e ufficio mittente: compilali.",
    "batch-cancelled": "L'invio massivo è stato interrotto: per un nuovo elenco avvia un nuovo invio massivo.",
    "unexpected": "La richiesta non si è potuta leggere per un errore del sistema: avvisa chi lo gestisce.",
}


def _given(value: UUID) -> UUID:
    if value == NIL:
        raise ValueError("missing")
    return value


Given = Annotated[UUID, AfterValidator(_given)]


class WholeRequest(RequestBatch):
    """A request with all that the wire may leave out. `sheet` is what was asked for, as it is kept."""

    command_id: Given
    batch_id: Given
    sheet: DocumentRef


def check_options(request: WholeRequest, creditor: Creditor | None) -> Creditor:
    """The request's creditor. Raises `Refusal` for options that cannot work."""
    if creditor is None:
        raise Refusal("unknown-creditor")
    options = request.options
    if options.channel is not Channel.AUTO and creditor.mailbox(options.channel) is None:
        raise Refusal("no-mailbox")
    register = options.register_options
    if register is not None and not (register.classification.strip() and register.office.strip()):
        raise Refusal("registration-incomplete")
    return creditor


def further(until: Phase, than: str | Phase) -> bool:
    """Whether a phase lies beyond another."""
    ranks = list(Phase)
    return ranks.index(until) > ranks.index(Phase(than))


def allow(session: Session, batch_id: UUID, until: Phase) -> Batch:
    """Let the batch go as far as `until`, or as far as it may already."""
    batch = session.get_one(Batch, batch_id, with_for_update=True)
    if further(until, batch.until):
        batch.until, batch.revision = until.value, batch.revision + 1
        session.add(batch)
    return batch
