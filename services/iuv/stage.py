"""Obtain an IUV: reserve a number, open and publish the debt position under it at pagoPA; withdraw it again.

Every act can be looked up: the IUPD is derived from (record, order), and pagoPA keeps one position per IUPD for ever.
So a repeat never opens a second one, whatever was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from time import monotonic
from typing import ClassVar

import structlog
from sqlmodel import Session

from services.iuv.model import DebtPosition, NoticeCode, PositionStatus, Standing, due_instant
from services.iuv.ports import (
    DUE_DATE_PAST,
    Conflict,
    DebtPositions,
    NoAnswer,
    PagoPaError,
    later,
    outcome,
    utc_now,
)
from services.iuv.tables import IuvRow, burn, burnt_count, take_codes
from shared.contracts.base import StageName
from shared.contracts.facts import IuvAssigned, IuvRefused, PositionWithdrawn, RecordFact
from shared.contracts.record import Position, SectionState
from shared.creditors import Creditor, Creditors
from shared.ids import iupd
from shared.stage import Deferred, Done, Outcome, Permanent, Renew, Request, Transient, Work

log = structlog.get_logger()

FAILURES_IN_A_ROW = 5


@dataclass(slots=True)
class _Round:
    """One call of `act`. A lane that proved down is not asked again for the rest of the handful."""

    ends: float
    failures: dict[str, int] = field(default_factory=dict)
    down: dict[str, Deferred] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, lane: str, answer: Outcome) -> Outcome:
        """Remember what an act said about its lane."""
        with self.lock:
            if isinstance(answer, Deferred):
                self.down[lane] = answer
            elif isinstance(answer, Transient) and answer.lane:
                self.failures[lane] = self.failures.get(lane, 0) + 1
                if answer.shut or self.failures[lane] >= FAILURES_IN_A_ROW:
                    self.down[lane] = later(answer.code)
            else:
                self.failures[lane] = 0
        return answer


class IuvStage:
    """The `Stage` of iuv. `books` holds the debt positions of each creditor, by its code."""

    name: ClassVar[StageName] = StageName.IUV
    row_type = IuvRow
    lookable = True
    connections = 1
    states: Mapping[SectionState, type[RecordFact]] = {
        SectionState.DONE: IuvAssigned,
        SectionState.REFUSED: IuvRefused,
        SectionState.WITHDRAWN: PositionWithdrawn,
    }

    def __init__(
        self,
        creditors: Creditors,
        books: Mapping[str, DebtPositions],
        *,
        connections: int,
        act_seconds: float,
        lease_seconds: float,
    ) -> None:
        self._creditors = creditors.creditors
        self._books = books
        self._act_seconds = act_seconds
        self.lease_seconds = lease_seconds
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="iuv-pagopa")

    def lane(self, request: Request) -> str:
        """A creditor's key at pagoPA."""
        return f"pagopa.{request.record.creditor}"

    def acted_on(self, request: Request) -> object:
        """What pagoPA is told."""
        record = request.record
        return [
            record.creditor,
            record.debtor.model_dump(mode="json", include={"name", "fiscal_code", "address"}),
            record.payment.model_dump(mode="json", include={"payment_type", "amount_cents", "due_date", "reason"}),
        ]

    # -- numbers

    def reserve(self, session: Session, works: Sequence[Work[IuvRow]]) -> None:
        """Consecutive numbers in the works' order. A row beyond the range's end stays without: it must not keep its
        neighbours from theirs, and `act` says so for it alone."""
        by_creditor: dict[str, list[Work[IuvRow]]] = {}
        for work in works:
            by_creditor.setdefault(work.request.record.creditor, []).append(work)
        for code in sorted(by_creditor):  # counters are locked in one order by everybody
            creditor = self._creditors.get(code)
            if creditor is not None:
                self._number(session, creditor, by_creditor[code])

    def renew(self, session: Session, work: Work[IuvRow]) -> None:
        """Burn the row's number, if it has one, and take the next."""
        code = work.request.record.creditor
        creditor = self._creditors[code]
        if work.row.nav is not None:
            burn(session, work.row, "iuv-taken")
            session.flush()
            log.warning("iuv.number_burnt", creditor=code, burnt=burnt_count(session, creditor))
        self._number(session, creditor, [work])

    def _number(self, session: Session, creditor: Creditor, works: Sequence[Work[IuvRow]]) -> None:
        codes: list[NoticeCode | None] = list(take_codes(session, creditor, len(works)))
        codes += [None] * (len(works) - len(codes))
        for work, code in zip(works, codes, strict=True):
            row = work.row
            row.creditor, row.iupd = creditor.tax_code, iupd(row.record_id, row.order)
            row.number, row.nav = (int(code.base), code.nav) if code else (None, None)
            row.exhausted_issue = 0 if code else work.request.issue
        if None in codes:
            log.error("iuv.range_exhausted", creditor=work.request.record.creditor, rows=codes.count(None))

    # -- pagoPA

    def act(self, works: Sequence[Work[IuvRow]]) -> Sequence[Outcome]:
        """Open the positions, several at a time. Returns after `act_seconds` at the latest."""
        this = _Round(monotonic() + self._act_seconds)
        futures: list[Future[Outcome]] = [self._pool.submit(self._act_one, work, this) for work in works]
        wait(futures, timeout=self._act_seconds)
        outcomes: list[Outcome] = []
        for future in futures:
            if future.done():
                outcomes.append(future.result())
            elif future.cancel():
                outcomes.append(later("handful-too-slow"))
            else:  # its call goes on; the repeat looks it up
                outcomes.append(Transient(NoAnswer().code, lane=True))
        return outcomes

    def look(self, work: Work[IuvRow]) -> Outcome | None:
        """What stands at pagoPA under the row's IUPD."""
        asked = self._position(work)
        if not isinstance(asked, DebtPosition):
            return None
        book = self._books[work.request.record.creditor]
        try:
            standing = book.find(asked.iupd)
            return None if standing is None else self._judge(work, asked, standing)
        except PagoPaError as error:
            return outcome(error, asked.due)

    def close(self) -> None:
        """Let the calls in hand end."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for book in self._books.values():
            book.close()

    def _act_one(self, work: Work[IuvRow], this: _Round) -> Outcome:
        asked = self._position(work)
        if not isinstance(asked, DebtPosition):
            return asked
        lane = work.row.lane
        if lane in this.down:
            return this.down[lane]
        if monotonic() >= this.ends:
            return later("handful-too-slow")
        try:
            return this.note(lane, self._open(work, asked))
        except PagoPaError as error:
            return this.note(lane, outcome(error, asked.due))

    def _open(self, work: Work[IuvRow], asked: DebtPosition) -> Outcome:
        book = self._books[work.request.record.creditor]
        try:
            standing = book.open(asked)
        except (Conflict, NoAnswer) as error:
            found = book.find(asked.iupd)
            if found is None:
                if isinstance(error, Conflict):
                    # not ours, so it is the number that somebody else has
                    return Renew("iuv-taken")
                raise
            standing = found
        return self._judge(work, asked, standing)

    def _judge(self, work: Work[IuvRow], asked: DebtPosition, standing: Standing) -> Outcome:
        if not standing.is_that(asked):
            return Permanent("position-differs")
        if standing.status is PositionStatus.DRAFT:
            published = self._publish(work, asked)
            if published is None:
                return DUE_DATE_PAST if asked.due <= utc_now() else Permanent("position-stays-draft")
            standing = published
        if standing.status in (PositionStatus.INVALID, PositionStatus.EXPIRED):
            return Permanent(f"position-{standing.status.value.lower()}")
        return Done(
            Position(
                order=work.request.order, state=SectionState.DONE,
                iupd=asked.iupd, iuv=asked.code.iuv, notice_code=asked.code.nav,
            )
        )  # fmt: skip

    def _publish(self, work: Work[IuvRow], asked: DebtPosition) -> Standing | None:
        book = self._books[work.request.record.creditor]
        try:
            return book.publish(asked.iupd)
        except Conflict:  # published meanwhile, or not to be published any more
            found = book.find(asked.iupd)
            return None if found is None or found.status is PositionStatus.DRAFT else found

    def _position(self, work: Work[IuvRow]) -> DebtPosition | Outcome:
        """What pagoPA is asked for, or why it cannot be asked."""
        record, row = work.request.record, work.row
        creditor = self._creditors.get(record.creditor)
        if creditor is None:
            return Permanent("creditor-unknown")
        payment_type = creditor.payment_types.get(record.payment.payment_type)
        if payment_type is None:
            return Permanent("payment-type-unknown")
        if row.nav is None or row.iupd is None:
            # a higher issue: tried again after the range was widened, or the creditor configured
            exhausted = row.exhausted_issue == work.request.issue
            return Permanent("iuv-range-exhausted") if exhausted else Renew("iuv-missing")
        return DebtPosition(
            iupd=row.iupd, code=NoticeCode.parse(row.nav),
            debtor_kind=record.debtor.kind, debtor_fiscal_code=record.debtor.fiscal_code,
            debtor_name=record.debtor.name, address=record.debtor.address,
            company_name=creditor.name, office_name=creditor.contacts.office,
            amount_cents=record.payment.amount_cents, reason=record.payment.reason,
            due=due_instant(record.payment.due_date),
            iban=payment_type.iban, taxonomy=payment_type.taxonomy, fingerprint=row.fingerprint,
        )  # fmt: skip
