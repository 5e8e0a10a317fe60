"""Where a record stands, told from its sections alone: late, repeated and swapped facts lead to the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.contracts.base import Phase, StageName
from shared.contracts.commands import Correction
from shared.contracts.record import Orders, Record, Section, SectionState, section_of
from shared.db.ledger import fingerprint

SETTLED_NOT_SENT = "settled-not-sent"
SETTLED_NOT_REGISTERED = "settled-not-registered"
BY_HAND = "by-hand"
ALREADY_PAID = "already-paid"


class RowState(StrEnum):
    """What the pacer knows of a row."""

    REJECTED = "rejected"
    READY = "ready"
    ISSUED = "issued"
    WAITING = "waiting"
    PARKED = "parked"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    FINISHED = "finished"
    CANCELLED = "cancelled"


MOVING = (RowState.READY, RowState.ISSUED, RowState.WAITING)
"""What is issued, or may be."""


class Step(StrEnum):
    """What a record needs next."""

    IUV = "iuv"
    RENDER = "render"
    PROTOCOL = "protocol"
    DISPATCH = "dispatch"
    NOTHING = "nothing"


PHASE_OF = {Step.IUV: Phase.GENERATE, Step.RENDER: Phase.GENERATE}
"""The phase that does a step; all others belong to `send`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The next step, and what keeps the record from it (`READY`: nothing)."""

    step: Step
    state: RowState
    code: str = ""

    @property
    def phase(self) -> Phase:
        """The phase of the step."""
        return PHASE_OF.get(self.step, Phase.SEND)


BLOCKED = {
    SectionState.UNCERTAIN: RowState.UNCERTAIN,
    SectionState.REFUSED: RowState.REFUSED,
    SectionState.WITHDRAWN: RowState.CANCELLED,
}


def standing(record: Record, orders: Orders) -> Standing:
    """The first step that is not done at its current order."""
    documents = current(record.documents, orders.render)
    if documents is not None and documents.state is SectionState.REFUSED:
        return Standing(Step.RENDER, RowState.REFUSED, documents.code)  # its position is withdrawn: not a cancellation
    for stage, step in ((StageName.IUV, Step.IUV), (StageName.RENDER, Step.RENDER),
                        (StageName.PROTOCOL, Step.PROTOCOL), (StageName.DISPATCH, Step.DISPATCH)):  # fmt: skip
        if stage is StageName.PROTOCOL and record.protocol is None:
            continue
        if stage is StageName.DISPATCH and not record.delivery.address:
            return Standing(Step.NOTHING, RowState.FINISHED, BY_HAND)
        section = current(section_of(record, stage), orders.of(stage))
        if section is None:
            return Standing(step, RowState.READY)
        if section.state is not SectionState.DONE:
            return Standing(step, BLOCKED[section.state], section.code)
    return Standing(Step.NOTHING, RowState.FINISHED)


def current(section: Section | None, order: int) -> Section | None:
    """The section, where it is of the current order."""
    return section if section is not None and section.order == order else None


def may_be_open(record: Record, orders: Orders) -> bool:
    """Whether a position that was asked for may be payable: an answer that was lost hides one as well."""
    position = current(record.position, orders.iuv)
    return position is None or position.state in (SectionState.DONE, SectionState.UNCERTAIN)


def content_hash(record: Record) -> str:
    """What a person wrote in a row (and the batch's defaults in it): the same hash, the same row."""
    written = {"debtor", "payment", "delivery", "protocol", "letter", "columns"}
    return fingerprint(record.model_dump(mode="json", include=written))


def duplicate_key(record: Record) -> str:
    """Debtor, cents, due date and reason: two rows with the same are the same debt twice, or a row that moved."""
    payment = record.payment
    return fingerprint([record.debtor.fiscal_code, payment.amount_cents, payment.due_date, payment.reason])


def corrected(record: Record, correction: Correction) -> Record:
    """The record with the new values; sections stay. Raises pydantic's `ValidationError` for a value out of bounds."""
    given = correction.model_dump(exclude_none=True)
    debtor = record.debtor.model_dump() | {
        key: given[name] for name, key in (("name", "name"), ("fiscal_code", "fiscal_code")) if name in given
    }
    payment = record.payment.model_dump() | {
        name: given[name] for name in ("amount_cents", "due_date", "reason") if name in given
    }
    delivery = record.delivery.model_dump() | {name: given[name] for name in ("address", "channel") if name in given}
    protocol = record.protocol.model_dump() if record.protocol is not None else None
    if protocol is not None and "subject" in given:
        protocol["subject"] = given["subject"]
    whole = record.model_dump() | {"debtor": debtor, "payment": payment, "delivery": delivery, "protocol": protocol}
    return Record.model_validate(whole)


def raised(orders: Orders, before: Record, after: Record) -> Orders:
    """The orders after a correction: each stage whose input changes does the record anew, and so do those after it.

    A resend (nothing changed) raises dispatch's alone; a corrected address too; a subject also protocol's; what the
    debt position or the documents show raises all.
    """
    deep = (before.debtor, before.payment) != (after.debtor, after.payment)
    subject = before.protocol != after.protocol
    return Orders(
        iuv=orders.iuv + deep,
        render=orders.render + deep,
        protocol=orders.protocol + (deep or subject),
        dispatch=orders.dispatch + 1,
    )
