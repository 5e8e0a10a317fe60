"""The status service from its settings, database and publisher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from uuid import uuid4

import structlog
from fastapi import FastAPI
from sqlmodel import col, select

from services.status.api.app import build_app
from services.status.api.context import Context
from services.status.api.hub import Hub
from services.status.api.kept import CommandDesk
from services.status.api.metrics import read_model
from services.status.fold import fold_handful
from services.status.ports import CommandPublisher
from services.status.settings import StatusSettings
from services.status.tables import SCHEMA, Base, BatchRow
from shared.bus.outages import OUTAGES
from shared.contracts.commands import Restate
from shared.contracts.envelope import Envelope
from shared.db.engine import Database
from shared.db.locking import await_turn
from shared.metrics import FACTS, FOLD_SECONDS, TICKED, gauges, timed
from shared.wiring import Consumes, Setup

log = structlog.get_logger()

CONSUMES = (Consumes("status", 200, linger=0.1),)
"""Facts ask for no act and pages look four times a second: to wait for more of them costs nobody anything."""


@dataclass(frozen=True, slots=True)
class StatusService:
    """What the composition root runs: `take` for each handful of facts, `sweep` every few seconds, `app` by uvicorn
    (without access log: `uvicorn.Config(app, host="127.0.0.1", access_log=False)`)."""

    database: Database
    app: FastAPI
    context: Context
    publisher: CommandPublisher
    unmeasure: Callable[[], None]

    def take(self, envelopes: Sequence[Envelope]) -> None:
        """Fold a handful in one transaction, then tell those who look on. Ack once it returns; on an exception something of
        ours did not answer, and comes again. A fact that cannot be kept is left out, and logged: `Restate` brings it again."""
        try:
            self._fold(envelopes)
        except OUTAGES:
            raise
        except Exception:
            log.exception("fact.handful-parted", size=len(envelopes))
            for envelope in envelopes:  # a single one too: it may only have met somebody else's at the same row
                self._alone(envelope)

    def _alone(self, envelope: Envelope) -> None:
        try:
            self._fold([envelope])
        except OUTAGES:
            raise
        except Exception:
            log.exception("fact-not-kept", key=envelope.key, id=envelope.id)
            FACTS.labels("unreadable").inc()

    def _fold(self, envelopes: Sequence[Envelope]) -> None:
        with timed(FOLD_SECONDS), self.database.write() as session:
            await_turn(session, "status.fold")  # whoever else folds reads rows that this handful changes
            touched = fold_handful(session, envelopes)
        FACTS.labels("folded").inc(len(envelopes) - touched.unreadable)
        FACTS.labels("unreadable").inc(touched.unreadable)
        self.context.hub.tell(touched.changes, lanes=touched.lanes)

    def recover(self) -> None:
        """At start, and after the broker lost its queues: ask everybody to say again what they know; of all batches where
        none is known. The answers come as facts. Raises what the broker and the database raise."""
        ended = col(BatchRow.cancelled) | (col(BatchRow.milestone) == "settled")
        with self.database.read() as session:
            moving = None if self.empty else list(session.exec(select(BatchRow.id).where(~ended)))
        if moving is None or moving:
            self.publisher.publish([Envelope.of(Restate(request_id=uuid4(), batch_ids=moving), source="status")])

    @property
    def empty(self) -> bool:
        """Whether no batch is known: a new database, or one that was lost."""
        with self.database.read() as session:
            return session.exec(select(BatchRow.id).limit(1)).first() is None

    def sweep(self) -> int:
        """Publish unanswered commands again; how many."""
        count = self.context.desk.sweep()
        TICKED.labels("status").set_to_current_time()
        return count

    def close(self) -> None:
        """End the event streams and let go of the database. Call it before the web server is asked to stop."""
        self.unmeasure()
        self.context.hub.close()
        self.database.close()


def template() -> bytes:
    """The empty spreadsheet (S4). It belongs to ingest, which no other service imports: a copy of it comes with the pages."""
    return (files("services.status.web") / "TracciatoInvioMassivo.xlsx").read_bytes()


def wire(
    setup: Setup,
    publisher: CommandPublisher,
    template_xlsx: Callable[[], bytes] = template,
    settings: StatusSettings | None = None,
    troubles: Callable[[], Mapping[str, str]] = dict,
) -> StatusService:
    """Build the service; tables are made where they are missing. `troubles`: see `Context`."""
    settings = settings or StatusSettings()
    database = Database(setup.database_url("status"), Base.metadata, SCHEMA)
    database.create_all()
    desk = CommandDesk(database, publisher, timedelta(seconds=settings.command_patience_seconds))
    context = Context(
        database=database,
        documents=setup.documents,
        creditors=setup.creditors,
        settings=settings,
        desk=desk,
        publisher=publisher,
        hub=Hub(),
        template_xlsx=template_xlsx,
        troubles=troubles,
    )
    return StatusService(database, build_app(context), context, publisher, gauges(lambda: read_model(database)))
