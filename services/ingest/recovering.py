"""What ingest does at its start, and after the broker lost what it held: everybody says again what they know; then what was
issued, and still has no answer, is published again under its old ids. Stages know a repeat, so that this may be done at any
time, and by two replicas at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy import delete, exists, or_
from sqlmodel import col, select

from services.ingest.model import RowState
from services.ingest.pacer import Pacer
from services.ingest.tables import SENT, Batch, HeardRestated, Row
from shared.contracts.base import StageName
from shared.contracts.commands import Restate
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Restated
from shared.db.engine import Database

log = structlog.get_logger()
LOOK_SECONDS = 0.1
KEPT = timedelta(days=1)
STAGES = tuple(stage.value for stage in StageName)


class Recovering:
    """See the module. `hear` is for the consumer of facts, in whichever replica it is: who waits looks into the database."""

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], pacer: Pacer,
        now: Callable[[], datetime], seconds: float,
    ) -> None:  # fmt: skip
        self._database = database
        self._publish = publish
        self._pacer = pacer
        self._now = now
        self._seconds = seconds

    def recover(self, batch_ids: Collection[UUID] | None) -> int:
        """Have these batches (`None`: all) restated, wait for the stages or some seconds, publish again; how many."""
        if batch_ids is None or batch_ids:
            ids = sorted(batch_ids) if batch_ids is not None else None
            command = Restate(request_id=uuid4(), batch_ids=ids)
            self._publish([Envelope.of(command, source="ingest")])
            if not self.await_restated(command.request_id, STAGES, self._seconds):
                log.warning("ingest.restated-late", request_id=str(command.request_id), seconds=self._seconds)
        return self._pacer.republish()

    def unsettled(self) -> list[UUID]:
        """The batches of which something may not have come to us yet: not at their end, or with records in doubt, or
        without an answer."""
        doubtful = col(Row.state).in_((RowState.UNCERTAIN.value, RowState.ISSUED.value))
        open_ = or_(col(Batch.stated) != SENT, exists().where(doubtful, col(Row.batch_id) == col(Batch.id)))
        with self._database.read() as session:
            return list(session.exec(select(Batch.id).where(Batch.ingested, open_)))

    def hear(self, answers: Sequence[Restated]) -> None:
        """Services said that they have restated all that was asked for."""
        if not answers:
            return
        with self._database.write() as session:
            session.connection().execute(delete(HeardRestated).where(col(HeardRestated.at) < self._now() - KEPT))
            for request_id, service in sorted({(answer.request_id, answer.service) for answer in answers}):
                session.merge(HeardRestated(request_id=request_id, service=service, at=self._now()))

    def await_restated(self, request_id: UUID, services: Collection[str], seconds: float) -> bool:
        """Wait until these services have restated; whether they did in time."""
        deadline = time.monotonic() + seconds
        while not self._heard(request_id) >= set(services):
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _heard(self, request_id: UUID) -> set[str]:
        query = select(HeardRestated.service).where(HeardRestated.request_id == request_id)
        with self._database.read() as session:
            return set(session.exec(query))
