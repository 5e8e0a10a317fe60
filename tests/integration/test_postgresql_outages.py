"""A server that vanishes, by every way it can: an outage each time, soon, and nothing parked. Its server is private."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from shared.bus.outages import OUTAGES
from shared.bus.runner import StageRunner
from shared.contracts.commands import DispatchNotice
from shared.contracts.facts import NoticeSent, StageFailed
from shared.db.engine import Database
from shared.stage import Outcome, Work
from shared.wiring import StageService
from tests.builders import a_record
from tests.fakes import FakeBase, FakeRow, FakeStage, Out, delivered
from tests.servers import postgresql
from tests.servers.postgresql import PrivateServer
from tests.together import SECONDS, together


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    with postgresql.private() as found:
        yield found


@pytest.fixture
def database(server: PrivateServer) -> Iterator[Database]:
    postgresql.execute(server.url, "DROP SCHEMA IF EXISTS fake CASCADE", "CREATE SCHEMA fake")
    found = Database(server.url, FakeBase.metadata, "fake")
    FakeBase.metadata.create_all(found.engine)
    yield found
    found.close()


def run(session: Session, statement: str) -> None:
    session.connection().execute(text(statement))


def terminated(server: PrivateServer) -> None:
    """As `pg_terminate_backend` does to every connection but its own."""
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    postgresql.execute(server.url, f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}")


GOING: dict[str, Callable[[PrivateServer], None]] = {
    "stopped": PrivateServer.stop, "killed": PrivateServer.kill, "terminated": terminated,
}  # fmt: skip


@pytest.fixture(params=GOING)
def going(request: pytest.FixtureRequest) -> Callable[[PrivateServer], None]:
    """A way to go."""
    return GOING[request.param]


def back(server: PrivateServer, going: Callable[[PrivateServer], None]) -> None:
    """And to come back."""
    if going is not terminated:
        server.start()


def test_a_server_that_goes_between_two_statements_is_an_outage_until_it_is_back(
    server: PrivateServer, database: Database, going: Callable[[PrivateServer], None]
) -> None:
    def cut() -> None:
        with database.write() as session:
            run(session, "SELECT 1")
            going(server)
            run(session, "SELECT 1")

    with pytest.raises(OUTAGES):
        cut()
    if going is not terminated:
        with pytest.raises(OUTAGES), database.read() as session:
            run(session, "SELECT 1")
    back(server, going)
    with database.write() as session:
        run(session, "SELECT 1")


def test_a_server_that_goes_while_it_works_is_an_outage(
    server: PrivateServer, database: Database, going: Callable[[PrivateServer], None]
) -> None:
    asked = threading.Event()
    raised: list[Exception] = []

    def wait() -> None:
        try:
            with database.write() as session:
                run(session, "SELECT 1")
                asked.set()
                run(session, "SELECT pg_sleep(600)")
        except OUTAGES as error:
            raised.append(error)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert asked.wait(SECONDS)
    going(server)
    thread.join(SECONDS)
    back(server, going)
    assert len(raised) == 1


def test_a_server_that_goes_before_the_commit_is_an_outage_and_nothing_was_written(
    server: PrivateServer, database: Database, going: Callable[[PrivateServer], None]
) -> None:
    def cut() -> None:
        with database.write() as session:
            run(session, "CREATE TABLE fake.left_behind (id int)")
            going(server)

    with pytest.raises(OUTAGES):
        cut()
    back(server, going)
    assert postgresql.execute(server.url, "SELECT to_regclass('fake.left_behind') IS NULL") is True


class Vanishing(FakeStage):
    """The server goes while the stage acts."""

    def __init__(self, leave: Callable[[], None]) -> None:
        super().__init__(lookable=False)
        self._leave = leave

    def _act(self, work: Work[FakeRow]) -> Outcome:
        outcome = super()._act(work)
        self._leave()
        self._leave = lambda: None
        return outcome


def test_a_handful_whose_database_goes_is_held_and_done_once_it_is_back(
    server: PrivateServer, database: Database, going: Callable[[PrivateServer], None]
) -> None:
    stage, out = Vanishing(lambda: going(server)), Out()
    service = StageService(database, stage, frozenset({DispatchNotice}))
    runner = StageRunner(service, out, "one")
    handful = [delivered(DispatchNotice(record=a_record(row))) for row in (2, 3, 4)]
    if going is terminated:  # its connection is a fresh one then: nothing is lost
        runner.handle(handful)
    else:
        with pytest.raises(OUTAGES):
            runner.handle(handful)
        assert out.take() == []
    back(server, going)
    runner.handle(handful)
    runner.close()
    said = out.take()
    assert not [message for message in said if isinstance(message, StageFailed)]
    assert sorted(stage.outside) == [(2, 1), (3, 1), (4, 1)], "each once"
    sent = {message.record.row for message in said if isinstance(message, NoticeSent)}
    assert len(sent) >= 2, "at most the one that was cut is in doubt"


# -- what one transaction does to another


def test_a_deadlock_is_an_outage_of_one_and_the_other_goes_on(database: Database) -> None:
    """Ours take locks in one order; a tool of somebody's may not."""
    with database.write() as session:
        run(session, "CREATE TABLE fake.pair (id int)")
        run(session, "INSERT INTO fake.pair VALUES (1), (2)")
    halfway, outages = threading.Barrier(2), []

    def lock(first: int, second: int) -> None:
        with suppress(*OUTAGES):
            with database.write() as session:
                run(session, f"SELECT 1 FROM fake.pair WHERE id = {first} FOR UPDATE")
                halfway.wait(SECONDS)
                run(session, f"SELECT 1 FROM fake.pair WHERE id = {second} FOR UPDATE")
            return
        outages.append(first)

    together(lambda: lock(1, 2), lambda: lock(2, 1))
    assert len(outages) == 1


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        ("lock_timeout = '50ms'", "LOCK TABLE fake.ledger"),
        ("statement_timeout = '50ms'", "SELECT pg_sleep(60)"),
        ("default_transaction_isolation = 'serializable'", "DO $$ BEGIN RAISE SQLSTATE '40001'; END $$"),
        ("transaction_read_only = on", "DELETE FROM fake.ledger"),
        ("search_path = nowhere", "SELECT 1 FROM ledger"),
        ("statement_timeout = 0", "SELECT no_such_column FROM fake.ledger"),
        ("statement_timeout = 0", "DO $$ BEGIN RAISE SQLSTATE '53100'; END $$"),
    ],
    ids=["lock", "statement", "serialization", "read-only", "schema", "column", "disk-full"],
)
def test_what_says_nothing_about_the_record_is_an_outage(database: Database, setting: str, statement: str) -> None:
    with database.write() as holder:
        run(holder, "LOCK TABLE fake.ledger IN ACCESS SHARE MODE")
        with pytest.raises(OUTAGES), database.write() as session:
            run(session, f"SET LOCAL {setting}; {statement}")


