"""What is lost and comes back: status's database, the broker's queues, an outside system for hours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlmodel import col, func, select

from deploy.embedded import Relay
from deploy.simulators.pagopa import PagoPaSimulator
from services.ingest.model import RowState
from services.ingest.tables import Row
from services.status.tables import Base
from shared.bus.connection import Broker
from shared.bus.publisher import Publisher
from shared.bus.topology import BINDINGS, Topology
from shared.contracts.envelope import Envelope
from shared.contracts.facts import RecordFact
from shared.creditors import Creditors
from shared.db.engine import Database
from tests.builders import a_rendered_record
from tests.databases import database_url, lose
from tests.e2e.run_hand import PEOPLE
from tests.relay_hand import ask, ended, relay_at, wait_for, world

TO_CORRECT = ("Neri Ugo", "RSSMRA85T50H501S", None, "non un importo", "ugo.neri@posta.example")
Place = tuple[Path, Creditors, PagoPaSimulator]
Table = dict[Any, dict[str, Any]]
HISTORY = ("stage-failed", "stage-deferred")
"""What no ledger keeps."""
STAGES = ("iuv-assigned", "notice-rendered", "notice-registered", "notice-sent")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with world(tmp_path / "world") as (creditors, pagopa):
        yield tmp_path / "relay", creditors, pagopa


def read_model(folder: Path) -> dict[str, Table]:
    """Status's tables, row for row, but for people's commands (which no fact tells) and what is history."""
    database, found = Database(database_url(folder, "status"), Base.metadata, "status"), {}
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            rows = [dict(row) for row in session.connection().execute(table.select()).mappings()]
            keys = [column.name for column in table.primary_key]
            found[table.name] = {tuple(row[key] for key in keys): row for row in rows if row.get("kind") not in HISTORY}
    database.close()
    return {name: rows for name, rows in found.items() if name not in ("command", "lane")}


def when(timeline: Table) -> tuple[dict[Any, datetime], Table]:
    """The times of what the stages did, and the timeline without times: ingest's facts about a batch have none of their
    own, and that something was told again is said."""
    times = {key: row["at"] for key, row in timeline.items() if row["kind"] in STAGES}
    rest = {key: {name: row[name] for name in row if name not in ("at", "restated")} for key, row in timeline.items()}
    return times, rest


def done(relay: Relay) -> int:
    """Records that have all that they were to get."""
    with relay.ingest.database.read() as session:
        return session.exec(select(func.count()).where(Row.state == RowState.FINISHED.value)).one()


def test_a_status_without_its_database_is_as_before(place: Place) -> None:
    folder, creditors, _ = place
    with relay_at(folder, creditors) as relay:
        batch = ask(relay, folder, [*PEOPLE, TO_CORRECT])
        wait_for(lambda: ended(relay, batch))
        wait_for(lambda: milestone(folder) == "settled")
    before = read_model(folder)
    assert {row["state"] for row in before["record"].values()} == {"sent", "by-hand", "to-correct"}
    lose(folder, "status")
    restart = datetime.now(UTC)
    with relay_at(folder, creditors) as relay:
        wait_for(lambda: len(read_model(folder)["timeline"]) == len(before["timeline"]))
    after = read_model(folder)
    times, told = when(before.pop("timeline"))
    times_after, told_after = when(after.pop("timeline"))
    assert after == before
    assert told_after == told
    assert times_after.keys() == times.keys()
    assert all(at < restart for at in times_after.values())


def milestone(folder: Path) -> str:
    rows = read_model(folder)["batch"].values()
    return next((row["milestone"] for row in rows), "")


def test_a_broker_that_loses_its_queues_in_mid_batch_costs_nothing(place: Place) -> None:
    folder, creditors, _ = place
    people = [
        (f"Rossi {number}", "RSSMRA85T50H501S", None, 10 + number, f"r{number}@posta.example") for number in range(40)
    ]
    with relay_at(folder, creditors) as relay:
        batch = ask(relay, folder, people)
        wait_for(lambda: done_or_sent(relay) > 2)
        names = [str(relay._topology.queue(name).name) for name in BINDINGS]
        with Broker().connect() as connection, connection.channel() as channel:
            purged = 0
            while not purged:  # without a pause: few parcels lie there, and not for long
                assert done(relay) < len(people), "nothing lay in a queue from beginning to end"
                purged = sum(channel.queue_purge(name) or 0 for _ in range(200) for name in names)
        assert done(relay) < len(people)
        relay.ingest.recover()
        wait_for(lambda: ended(relay, batch))
        assert done(relay) == len(people)
    messages = list((folder.parent / "world" / "inviati").glob("*.eml"))
    assert len(messages) == len(people)


def done_or_sent(relay: Relay) -> int:
    with relay.ingest.database.read() as session:
        return session.exec(select(func.count()).where(col(Row.phase) == "send")).one()


@pytest.mark.sqlite
def test_an_outage_of_ten_hours_parks_nobody(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour is a second here. pagoPA is gone before the first record, and for ten seconds."""
    monkeypatch.setenv("STAFFETTA_LANE_PROBE_SECONDS", str([seconds / 3600 for seconds in (5, 15, 60, 300)]))
    monkeypatch.setenv("STAFFETTA_INGEST_RETRY_SECONDS", str([seconds / 3600 for seconds in (30, 300, 3600)]))
    folder, creditors, pagopa = place
    people = [
        (f"Rossi {number}", "RSSMRA85T50H501S", None, 10 + number, f"r{number}@posta.example") for number in range(60)
    ]
    port = urlsplit(pagopa.url).port or 0
    pagopa.stop()
    with relay_at(folder, creditors) as relay:
        batch = ask(relay, folder, people)
        wait_for(lambda: relay.runners["iuv"].lanes.closed() != {})
        time.sleep(10.0)
        with relay.ingest.database.read() as session:
            attempts = session.exec(select(func.max(Row.attempts))).one()
            parked = session.exec(select(func.count()).where(Row.state == RowState.PARKED.value)).one()
        pagopa.start(folder.parent / "world" / "pagopa", port)
        wait_for(lambda: ended(relay, batch))
        assert (parked, done(relay)) == (0, len(people))
        assert attempts <= 1  # those that closed the lane


@pytest.mark.sqlite
def test_no_queue_of_a_stage_gets_a_restated_fact() -> None:
    topology, broker = Topology(f"restated-{uuid4().hex[:8]}"), Broker()
    with broker.connect() as connection, connection.channel() as channel:
        topology.declare(connection)
        publisher = Publisher(broker, topology)
        record = a_rendered_record()
        kinds = [kind for owner in RecordFact.__subclasses__() for kind in (owner, *owner.__subclasses__())]
        publisher.publish(
            [Envelope.of(kind(record=record), source=kind.owner, restated=True) for kind in kinds if kind.owner]
        )
        held = {name: channel.queue_purge(str(topology.queue(name).name)) or 0 for name in BINDINGS}
        publisher.close()
    assert {name for name, count in held.items() if count} == {"ingest.facts", "status"}
    assert held["status"] == len(kinds)
