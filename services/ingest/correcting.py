"""Records done anew: corrected or resent by a person, or parked and retried."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy import ColumnElement
from sqlmodel import Session, col
from stdnum.it import codicefiscale

from services.ingest.model import ALREADY_PAID, RowState, corrected, may_be_open, raised
from services.ingest.placing import place, withdraw
from services.ingest.refusals import Refusal
from services.ingest.row_facts import row_facts
from services.ingest.tables import Batch, Row, stirred
from services.ingest.tracciato import resolve_channel
from services.ingest.tracciato.mail import valid_address
from shared.contracts.base import Channel
from shared.contracts.commands import Correction, CorrectRecord, RetryRecords
from shared.contracts.facts import Fact
from shared.contracts.record import Record
from shared.db.locking import ordered_update
from shared.printing import name_problem, reason_problem

CHUNK = 500
ROME = ZoneInfo("Europe/Rome")


def retry(session: Session, command: RetryRecords, at: datetime) -> list[UUID]:
    """Issue parked records again; the ids of those that were named and are."""
    parked = (col(Row.batch_id) == command.batch_id, col(Row.state) == RowState.PARKED.value)
    if not command.record_ids:
        _wake(session, at, *parked)
        return []
    retried: list[UUID] = []
    for start in range(0, len(command.record_ids), CHUNK):
        some = command.record_ids[start : start + CHUNK]
        retried += _wake(session, at, *parked, col(Row.id).in_(some))
    return retried


def correct(session: Session, batch: Batch, command: CorrectRecord, at: datetime) -> Sequence[Fact]:
    """One record anew, with what the person corrected. Raises `Refusal`."""
    row = session.get(Row, command.record_id, with_for_update=True)
    if row is None or row.record is None or row.batch_id != command.batch_id:
        raise Refusal("unknown-record")
    if command.orders != row.current_orders:
        raise Refusal("orders-moved")
    if row.state == RowState.ISSUED or row.errand:
        raise Refusal("in-flight")
    if row.state == RowState.UNCERTAIN:
        raise Refusal("in-doubt")
    correction = _whole(batch, row.whole, command.correction)
    after = _valid(row.whole, correction, at)
    if row.begun:
        row.revision += 1
        _anew(row, after, correction, at)
    else:
        batch.revision += 1
        row.revision = batch.revision  # above any that the spreadsheet gave it, below any that another will
        row.hold(after)
        row.preview, row.previewed = "" if row.preview != "none" else row.preview, None
    row.stir()
    session.add(row)
    return row_facts([row], batch.revision)


def _wake(session: Session, at: datetime, *conditions: ColumnElement[bool]) -> list[UUID]:
    values = {"state": RowState.WAITING.value, "attempts": 0, "next_at": at, "code": "", "news": stirred()}
    woken = ordered_update(Row, Row.id, *conditions, **values).returning(col(Row.id))
    return [row_id for (row_id,) in session.connection().execute(woken)]


def _whole(batch: Batch, before: Record, correction: Correction) -> Correction:
    """The correction with what follows from it: a new address decides the channel where the batch says so."""
    if correction.address is None and correction.channel is None:
        return correction
    address = before.delivery.address if correction.address is None else valid_address(correction.address.strip())
    if not address and correction.address:
        raise Refusal("correction-invalid")
    asked = correction.channel or (batch.batch_options.channel if correction.address else before.delivery.channel)
    by_domain = asked if asked is Channel.AUTO else (correction.channel or before.delivery.channel)
    channel = resolve_channel(address, by_domain)
    return correction.model_copy(
        update={"channel": channel, "address": None if correction.address is None else address}
    )


def _valid(before: Record, correction: Correction, at: datetime) -> Record:
    """The corrected record, by the spreadsheet's own rules: no debt is opened for a notice that cannot be printed."""
    try:
        after = corrected(before, correction)
    except ValidationError:
        raise Refusal("correction-invalid") from None
    unprintable = name_problem(after.debtor.name) or reason_problem(after.payment.reason)
    wrong_code = correction.fiscal_code is not None and not codicefiscale.is_valid(correction.fiscal_code)
    past = correction.due_date is not None and correction.due_date < at.astimezone(ROME).date()
    if unprintable or wrong_code or past:
        raise Refusal("correction-invalid")
    return after


def _anew(row: Row, after: Record, correction: Correction, at: datetime) -> None:
    before, orders = row.whole, row.current_orders
    if not after.delivery.address and after == before:
        raise Refusal("address-missing")
    fresh = raised(orders, before, after)
    if fresh.iuv == orders.iuv:
        place(row, after, fresh, at)
        return
    if row.code == ALREADY_PAID:
        raise Refusal(ALREADY_PAID)
    if may_be_open(before, orders):
        row.correction = correction.model_dump(mode="json", exclude_none=True)
        withdraw(row, at)
    else:
        place(row, after, fresh, at)
