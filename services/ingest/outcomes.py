"""What other systems are told of their batches, from ingest's rows alone: so it can be told again.

A change counts up `news` in the transaction that makes it; the clock publishes what was not told and marks it then. A crash
between the two tells it once more, under the same revision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, update
from sqlalchemy import select as sql_select
from sqlmodel import col, select

from services.ingest.row_outcomes import batch_outcome, record_outcome
from services.ingest.tables import NEWS, Batch, ClientRequest, Row
from shared.contracts.envelope import Envelope
from shared.contracts.outcomes import Outcome, RecordOutcomes
from shared.db.engine import Database
from shared.db.locking import ordered_update
from shared.ids import derived

CHUNK = 200
AGAIN_SECONDS = 10
"""A batch is told again as a whole no more often than this, however often its request is repeated."""


class Outcomes:
    """`tick` tells what there is to tell. Two processes may tell the same."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime]
    ) -> None:
        """`publish` keeps nothing back for later: what was not told stays marked here."""
        self._database = database
        self._publish = publish
        self._now = now

    def tick(self) -> None:
        """First what is to be told again, then records, then batches: an end comes after the last record."""
        again, moved, batches = self._to_tell()
        if again:
            self._again(again)
            _, moved, batches = self._to_tell()
        for batch_id in batches:
            while self._tell_records(batch_id) == CHUNK:
                pass
        for asked, batch, standing in moved:
            self._tell_batch(asked, batch, standing)

    def _to_tell(self) -> tuple[list[UUID], list[tuple[ClientRequest, Batch, str]], list[UUID]]:
        """What is to be told again, the batches that moved, and those whose records did. The batches are read before the
        records: between the two, another replica may take in a batch's last record and state its end."""
        with self._database.read() as session:
            again = list(session.connection().execute(_AGAIN).scalars())
            moved = [(asked, batch, standing) for asked, batch, standing in session.exec(_MOVED)]
            return again, moved, list(session.connection().execute(_TOLD_OF).scalars())

    def _again(self, batch_ids: Sequence[UUID]) -> None:
        due = self._now() - timedelta(seconds=AGAIN_SECONDS)
        for batch_id in batch_ids:
            with self._database.write() as session:
                asked = session.get_one(ClientRequest, batch_id, with_for_update=True)
                if asked.again_at is None or asked.again_at <= due:
                    asked.again, asked.again_at, asked.told = False, self._now(), ""
                    mine = (col(Row.batch_id) == batch_id, col(Row.news) > 0)
                    session.connection().execute(ordered_update(Row, Row.id, *mine, told=0))

    def _tell_records(self, batch_id: UUID) -> int:
        """Up to `CHUNK` of a batch's records; how many."""
        with self._database.read() as session:
            asked = session.get_one(ClientRequest, batch_id)
            query = select(Row).where(Row.batch_id == batch_id, NEWS).order_by(col(Row.number)).limit(CHUNK)
            rows = list(session.exec(query))
        if not rows:
            return 0
        told = [record_outcome(row) for row in rows]
        self._say(asked, RecordOutcomes(request_id=asked.request_id, batch_id=batch_id, records=told))
        marks = [{"row_id": row.id, "of_news": row.news} for row in sorted(rows, key=lambda row: row.id)]
        mark = update(Row).where(col(Row.id) == bindparam("row_id")).values(told=bindparam("of_news"))
        with self._database.write() as session:
            # else another replica was asked for all of it meanwhile, and what we told came before that
            if session.get_one(ClientRequest, batch_id, with_for_update=True).again_at == asked.again_at:
                session.connection().execute(mark, marks)
        return len(rows)

    def _tell_batch(self, asked: ClientRequest, batch: Batch, standing: str) -> None:
        with self._database.read() as session:
            outcome = batch_outcome(asked, batch, session.exec(select(Row).where(Row.batch_id == batch.id)))
        self._say(asked, outcome)
        with self._database.write() as session:
            now = session.get_one(ClientRequest, batch.id, with_for_update=True)
            if now.told != standing:
                # another replica told of it, or was asked to, meanwhile: who knows in which order, so it is told again
                now.told = standing if (now.told, now.again_at) == (asked.told, asked.again_at) else ""

    def _say(self, asked: ClientRequest, outcome: Outcome) -> None:
        name = derived(type(outcome).__name__, asked.batch_id, outcome.model_dump_json())
        self._publish([Envelope.of(outcome, source="ingest", client=asked.client, correlation=asked.batch_id, id=name)])


def _standing() -> ColumnElement[str]:
    stop = case((col(Batch.cancelled), "x"), (col(Batch.paused), "p"), else_="")
    return col(Batch.until) + "/" + col(Batch.stated) + "/" + stop


_AGAIN = sql_select(col(ClientRequest.batch_id)).where(col(ClientRequest.again))
_TOLD_OF = sql_select(col(Row.batch_id)).where(NEWS).distinct()
_MOVED = select(ClientRequest, Batch, _standing()).where(
    ClientRequest.batch_id == Batch.id, col(ClientRequest.again_at).is_not(None), ClientRequest.told != _standing()
)
"""The batches whose standing is not the one that was told last. One that nobody was answered about yet waits."""
