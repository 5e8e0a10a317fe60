"""A hand that does to the iuv stage what the runner does, and a pagoPA in memory for what HTTP is not about."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.iuv.model import DebtPosition, PositionStatus, Standing
from services.iuv.ports import Conflict, PagoPaError
from services.iuv.stage import IuvStage
from services.iuv.tables import SCHEMA, Base, IuvRow
from services.iuv.withdrawals import Withdrawals
from shared.contracts.base import StageName
from shared.contracts.commands import AssignIuv, WithdrawPosition
from shared.contracts.record import Orders, Record
from shared.creditors import Creditor, Creditors, load_creditors
from shared.db.engine import Database
from shared.db.ledger import LedgerState, fingerprint
from shared.stage import Done, Outcome, Refused, Renew, Request, Work
from shared.wiring import StageService
from tests.builders import a_record
from tests.databases import a_database

CREDITOR = "c_x999"
SOON = datetime.now(UTC).date() + timedelta(days=60)
RENEWALS = 5


def the_creditor(**parts: Any) -> Creditors:
    """The rehearsal file's creditor, with some parts changed."""
    creditors = load_creditors()
    creditor: Creditor = creditors.creditors[CREDITOR].model_copy(update=parts)
    return creditors.model_copy(update={"creditors": {CREDITOR: creditor}})


def a_debt(row: int = 2, *, due: date = SOON, **payment: Any) -> Record:
    """A record whose debt can still be opened, whenever the test runs."""
    record = a_record(row)
    return record.model_copy(update={"payment": record.payment.model_copy(update={"due_date": due, **payment})})


@dataclass
class Hand:
    """Reserves, looks, acts, renews and records, as shared/bus/runner.py does."""

    database: Database
    stage: IuvStage

    @classmethod
    def of(cls, service: StageService) -> Hand:
        """For a wired service."""
        assert isinstance(service.stage, IuvStage)
        return cls(service.database, service.stage)

    def assign(self, *records: Record, order: int = 1, issue: int = 1) -> list[Outcome]:
        """One handful."""
        return self.finish(self.reserve(*records, order=order, issue=issue))

    def reserve(self, *records: Record, order: int = 1, issue: int = 1) -> list[tuple[Work[IuvRow], bool]]:
        """The works, each with whether its row is new; in the records' order."""
        with self.database.write() as session:
            works: dict[UUID, tuple[Work[IuvRow], bool]] = {}
            for record in sorted(records, key=lambda each: each.id):
                request = Request.of(AssignIuv(record=record, orders=Orders(iuv=order), issue=issue), StageName.IUV)
                row = session.get(IuvRow, request.key)
                works[record.id] = Work(request, row or self._new(session, request)), row is None
            self.stage.reserve(session, [work for work, new in works.values() if new])
        return [works[record.id] for record in records]

    def finish(self, works: Sequence[tuple[Work[IuvRow], bool]]) -> list[Outcome]:
        """Look at what was there before, act on the rest."""
        looked = {work.request.key: None if new else self.stage.look(work) for work, new in works}
        left = [work for work, _ in works if looked[work.request.key] is None]
        acted = dict(zip([work.request.key for work in left], self.stage.act(left), strict=True)) if left else {}
        return [self._conclude(work, looked[work.request.key] or acted[work.request.key]) for work, _ in works]

    def row(self, record: Record, order: int = 1) -> IuvRow:
        """What the ledger says."""
        with self.database.read() as session:
            return session.get_one(IuvRow, (record.id, order))

    def _new(self, session: Session, request: Request) -> IuvRow:
        row = IuvRow(
            record_id=request.record.id, order=request.order, batch_id=request.record.batch_id, issue=request.issue,
            fingerprint=fingerprint(self.stage.acted_on(request)), lane=self.stage.lane(request),
            request={"record": request.record.model_dump(mode="json")}, updated_at=datetime.now(UTC),
        )  # fmt: skip
        session.add(row)
        return row

    def _conclude(self, work: Work[IuvRow], outcome: Outcome) -> Outcome:
        for _ in range(RENEWALS):
            if not isinstance(outcome, Renew):
                break
            with self.database.write() as session:
                work = Work(work.request, session.get_one(IuvRow, work.request.key))
                self.stage.renew(session, work)
            outcome = self.stage.act([work])[0]
        with self.database.write() as session:
            row = session.get_one(IuvRow, work.request.key)
            if isinstance(outcome, Done):
                row.state, row.section = LedgerState.DONE.value, outcome.section.model_dump(mode="json")
            elif isinstance(outcome, Refused):
                row.state = LedgerState.REFUSED.value
            session.add(row)
        return outcome


