"""Where a row is put: by its sections when a stage's word comes in, anew after a correction, aside for a withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.ingest.hand import AnyRow
from services.ingest.model import ALREADY_PAID, RowState, Standing, Step, may_be_open, standing
from services.ingest.tables import WITHDRAW
from shared.contracts.base import Phase
from shared.contracts.record import Orders, Record


def follow(row: AnyRow, record: Record, orders: Orders, at: datetime) -> None:
    """A stage's word came in. What is in flight stays so within its phase: the next stage has the record already."""
    before = row.step, row.phase, row.orders
    row.hold(record)
    row.orders = orders.model_dump()
    if row.errand or row.state == RowState.CANCELLED:
        return  # the withdrawal's end decides where it goes
    now = standing(record, orders)
    row.step, row.phase = now.step.value, now.phase.value
    if now.state is not RowState.READY:
        _rest(row, now, at)
    elif (row.step, row.phase, row.orders) != before:
        in_flight = row.state == RowState.ISSUED and (row.phase, row.orders) == before[1:]
        _set_off(row, RowState.ISSUED if in_flight else RowState.READY)


def place(row: AnyRow, record: Record, orders: Orders, at: datetime, code: str = "") -> None:
    """Begin anew from where the sections say: after a correction, or the end of a withdrawal, which may leave a `code`."""
    row.hold(record)
    row.orders, row.errand = orders.model_dump(), ""
    now = standing(record, orders)
    row.step, row.phase = now.step.value, now.phase.value
    _set_off(row, RowState.READY)
    row.code = code
    if now.state is not RowState.READY:
        _rest(row, now, at)


def withdraw(row: AnyRow, at: datetime) -> None:
    """Issue the withdrawal of the row's position next, whatever the batch allows."""
    _set_off(row, RowState.WAITING)
    row.errand, row.phase, row.next_at = WITHDRAW, Phase.GENERATE.value, at


def paid(row: AnyRow, at: datetime) -> None:
    """The withdrawal was refused: the debtor paid. The row stands as it was, and no correction can replace it."""
    row.correction = None
    place(row, row.whole, row.current_orders, at, ALREADY_PAID)


def attempted(row: AnyRow, code: str, at: datetime, waits: Sequence[timedelta], *, wait: bool = True) -> bool:
    """An attempt came to nothing: issue the row again after its wait (or at once), or park it after the last; whether it
    was parked."""
    row.attempts, row.code = row.attempts + 1, code
    if row.attempts > len(waits):
        row.state, row.next_at = RowState.PARKED.value, None
        return True
    row.state, row.next_at = RowState.WAITING.value, at + (waits[row.attempts - 1] if wait else timedelta())
    return False


def _set_off(row: AnyRow, state: RowState) -> None:
    row.state, row.attempts, row.code, row.next_at = state.value, 0, "", None


def _rest(row: AnyRow, now: Standing, at: datetime) -> None:
    """Nothing more to issue; but a notice that cannot be printed leaves no debt open."""
    is_paid = row.code == ALREADY_PAID
    row.state, row.next_at = now.state.value, None
    row.code = ALREADY_PAID if is_paid else now.code
    unprintable = now.step is Step.RENDER and now.state is RowState.REFUSED
    if unprintable and not is_paid and may_be_open(row.whole, row.current_orders):
        withdraw(row, at)
