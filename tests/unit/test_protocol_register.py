"""The own register: gapless, in order, never changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.protocol.model import ClockBehind, Entry, RegisterId, register_year, registration_time
from services.protocol.tables import (
    SCHEMA,
    Base,
    RegisterBroken,
    RegisterEntry,
    RegisterHead,
    entries,
    register,
    verify_gapless,
)
from shared.creditors import load_creditors
from shared.db.engine import Database
from shared.ids import derived
from tests import databases
from tests.databases import a_database

CREDITOR = load_creditors().creditors["c_x999"]
REGISTER = RegisterId.of(CREDITOR).key
ENTRY = Entry("Avviso", "Rossi Maria", "7.1", "scuola", "", "", {"notice": "ab" * 32})
MIDNIGHT = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)  # the first instant of 2027 in Rome


@dataclass
class Clock:
    """Gives the times it was told to, then stays at the last one."""

    times: list[datetime] = field(default_factory=lambda: [datetime(2026, 11, 24, 9, 0, tzinfo=UTC)])

    def __call__(self) -> datetime:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = a_database(tmp_path, Base.metadata, SCHEMA)
    yield database
    database.close()


def registered(database: Database, clock: Clock, *, record: UUID | None = None, order: int = 1) -> RegisterEntry:
    """One registration in a transaction of its own."""
    with database.write() as session:
        return register(session, CREDITOR, [(record or uuid4(), order, ENTRY)], clock)[0]


class PowerCut(Exception):
    """The transaction ends here."""


def cut_power(now: bool) -> None:
    """End the transaction around the call, where asked."""
    if now:
        raise PowerCut


def test_numbers_have_no_gap_however_threads_and_rollbacks_interleave(database: Database) -> None:
    clock, kept = Clock(), list[int]()
    start = threading.Barrier(4)

    def work(worker: int) -> None:
        start.wait(timeout=10)
        for step in range(15):
            wanted = [(derived(worker, step, each), 1, ENTRY) for each in range(3)]
            try:
                with database.write() as session:
                    got = register(session, CREDITOR, wanted, clock)
                    cut_power((worker + step) % 3 == 0)
                kept.extend(entry.number for entry in got)
            except PowerCut:
                pass

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with database.read() as session:
        count = verify_gapless(session, CREDITOR, 2026)
        numbers = [entry.number for entry in entries(session, CREDITOR, 2026)]
    assert count == len(kept) == 4 * 15 * 3 * 2 // 3
    assert sorted(kept) == numbers == list(range(1, count + 1))


def test_two_processes_share_one_sequence(tmp_path: Path, database: Database) -> None:
    other = a_database(tmp_path, Base.metadata, SCHEMA)
    numbers = [registered(each, Clock()).number for each in (database, other, database, other)]
    other.close()
    assert numbers == [1, 2, 3, 4]


def test_the_same_record_and_order_keep_their_number(database: Database) -> None:
    clock, record = Clock(), uuid4()
    first = registered(database, clock, record=record)
    registered(database, clock)
    again = registered(database, clock, record=record)
    anew = registered(database, clock, record=record, order=2)
    assert (first.number, again.number, anew.number) == (1, 1, 3)
    assert again.registered_at == first.registered_at


def test_numbers_restart_at_midnight_in_rome_and_not_in_greenwich(database: Database) -> None:
    second = timedelta(seconds=1)
    seen = [
        (entry.year, entry.number)
        for at in (MIDNIGHT - second, MIDNIGHT - second, MIDNIGHT, MIDNIGHT + second)
        for entry in [registered(database, Clock([at]))]
    ]
    assert seen == [(2026, 1), (2026, 2), (2027, 1), (2027, 2)]
    with database.read() as session:
        assert verify_gapless(session, CREDITOR, 2026) == 2
        assert verify_gapless(session, CREDITOR, 2027) == 2


def test_the_clock_is_read_under_the_lock(database: Database) -> None:
    """Who waits for the register's lock over midnight is registered in the new year."""
    clock = Clock([MIDNIGHT - timedelta(seconds=1)])
    entered = threading.Event()
    late: list[RegisterEntry] = []

    def second() -> None:
        entered.set()
        late.append(registered(database, clock))

    with database.write() as session:
        early = register(session, CREDITOR, [(uuid4(), 1, ENTRY)], clock)[0]
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(timeout=10)
        clock.times = [MIDNIGHT + timedelta(seconds=1)]
    thread.join(timeout=30)
    assert (early.year, early.number) == (2026, 1)
    assert (late[0].year, late[0].number) == (2027, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-280, 280), min_size=1, max_size=30))
def test_time_never_goes_back_whatever_the_clock_does_around_midnight(offsets: list[int]) -> None:
    last: datetime | None = None
    years = []
    for offset in offsets:
        now = MIDNIGHT + timedelta(seconds=offset) / 2
        at = registration_time(now, last)
        assert at >= now
        assert last is None or at >= last
        last = at
        years.append(register_year(at))
    assert years == sorted(years)


