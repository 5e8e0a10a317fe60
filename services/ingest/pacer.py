"""The pacer: issues records to the stages, a bounded number at a time, creditors and batches in turn.

In flight are the rows in state `issued`. Issuing commits first and publishes then: what was not confirmed is published
again at start, with the same issue, and the stages know a repeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.model import RowState, Step
from services.ingest.pace import Pace, lanes_ahead
from services.ingest.tables import Batch, Row
from shared.contracts.base import Phase
from shared.contracts.commands import (
    AssignIuv,
    DispatchNotice,
    PreviewRecord,
    RecordCommand,
    RegisterNotice,
    WithdrawPosition,
)
from shared.contracts.envelope import Envelope
from shared.db.engine import Database
from shared.ids import derived

TURN = 25
"""How many records of one batch are issued before the next batch has its turn."""
PREVIEWS_IN_FLIGHT = 40
COMMANDS: dict[Step, type[RecordCommand]] = {
    Step.IUV: AssignIuv,
    Step.RENDER: AssignIuv,  # iuv states its fact again, which is what render takes
    Step.PROTOCOL: RegisterNotice,
    Step.DISPATCH: DispatchNotice,
}
PHASES = {Phase.PREVIEW.value: (), Phase.GENERATE.value: (Phase.GENERATE.value,)}


class Pacer:
    """`tick` issues what has room; call it often, it is cheap when there is nothing to do."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], pace: Pace, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._publish = publish
        self._pace = pace
        self._now = now

    def tick(self) -> int:
        """Issue; returns how many records were."""
        out: list[Envelope] = []
        with self._database.read() as session:
            idle = not self._work_waits(session)
        if idle:
            return 0
        with self._database.write() as session:
            used = self._in_flight(session)
            turns = self._turns(session)
            while turns:
                turns = [batch for batch in turns if self._turn(session, batch, used, out)]
            self._previews(session, out)
        self._publish(out)
        return len(out)

    def republish(self) -> int:
        """Publish every issued row again, with the same issue: after a start, or a wiped broker."""
        with self._database.write() as session:
            for row in session.exec(select(Row).where(Row.preview == "issued")):
                row.preview = ""
                session.add(row)
            rows = list(session.exec(select(Row).where(Row.state == RowState.ISSUED.value)))
        self._publish([_command(row) for row in rows])
        return len(rows)

    # -- inside

    def _work_waits(self, session: Session) -> bool:
        due = or_(col(Row.state) == RowState.READY.value, _due(self._now()))
        return session.exec(select(Row.id).where(due).limit(1)).first() is not None

    def _in_flight(self, session: Session) -> dict[str, int]:
        used: dict[str, int] = defaultdict(int)
        groups = (col(Row.phase), col(Row.step), col(Row.creditor), col(Row.channel))
        query = sql_select(*groups, func.count()).where(col(Row.state) == RowState.ISSUED.value).group_by(*groups)
        for phase, step, creditor, channel, count in session.connection().execute(query):
            for lane in lanes_ahead(phase, step, creditor, channel):
                used[lane] += count
        return used

    def _turns(self, session: Session) -> list[Batch]:
        """The batches that may issue, creditors in turn."""
        query = (
            select(Batch)
            .where(Batch.ingested, ~col(Batch.merging), or_(~col(Batch.paused), col(Batch.cancelling)))
            .order_by(col(Batch.created_at), col(Batch.id))
        )
        by_creditor: dict[str, list[Batch]] = defaultdict(list)
        for batch in session.exec(query):
            by_creditor[batch.creditor].append(batch)
        rounds = max((len(batches) for batches in by_creditor.values()), default=0)
        return [
            batches[number] for number in range(rounds) for batches in by_creditor.values() if number < len(batches)
        ]

    def _turn(self, session: Session, batch: Batch, used: dict[str, int], out: list[Envelope]) -> bool:
        """One batch's turn; whether it may have another."""
        issued = 0
        for row in self._candidates(session, batch):
            lanes = lanes_ahead(row.phase, row.step, row.creditor, row.channel)
            if any(used[lane] >= self._pace.capacity(lane) for lane in lanes):
                continue
            for lane in lanes:
                used[lane] += 1
            row.state, row.issue, row.next_at, row.issued_at = RowState.ISSUED.value, row.issue + 1, None, self._now()
            session.add(row)
            out.append(_command(row))
            issued += 1
        if issued:
            session.flush()
        return issued == TURN

    def _candidates(self, session: Session, batch: Batch) -> list[Row]:
        phases = PHASES.get(batch.until, (Phase.GENERATE.value, Phase.SEND.value))
        stopped = batch.cancelling or batch.cancelled
        allowed = col(Row.phase).in_(() if stopped else phases)
        due = _due(self._now())
        query = (
            select(Row)
            .where(Row.batch_id == batch.id)
            .where(
                or_((col(Row.state) == RowState.READY.value) & allowed, due & allowed, due & (col(Row.errand) != ""))
            )
            .order_by(col(Row.phase).desc(), col(Row.number))
            .limit(TURN)
        )
        return list(session.exec(query))

    def _previews(self, session: Session, out: list[Envelope]) -> None:
        """Letters of records that nobody has generated yet, for the preview page."""
        room = PREVIEWS_IN_FLIGHT - len(list(session.exec(select(Row.id).where(Row.preview == "issued"))))
        if room <= 0:
            return
        previewed = select(Batch).where(
            Batch.ingested,
            ~col(Batch.merging),
            Batch.until == Phase.PREVIEW.value,
            ~col(Batch.cancelled),
            ~col(Batch.paused),
        )
        with_letter = [batch.id for batch in session.exec(previewed) if batch.batch_options.letter]
        query = (
            select(Row)
            .where(col(Row.batch_id).in_(with_letter), Row.state == RowState.READY.value, Row.preview == "")
            .order_by(col(Row.batch_id), col(Row.number))
            .limit(room)
        )
        for row in session.exec(query):
            row.preview = "issued"
            session.add(row)
            command = PreviewRecord(record=row.whole, orders=row.current_orders, issue=max(1, row.issue))
            name = derived("preview", row.id, row.revision)
            out.append(Envelope.of(command, source="ingest", correlation=row.batch_id, id=name))


def _due(now: datetime) -> ColumnElement[bool]:
    waiting = col(Row.state) == RowState.WAITING.value
    return and_(waiting, or_(col(Row.next_at).is_(None), col(Row.next_at) <= now))


def _command(row: Row) -> Envelope:
    kind = WithdrawPosition if row.errand else COMMANDS[Step(row.step)]
    command = kind(record=row.whole, orders=row.current_orders, issue=row.issue)
    name: UUID = derived("issue", row.id, kind.__name__, row.issue)
    return Envelope.of(command, source="ingest", correlation=row.batch_id, id=name)
