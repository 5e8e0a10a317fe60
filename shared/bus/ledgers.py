"""The runner's hand on a stage's ledger: each method that writes is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar, cast
from uuid import UUID

from sqlalchemy import inspect, tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.bus.moves import Key, Move, Moves, moved
from shared.contracts.record import SECTIONS, Orders, Record, Section, SectionState
from shared.db.among import among
from shared.db.engine import Database
from shared.db.insert import detached, insert_missing
from shared.db.ledger import LedgerRow, LedgerState, fingerprint
from shared.stage import Done, LookableStage, Outcome, Refused, Request, Stage, Uncertain, Work

R = TypeVar("R", bound=LedgerRow)
Verdict = Literal["as-it-stands", "seen", "leased", "content-differs", "superseded"]
"""`seen`: somebody may have acted on the row before this handful, so it is looked at first. `superseded`: the record was
asked for anew since, so this order is not begun any more."""
SETTLED = (LedgerState.DONE, LedgerState.REFUSED, LedgerState.UNCERTAIN, LedgerState.WITHDRAWN)
PAGE = 200


class _Overtaken(Exception):
    """Another worker inserted one of our rows at the same moment."""


class Ledger(Generic[R]):
    """Reads and writes the rows of one stage."""

    def __init__(
        self, database: Database, stage: Stage[R], owner: str, alive: Callable[[str], bool], now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._stage = stage
        self._owner = owner
        self._alive = alive
        self._now = now
        self._table = inspect(stage.row_type).local_table
        self._moves = Moves(database, self._table, owner)

    def reserve(self, hand: Mapping[Key, Request]) -> list[tuple[Request, R, Verdict]]:
        """Rows for what is new (the stage fills them), and what stands for the rest; sorted by record id (lock order).

        Where another worker was faster with a new row, all of it is taken back (numbers too) and done again on what
        stands then: once for each row of the hand at most."""
        while True:
            with suppress(_Overtaken), self._database.write() as session:
                return self._reserve(session, hand)

    def _reserve(self, session: Session, hand: Mapping[Key, Request]) -> list[tuple[Request, R, Verdict]]:
        rows = self._orders(session, hand)
        latest: dict[UUID, int] = {}
        for record, order in (*hand, *rows):
            latest[record] = max(order, latest.get(record, 0))
        answers: list[tuple[Request, R, Verdict]] = []
        fresh: list[Work[R]] = []
        for key, request in hand.items():
            superseded = request.order < latest[request.record.id]
            if (row := rows.get(key)) is not None:
                answers.append((request, row, self._verdict(request, row, superseded=superseded)))
                continue
            row = self._new(request)
            if not superseded:
                fresh.append(Work(request, row))
            answers.append((request, row, "superseded" if superseded else "as-it-stands"))
        if fresh:
            self._stage.reserve(session, fresh)
            if insert_missing(session, [work.row for work in fresh]) < len(fresh):
                raise _Overtaken
        return answers

    def mark_acting(self, work: Work[R]) -> bool:
        """Set the row to `acting` with a lease of ours; `False` if somebody else got it meanwhile."""
        until = self._now() + timedelta(seconds=self._stage.lease_seconds)
        mark = self._move(LedgerState.ACTING, lease_owner=self._owner, lease_until=until)
        return bool(self._moves({work.request.key: mark}))

    def record(self, outcomes: Sequence[tuple[Work[R], Outcome]]) -> list[Work[R]]:
        """What came of each. Knowledge only grows, by the sections' ranks: a late success turns uncertain into done, and
        nothing turns done or refused into uncertain. The rows are as they stand then."""
        moves = {work.request.key: self._to(work.row, outcome) for work, outcome in outcomes}
        moving = self._moves(moves)
        standing = self._standing([key for key in moves if key not in moving])
        for work, _ in outcomes:
            if (key := work.request.key) in moving:
                moved(work.row, moves[key])
        return [Work(work.request, standing.get(work.request.key, work.row)) for work, _ in outcomes]

    def doubt(self, work: Work[R]) -> Work[R]:
        """Record an act whose worker died: nothing is known of it."""
        return self.record([(work, Uncertain(self.doubtful(work)))])[0]

    def doubtful(self, work: Work[R]) -> Section:
        """The section of an act of which nothing is known."""
        doubt = getattr(self._stage, "doubt", None)
        return doubt(work) if doubt else self._blank(work.row, SectionState.UNCERTAIN, "interrupted", "")

    def renew(self, work: Work[R]) -> Work[R]:
        """Another reservation for the same row."""
        with self._database.write() as session:
            row = session.exec(self._query([work.request.key]).with_for_update()).one()
            fresh = Work(work.request, row)
            cast("LookableStage[R]", self._stage).renew(session, fresh)
            session.add(row)
        return fresh

    def pages(self, batch_ids: list[UUID] | None) -> Iterator[list[R]]:
        """All rows (of some batches), in pages by key."""
        table = self._stage.row_type
        last: Key | None = None
        while True:
            with self._database.read() as session:
                query = select(table).order_by(col(table.record_id), col(table.order)).limit(PAGE)
                if batch_ids is not None:
                    query = query.where(col(table.batch_id).in_(batch_ids))
                if last is not None:
                    query = query.where(tuple_(col(table.record_id), col(table.order)) > last)
                rows = list(session.exec(query))
            if not rows:
                return
            yield rows
            last = rows[-1].record_id, rows[-1].order

    def section(self, row: R) -> Section:
        """The section that the row recorded."""
        return SECTIONS[self._stage.name][1].model_validate(row.section)

    def request(self, row: R) -> Request:
        """The request as it was last asked."""
        return Request(
            Record.model_validate(row.request["record"]),
            Orders.model_validate(row.request["orders"]),
            row.issue,
            self._stage.name,
        )

    # -- inside

    def _standing(self, keys: list[Key]) -> dict[Key, R]:
        if not keys:
            return {}
        with self._database.read() as session:
            return {(row.record_id, row.order): row for row in session.exec(self._query(keys))}

    def _query(self, keys: list[Key]) -> SelectOfScalar[R]:
        table = self._stage.row_type
        return select(table).where(tuple_(col(table.record_id), col(table.order)).in_(keys))

    def _orders(self, session: Session, hand: Mapping[Key, Request]) -> dict[Key, R]:
        """The rows of these records, of any order."""
        table = self._stage.row_type
        query = select(table).where(among(session, self._table.columns.record_id, {record for record, _ in hand}))
        found = session.exec(query.order_by(col(table.record_id), col(table.order)).with_for_update())
        return {(row.record_id, row.order): row for row in found}

    def _new(self, request: Request) -> R:
        return detached(
            self._stage.row_type,
            record_id=request.record.id,
            order=request.order,
            batch_id=request.record.batch_id,
            issue=request.issue,
            state=LedgerState.RESERVED.value,
            fingerprint=fingerprint(self._stage.acted_on(request)),
            lane=self._stage.lane(request),
            request=_asked(request),
            updated_at=self._now(),
        )

    def _verdict(self, request: Request, row: R, *, superseded: bool) -> Verdict:
        if row.fingerprint != fingerprint(self._stage.acted_on(request)):
            return "content-differs"
        if request.issue >= row.issue:
            row.issue, row.request = request.issue, _asked(request)
        if row.state == LedgerState.ACTING and row.lease_until is not None:
            running = row.lease_owner != self._owner and self._alive(row.lease_owner)
            return "leased" if running and self._now() < row.lease_until else "seen"
        if row.state == LedgerState.RESERVED:
            return "superseded" if superseded else "seen"
        return "seen" if row.state == LedgerState.UNCERTAIN else "as-it-stands"

    def _to(self, row: R, outcome: Outcome) -> Move:
        match outcome:
            case Done(section):
                return self._move(LedgerState.DONE, section)
            case Refused(code, detail):
                return self._move(LedgerState.REFUSED, self._blank(row, SectionState.REFUSED, code, detail))
            case Uncertain(section):
                return self._move(LedgerState.UNCERTAIN, section)
            case _:
                return self._move(LedgerState.RESERVED)

    def _move(
        self, state: LedgerState, section: Section | None = None, *, lease_owner: str = "",
        lease_until: datetime | None = None,
    ) -> Move:  # fmt: skip
        known = None if section is None else section.model_dump(mode="json", exclude_none=True)
        return Move(
            state=state, section=known, lease_owner=lease_owner, lease_until=lease_until, updated_at=self._now()
        )

    def _blank(self, row: R, state: SectionState, code: str, detail: str) -> Section:
        return SECTIONS[self._stage.name][1](order=row.order, state=state, code=code, detail=detail)


def _asked(request: Request) -> dict[str, Any]:
    return {
        "record": request.record.model_dump(mode="json", exclude_none=True),
        "orders": request.orders.model_dump(mode="json"),
    }
