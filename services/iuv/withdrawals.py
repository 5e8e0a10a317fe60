"""`WithdrawPosition`: make a debt position unpayable for good.

What it answers:

    PositionWithdrawn                    unpayable now: invalidated here or before, or never opened (it won't be any more)
    StageFailed(already-paid, permanent) the debtor paid: it stands; its section stays as it is
    StageFailed(withdraw-<code>)         pagoPA did not do it: ask again
    StageDeferred(still-opening)         somebody may be opening it at this moment

A paid position is no `IuvAssigned` told again: that would set off the rendering of a notice that is to go nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from services.iuv.model import NoticeCode, PositionStatus
from services.iuv.ports import Conflict, DebtPositions, NoAnswer, PagoPaError, utc_now
from services.iuv.tables import IuvRow
from shared.contracts.base import StageName
from shared.contracts.commands import WithdrawPosition
from shared.contracts.facts import Fact, PositionWithdrawn, StageDeferred, StageFailed
from shared.contracts.record import Position, SectionState, with_section
from shared.db.engine import Database
from shared.db.ledger import LedgerState, fingerprint
from shared.ids import iupd
from shared.stage import Request

ROUNDS = 3  # in vain, after an answer that was lost or a draft that had to be published, and in earnest


class Withdrawals:
    """The handler. `acted_on` is the stage's; `opening_seconds` how long one attempt to open a position may last."""

    def __init__(
        self,
        database: Database,
        books: Mapping[str, DebtPositions],
        acted_on: Callable[[Request], object],
        opening_seconds: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._books = books
        self._acted_on = acted_on
        self._opening = timedelta(seconds=opening_seconds)
        self._now = now

    def __call__(self, message: WithdrawPosition) -> Sequence[Fact]:
        """Withdraw the position of the order that stands in the record's section. Idempotent."""
        order = message.record.position.order if message.record.position else message.orders.iuv
        with self._database.read() as session:
            row = session.get(IuvRow, (message.record.id, order))
        if row is not None and row.state == LedgerState.WITHDRAWN:
            return [self._withdrawn(message, Position.model_validate(row.section))]
        if row is not None and row.state == LedgerState.RESERVED and self._now() < row.updated_at + self._opening:
            # its act may be on the wire: after it, a withdrawn position would come to life
            return [self._deferred(message, order, row.updated_at + self._opening)]
        book = self._books.get(message.record.creditor)
        if book is None:
            return [self._failed(message, order, "creditor-unknown", permanent=True)]
        try:
            paid = _invalidate(book, iupd(message.record.id, order))
        except PagoPaError as error:
            return [self._failed(message, order, f"withdraw-{error.code}")]
        if paid:
            return [self._failed(message, order, "already-paid", permanent=True)]
        with self._database.write() as session:
            section = self._record(session, message, order)
        return [self._withdrawn(message, section)]

    def _record(self, session: Session, message: WithdrawPosition, order: int) -> Position:
        row = session.get(IuvRow, (message.record.id, order), with_for_update=True)
        if row is None:  # never asked for: a late `AssignIuv` of this order must find that it is over
            row = self._tombstone(message, order)
        code = NoticeCode.parse(row.nav) if row.nav else None
        section = Position(
            order=order, state=SectionState.WITHDRAWN, iupd=iupd(message.record.id, order),
            iuv=code.iuv if code else "", notice_code=code.nav if code else "",
        )  # fmt: skip
        row.state, row.section = LedgerState.WITHDRAWN.value, section.model_dump(mode="json", exclude_none=True)
        row.updated_at = self._now()
        session.add(row)
        return section

    def _tombstone(self, message: WithdrawPosition, order: int) -> IuvRow:
        orders = message.orders.model_copy(update={"iuv": order})
        request = Request(message.record, orders, message.issue, StageName.IUV)
        return IuvRow(
            record_id=message.record.id, order=order, batch_id=message.record.batch_id, issue=message.issue,
            fingerprint=fingerprint(self._acted_on(request)), updated_at=self._now(),
            request={
                "record": message.record.model_dump(mode="json", exclude_none=True),
                "orders": orders.model_dump(mode="json"),
            },
        )  # fmt: skip

    def _withdrawn(self, message: WithdrawPosition, section: Position) -> Fact:
        record = with_section(message.record, StageName.IUV, section)
        return PositionWithdrawn(record=record, orders=message.orders, issue=message.issue)

    def _failed(self, message: WithdrawPosition, order: int, code: str, *, permanent: bool = False) -> Fact:
        return StageFailed(
            batch_id=message.record.batch_id, record_id=message.record.id, stage=StageName.IUV, order=order,
            issue=message.issue, code=code, permanent=permanent,
        )  # fmt: skip

    def _deferred(self, message: WithdrawPosition, order: int, until: datetime) -> Fact:
        return StageDeferred(
            batch_id=message.record.batch_id, record_id=message.record.id, stage=StageName.IUV, order=order,
            issue=message.issue, code="still-opening", until=until,
        )  # fmt: skip


def _invalidate(book: DebtPositions, key: str) -> bool:
    """Make the position unpayable. Returns whether it was paid, and therefore stands."""
    for _ in range(ROUNDS):
        try:
            book.invalidate(key)
        except (Conflict, NoAnswer):
            found = book.find(key)
        else:
            return False
        if found is None or found.status in (PositionStatus.INVALID, PositionStatus.EXPIRED):
            return False
        if found.status.paid:
            return True
        if found.status is PositionStatus.DRAFT:
            # unpayable, but anybody could still publish it: only a published one can be invalidated
            book.publish(key)
    raise Conflict
