"""An installation for one measure: schemas, topology, documents, and a batch that waits for somebody's decision."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import text

from deploy.migrations.chains import SERVICES, transaction, upgrade
from shared.bus.connection import Broker
from shared.bus.publisher import Publisher
from shared.bus.topology import Topology
from shared.contracts.base import Channel
from shared.contracts.commands import BatchOptions, GenerateNotices, RegisterOptions, RequestBatch, SendNotices
from shared.contracts.envelope import Envelope
from shared.documents import XLSX, FolderStore
from tests.bench.processes import Processes

LEDGERS = ("iuv.iuv_ledger", "render.rendering", "protocol.protocol_ledger", "dispatch.sending")
FACTS = ("iuv-assigned", "notice-rendered", "notice-registered", "notice-sent")
POLL_SECONDS = 0.2
STALL_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Installation:
    """Where everything is. `database` as libpq wants it."""

    broker: str
    database: str
    topology: Topology
    folder: Path
    publisher: Publisher

    @property
    def environment(self) -> dict[str, str]:
        """What a process is told."""
        return {
            "STAFFETTA_BROKER_URL": self.broker,
            "STAFFETTA_NAMESPACE": self.topology.namespace,
            "STAFFETTA_FOLDER": str(self.folder),
            "STAFFETTA_DATABASE_URL": _sqlalchemy(self.database),
            "STAFFETTA_LOG_LEVEL": "WARNING",
            "STAFFETTA_HTTP_PORT": "0",
        }

    def request(self, sheet: Path) -> UUID:
        """Ask for a batch without letter, registered, to be sent by what each address is; nothing of it is allowed yet."""
        batch = uuid4()
        options = BatchOptions(
            channel=Channel.AUTO, payment_type="scuolabus", due_date=due_date(), reason="Trasporto scolastico",
            register_options=RegisterOptions(subject="Avviso di pagamento", classification="7.1", office="scuola"),
        )  # fmt: skip
        command = RequestBatch(
            command_id=uuid4(), batch_id=batch, request_id=str(batch), client="status", creditor="c_x999",
            options=options, file_name=sheet.name,
            sheet=FolderStore(self.folder / "documents").put(sheet.read_bytes(), XLSX),
        )  # fmt: skip
        self.publisher.publish([Envelope.of(command, source="status", correlation=batch)])
        return batch

    def allow(self, batch: UUID) -> None:
        """Both decisions at once."""
        decisions = [
            GenerateNotices(command_id=uuid4(), batch_id=batch),
            SendNotices(command_id=uuid4(), batch_id=batch),
        ]
        self.publisher.publish([Envelope.of(each, source="status", correlation=batch) for each in decisions])

    def count(self, batch: UUID, state: str) -> int:
        """Records of a batch in a state, as status knows them."""
        return self._number("select count(*) from status.record where batch_id = %s and state = %s", batch, state)

    def wait(self, batch: UUID, state: str, records: int, processes: Processes) -> float:
        """The seconds until so many records of the batch are in the state. Raises where a process ended, or nothing moves."""
        started = time.monotonic()
        done, moved = -1, time.monotonic()
        while done < records:
            time.sleep(POLL_SECONDS)
            processes.alive()
            if (now := self.count(batch, state)) > done:
                done, moved = now, time.monotonic()
            if time.monotonic() - moved > STALL_SECONDS:
                raise TimeoutError(f"{done} of {records} records are {state}, and nothing moves")
        return time.monotonic() - started

    def audit(self, records: int) -> None:
        """Raises unless every ledger, ingest and the timeline have every record once."""
        wrong = {}
        for table in LEDGERS:
            wrong[table] = self._number(f"select count(*) from {table} where state = 'done'")
        wrong["registered"] = self._number("select count(distinct number) from protocol.register_entry")
        wrong["ingest"] = self._number("select count(*) from ingest.row where state = 'finished'")
        for fact in FACTS:
            wrong[fact] = self._number("select count(distinct record_id) from status.timeline where kind = %s", fact)
        wrong = {name: count for name, count in wrong.items() if count != records}
        assert not wrong, f"of {records} records: {wrong}"

    def _number(self, query: str, *values: object) -> int:
        with psycopg.connect(self.database) as connection:
            row = connection.execute(query.encode(), values).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def installed(broker: str, database: str, folder: Path) -> Iterator[Installation]:
    """Schemas and topology, removed afterwards."""
    topology = Topology(f"bench-{uuid4().hex[:8]}")
    _schemas(database)
    link = Broker(broker)
    with link.connect() as connection:
        topology.declare(connection)
    publisher = Publisher(link, topology)
    try:
        yield Installation(broker, database, topology, folder, publisher)
    finally:
        publisher.close()
        with link.connect() as connection, connection.channel() as channel:
            for queue in topology.queues():
                channel.queue_delete(queue.name)
            for exchange in topology.exchanges():
                channel.exchange_delete(exchange.name)


def due_date() -> date:
    """60 days from today."""
    return datetime.now(UTC).date() + timedelta(days=60)


def _schemas(database: str) -> None:
    with transaction(_sqlalchemy(database)) as connection:
        for schema in SERVICES:
            connection.execute(text(f"drop schema if exists {schema} cascade"))
            upgrade(connection, schema)


def _sqlalchemy(database: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(database)
    password = f":{parts['password']}" if parts.get("password") else ""
    return f"postgresql+psycopg://{parts['user']}{password}@{parts['host']}:{parts['port']}/{parts['dbname']}"
