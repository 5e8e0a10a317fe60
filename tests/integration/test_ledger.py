"""The ledger over SQLite and PostgreSQL, and what only several processes on PostgreSQL bring about."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session, func, select

from shared.bus.ledgers import Ledger
from shared.bus.runner import StageRunner
from shared.contracts.commands import DispatchNotice
from shared.contracts.facts import NoticeSent, StageDeferred, StageFailed
from shared.contracts.record import Orders
from shared.db.change import Change
from shared.db.engine import Database
from shared.db.ledger import LedgerState
from shared.stage import Request, Work
from shared.wiring import StageService
from tests.builders import a_record
from tests.databases import a_database, over_postgresql, where
from tests.fakes import Clock, FakeBase, FakeRow, FakeStage, Out, delivered
from tests.servers.postgresql import execute
from tests.suites.ledger import LedgerSuite
from tests.together import together

WORKERS = 4
HANDFUL = 50


class TestLedgerOverSqlite(LedgerSuite):
    """See `LedgerSuite`."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        found = a_database(tmp_path, FakeBase.metadata, "fake")
        yield found
        found.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """On PostgreSQL."""
    with over_postgresql():
        before = execute(where(), DEADLOCKS)
        yield a_database(tmp_path, FakeBase.metadata, "fake")
        assert execute(where(), DEADLOCKS) == before


DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


class TestLedgerOverPostgresql(LedgerSuite):
    """See `LedgerSuite`."""


def workers(database: Database, stages: Sequence[FakeStage]) -> list[tuple[StageRunner, Out]]:
    """One runner per stage, each like a process of its own."""
    found = []
    for number, stage in enumerate(stages):
        out = Out()
        service = StageService(database, stage, frozenset({DispatchNotice}))
        found.append((StageRunner(service, out, f"worker-{number}"), out))
    return found


def work_through(runner: StageRunner, rows: int, seed: int) -> None:
    """All the rows in handfuls that overlap everybody else's, in an order of one's own."""
    order = list(range(2, rows + 2))
    random.Random(seed).shuffle(order)
    for start in range(0, rows, HANDFUL):
        runner.handle([delivered(DispatchNotice(record=a_record(row))) for row in order[start : start + HANDFUL]])


@pytest.mark.parametrize(("lookable", "rows"), [(True, 1500), (False, 400)], ids=["lookable", "unlookable"])
def test_four_workers_on_overlapping_handfuls_never_deadlock(database: Database, lookable: bool, rows: int) -> None:
    stage = FakeStage(lookable=lookable, connections=2)
    found = workers(database, [stage] * WORKERS)
    together(
        *(lambda runner=runner, seed=seed: work_through(runner, rows, seed) for seed, (runner, _) in enumerate(found))
    )
    said = [message for _, out in found for message in out.take()]
    for runner, _ in found:
        runner.close()
    assert not [message for message in said if isinstance(message, StageFailed)]
    assert {message.record.row for message in said if isinstance(message, NoticeSent)} == set(range(2, rows + 2))
    with database.read() as session:
        counted = select(FakeRow.state, func.count()).group_by(FakeRow.state)
        assert dict(session.exec(counted).all()) == {LedgerState.DONE: rows}
    if not lookable:  # another's lease is waited for, never acted over
        assert max(Counter(stage.outside).values()) == 1
        assert all(message.code == "leased" for message in said if isinstance(message, StageDeferred))


class Meeting(FakeStage):
    """Two workers reserve the same new rows at the same moment: both have seen that they are not there."""

    def __init__(self, inside: Database) -> None:
        super().__init__()
        self.database = inside
        self.rounds = 0

    def reserve(self, session: Session, works: Sequence[Work[FakeRow]]) -> None:
        self.rounds += 1
        if self.rounds == 1:
            [(other, _)] = workers(self.database, [FakeStage()])
            other.handle([delivered(DispatchNotice(record=work.request.record)) for work in works[1:]])
            other.close()
        super().reserve(session, works)


def test_a_worker_that_was_overtaken_begins_again_on_what_stands(database: Database) -> None:
    stage = Meeting(database)
    [(runner, out)] = workers(database, [stage])
    runner.handle([delivered(DispatchNotice(record=a_record(row))) for row in range(2, 7)])
    runner.close()
    sent = [message for message in out.take() if isinstance(message, NoticeSent)]
    assert (len(sent), stage.rounds) == (5, 2)
    assert len(stage.outside) == 1, "four were the other's"


SEQUENTIAL = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE schemaname = 'fake' AND relname = 'ledger'")


def test_rows_are_found_by_their_keys_in_a_small_table_too(database: Database) -> None:
    ledger = Ledger(database, FakeStage(), "one", lambda _owner: True, Clock())
    asked = [Request(a_record(row), Orders(), 1, FakeStage.name) for row in range(2, 302)]
    ledger.reserve({each.key: each for each in sorted(asked, key=lambda each: each.key)})
    change = Change(FakeBase.metadata.tables["ledger"], ["issue"], lambda row, new: row["issue"] < new["issue"])
    with database.write() as session:
        connection = session.connection()
        before = connection.scalar(SEQUENTIAL)
        for issue in range(2, 14):  # the server keeps to a plan from the eleventh time on
            rows = [{"record_id": each.record.id, "order": 1, "issue": issue} for each in asked[:4]]
            assert len(change(connection, rows)) == len(rows)
        assert connection.scalar(SEQUENTIAL) == before