def test_a_clock_set_back_over_midnight_stays_in_the_new_year(database: Database) -> None:
    first = registered(database, Clock([MIDNIGHT + timedelta(seconds=5)]))
    second = registered(database, Clock([MIDNIGHT - timedelta(seconds=5)]))
    assert (second.year, second.number, second.registered_at) == (2027, 2, first.registered_at)
    with database.read() as session:
        assert verify_gapless(session, CREDITOR, 2027) == 2
        assert verify_gapless(session, CREDITOR, 2026) == 0


def test_a_clock_that_is_far_behind_registers_nothing(database: Database) -> None:
    registered(database, Clock([MIDNIGHT]))
    with pytest.raises(ClockBehind):
        registered(database, Clock([MIDNIGHT - timedelta(hours=2)]))
    assert registered(database, Clock([MIDNIGHT + timedelta(hours=1)])).number == 2


def test_two_registers_count_apart(database: Database) -> None:
    other = CREDITOR.model_copy(update={"aoo_code": "AOO2"})
    registered(database, Clock())
    with database.write() as session:
        assert register(session, other, [(uuid4(), 1, ENTRY)], Clock())[0].number == 1


def test_the_time_comes_back_in_utc(database: Database) -> None:
    clock = Clock()
    registered(database, clock)
    with database.read() as session:
        [entry] = entries(session, CREDITOR, 2026)
    assert entry.registered_at == clock()
    assert entry.registered_at.utcoffset() == timedelta(0)
    assert entry.direction == "U"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE register_entry SET subject = 'altro'",
        "DELETE FROM register_entry",
        "INSERT INTO register_entry SELECT register_key, year, number + 2, registered_at, direction, subject, recipient, "
        "classification, office, dossier, document_type, documents, record_id, \"order\", key || 'x' FROM register_entry",
    ],
    ids=["update", "delete", "leave a gap"],
)
def test_the_database_refuses_to_change_an_entry(database: Database, statement: str) -> None:
    refuses(database, statement)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO register_entry SELECT * FROM register_entry",
        "INSERT OR REPLACE INTO register_entry SELECT register_key, year, number + 1, registered_at, direction, subject, "
        "recipient, classification, office, dossier, document_type, documents, record_id, \"order\", key FROM register_entry",
    ],
    ids=["replace", "replace by key"],
)  # fmt: skip
def test_sqlite_refuses_to_replace_an_entry(database: Database, statement: str) -> None:
    refuses(database, statement)


def refuses(database: Database, statement: str) -> None:
    registered(database, Clock())
    with pytest.raises(IntegrityError, match="never changed"), database.write() as session:
        session.connection().execute(text(statement))
    with database.read() as session:
        [entry] = entries(session, CREDITOR, 2026)
    assert (entry.number, entry.subject) == (1, "Avviso")


def test_an_entry_changed_through_the_model_is_refused_too(database: Database) -> None:
    registered(database, Clock())
    with pytest.raises(IntegrityError, match="never changed"), database.write() as session:
        session.get_one(RegisterEntry, (REGISTER, 2026, 1)).recipient = "Altri"


def tampered(database: Database, *statements: str) -> None:
    """The register after somebody who can drop triggers was there."""
    with database.write() as session:
        sqlite = [f"DROP TRIGGER register_entry_{trigger}" for trigger in ("update", "delete", "insert")]
        postgresql = ["ALTER TABLE register_entry DISABLE TRIGGER ALL"]
        for statement in (*(sqlite if databases.where() == "sqlite" else postgresql), *statements):
            session.connection().execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM register_entry WHERE number = 2", "number 2 is missing"),
        ("DELETE FROM register_entry WHERE number = 3", "3 numbers were given, 2 entries"),
        ("UPDATE register_entry SET registered_at = '2026-11-24 08:00:00' WHERE number = 3", "before the one"),
        ("UPDATE register_entry SET registered_at = '2027-11-24 08:00:00' WHERE number = 3", "another year"),
    ],
)
def test_the_check_finds_what_was_tampered_with(database: Database, statement: str, told: str) -> None:
    for _ in range(3):
        registered(database, Clock())
    tampered(database, statement)
    with database.read() as session, pytest.raises(RegisterBroken, match=told):
        verify_gapless(session, CREDITOR, 2026)


def test_a_register_is_read_whole_beyond_one_page(database: Database) -> None:
    with database.write() as session:
        register(session, CREDITOR, [(uuid4(), 1, ENTRY) for _ in range(1203)], Clock())
    with database.read() as session:
        assert verify_gapless(session, CREDITOR, 2026) == 1203
        assert session.get_one(RegisterHead, REGISTER).number == 1203