def test_a_transaction_that_somebody_forgot_is_ended_as_an_outage(database: Database) -> None:
    watcher = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"

    def forget() -> None:
        with database.write() as session:
            run(session, "SET LOCAL idle_in_transaction_session_timeout = '20ms'")
            while postgresql.execute(str(database.engine.url), watcher):
                pass
            run(session, "SELECT 1")

    with pytest.raises(OUTAGES):
        forget()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO fake.person VALUES (1, 'Rossi Maria')",
        "INSERT INTO fake.person VALUES (2, 'Bianchi'), (3, NULL)",
        "SELECT CAST(name AS int) FROM fake.person",
    ],
    ids=["unique", "not-null", "cast"],
)
def test_no_error_quotes_a_row(database: Database, statement: str) -> None:
    with database.write() as session:
        run(session, "CREATE TABLE fake.person (id int PRIMARY KEY, name text NOT NULL)")
        run(session, "INSERT INTO fake.person VALUES (1, 'Rossi Maria')")
    with pytest.raises(DBAPIError) as raised, database.write() as session:
        run(session, statement)
    assert not isinstance(raised.value, OUTAGES)
    quoted = f"{raised.value.orig} {raised.value.args}".replace(statement, "")
    assert "Rossi" not in quoted
    assert "Bianchi" not in quoted


def test_a_duplicate_is_named_by_its_rule(database: Database) -> None:
    with database.write() as session:
        run(session, "CREATE TABLE fake.person (id int PRIMARY KEY)")
    with pytest.raises(IntegrityError, match="person_pkey"), database.write() as session:
        run(session, "INSERT INTO fake.person VALUES (1), (1)")