@dataclass
class FakePositions:
    """`DebtPositions` in memory. `answers` are raised first, one per call, before (or, for what is in `after`, after)
    the effect."""

    positions: dict[str, Standing] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    answers: list[PagoPaError] = field(default_factory=list)
    after: list[PagoPaError] = field(default_factory=list)
    opened: list[DebtPosition] = field(default_factory=list)
    status: PositionStatus = PositionStatus.VALID
    silent: threading.Event | None = None
    """pagoPA does not answer before it is set."""

    def open(self, position: DebtPosition) -> Standing:
        """Takes a number once."""
        self.opened.append(position)
        if self.silent is not None:
            self.silent.wait(30)
        self._raise(self.answers)
        if position.iupd in self.positions or position.code.iuv in self.taken:
            raise Conflict
        self.taken.add(position.code.iuv)
        self.positions[position.iupd] = Standing(
            self.status, position.code.iuv, position.amount_cents, position.due, position.fingerprint
        )
        self._raise(self.after)
        return self.positions[position.iupd]

    def find(self, iupd: str) -> Standing | None:
        """What stands."""
        self._raise(self.answers)
        return self.positions.get(iupd)

    def publish(self, iupd: str) -> Standing:
        """From DRAFT only."""
        return self._move(iupd, {PositionStatus.DRAFT}, PositionStatus.VALID)

    def invalidate(self, iupd: str) -> Standing | None:
        """From VALID only."""
        if iupd not in self.positions:
            self._raise(self.answers)
            return None
        return self._move(iupd, {PositionStatus.VALID}, PositionStatus.INVALID)

    def close(self) -> None:
        """Nothing to let go of."""

    def change(self, iupd: str, **values: Any) -> None:
        """Somebody else changed it."""
        self.positions[iupd] = replace(self.positions[iupd], **values)

    def _move(self, iupd: str, before: set[PositionStatus], then: PositionStatus) -> Standing:
        self._raise(self.answers)
        if self.positions[iupd].status not in before:
            raise Conflict
        self.change(iupd, status=then)
        self._raise(self.after)
        return self.positions[iupd]

    @staticmethod
    def _raise(answers: list[PagoPaError]) -> None:
        if answers:
            raise answers.pop(0)


def a_hand(folder: Path, positions: FakePositions | None = None, *, act_seconds: float = 20, **creditor: Any) -> Hand:
    """A hand over a fresh ledger and a pagoPA in memory, one call at a time."""
    database = a_database(folder, Base.metadata, SCHEMA)
    books = {CREDITOR: positions or FakePositions()}
    stage = IuvStage(the_creditor(**creditor), books, connections=1, act_seconds=act_seconds, lease_seconds=60)
    return Hand(database, stage)


def withdrawals(hand: Hand, positions: FakePositions, now: datetime) -> Withdrawals:
    """The handler over the same ledger."""
    return Withdrawals(hand.database, {CREDITOR: positions}, hand.stage.acted_on, 60, lambda: now)


def withdraw(record: Record, order: int = 1) -> WithdrawPosition:
    """The command."""
    return WithdrawPosition(record=record, orders=Orders(iuv=order))
