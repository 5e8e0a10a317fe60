"""The own register and the stage's ledger.

An entry is written once: no code here updates or deletes one, and triggers refuse it to everybody (SQL typed by
hand included), as they refuse a number that does not follow the last. Numbers come from a locked row in the transaction that writes the entry: a
sequence would leave a gap at every rollback, and a gap is a finding of the next inspection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import DDL, JSON, MetaData, event
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, col, select

from services.protocol.model import OUTGOING, Entry, RegisterId, register_year, registration_time
from shared.creditors import Creditor
from shared.db.engine import UtcDateTime
from shared.db.insert import insert_missing
from shared.db.ledger import LedgerRow
from shared.ids import registration_key

SCHEMA = "protocol"
PAGE = 500


class Base(SQLModel, registry=registry()):
    """The tables of this service, and of no other."""

    metadata = MetaData(schema=SCHEMA)


class ProtocolRow(Base, LedgerRow, table=True):
    """One (record, order). `clock_behind`: the register's last time, where our clock was far behind it."""

    __tablename__ = "protocol_ledger"

    clock_behind: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RegisterHead(Base, table=True):
    """How far a register is. One row for all years: its lock comes before the clock is read, so before the year is
    known, and time must not go back over New Year's Eve either."""

    __tablename__ = "register_head"

    register_key: str = Field(primary_key=True)
    year: int = 0
    number: int = 0
    registered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RegisterEntry(Base, table=True):
    """One registration, for good. Holds personal data: it never leaves the database but in sections and exports."""

    __tablename__ = "register_entry"

    register_key: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    registered_at: datetime = Field(sa_type=UtcDateTime)
    direction: str = OUTGOING
    subject: str
    recipient: str
    classification: str
    office: str
    dossier: str
    document_type: str
    documents: dict[str, str] = Field(sa_type=JSON)
    record_id: UUID
    order: int
    key: str = Field(unique=True)


REFUSAL = "register: an entry is never changed, and numbers follow"
FOLLOWS_THE_LAST = (
    "NEW.number {differs} 1 + (SELECT coalesce(max(number), 0) FROM {table} "
    "WHERE register_key = NEW.register_key AND year = NEW.year) "
    "OR EXISTS (SELECT 1 FROM {table} WHERE key = NEW.key)"
)
SQLITE = {
    # BEFORE INSERT also stops INSERT OR REPLACE, which deletes without firing the DELETE trigger.
    moment: f"CREATE TRIGGER IF NOT EXISTS register_entry_{moment.lower()} BEFORE {moment} ON register_entry BEGIN "
    f"SELECT RAISE(ABORT, '{REFUSAL}') WHERE {condition}; END"
    for moment, condition in {
        "UPDATE": "1", "DELETE": "1", "INSERT": FOLLOWS_THE_LAST.format(differs="IS NOT", table="register_entry"),
    }.items()
}  # fmt: skip
POSTGRESQL = (
    f"CREATE FUNCTION {SCHEMA}.refuse_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    f"RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    f"CREATE FUNCTION {SCHEMA}.check_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF "
    f"{FOLLOWS_THE_LAST.format(differs='IS DISTINCT FROM', table=f'{SCHEMA}.register_entry')} "
    f"THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$",
    f"CREATE TRIGGER register_entry_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {SCHEMA}.register_entry "
    f"EXECUTE FUNCTION {SCHEMA}.refuse_entry()",
    f"CREATE TRIGGER register_entry_follows BEFORE INSERT ON {SCHEMA}.register_entry "
    f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.check_entry()",
)
_table = RegisterEntry.__table__  # type: ignore[attr-defined] # SQLModel does not declare it
for _dialect, _statements in {"sqlite": SQLITE.values(), "postgresql": POSTGRESQL}.items():
    for _statement in _statements:
        _ddl = DDL(_statement).execute_if(dialect=_dialect)  # type: ignore[no-untyped-call]
        event.listen(_table, "after_create", _ddl)


class RegisterBroken(Exception):
    """The register has a gap, a time that goes back, or a head that disagrees. The text holds no personal data."""


def register(
    session: Session, creditor: Creditor, wanted: Sequence[tuple[UUID, int, Entry]], now: Callable[[], datetime]
) -> list[RegisterEntry]:
    """Number and register each (record, order, entry), in order; one that is registered already comes back as it is.

    Holds the register's lock until the caller's transaction ends; `now` (UTC) is read under it. Raises `ClockBehind`
    before anything is written.
    """
    head = _locked_head(session, RegisterId.of(creditor).key)
    keys = [registration_key(record_id, order) for record_id, order, _ in wanted]
    known = {each.key: each for each in session.exec(select(RegisterEntry).where(col(RegisterEntry.key).in_(keys)))}
    fresh = [(key, asked) for key, asked in zip(keys, wanted, strict=True) if key not in known]
    if fresh:
        head.registered_at = at = registration_time(now(), head.registered_at)
        if (year := register_year(at)) != head.year:
            head.year, head.number = year, 0
    for key, (record_id, order, entry) in fresh:
        head.number += 1
        known[key] = RegisterEntry(
            register_key=head.register_key, year=head.year, number=head.number, registered_at=at, subject=entry.subject,
            recipient=entry.recipient, classification=entry.classification, office=entry.office, dossier=entry.dossier,
            document_type=entry.document_type, documents=entry.documents, record_id=record_id, order=order, key=key,
        )  # fmt: skip
        session.add(known[key])
    session.add(head)
    session.flush()
    return [known[key] for key in keys]


def entries(session: Session, creditor: Creditor, year: int) -> Iterator[RegisterEntry]:
    """A year's entries by number, read in pages."""
    key, last = RegisterId.of(creditor).key, 0
    while True:
        query = (
            select(RegisterEntry)
            .where(RegisterEntry.register_key == key, RegisterEntry.year == year, col(RegisterEntry.number) > last)
            .order_by(col(RegisterEntry.number))
            .limit(PAGE)
        )
        page = list(session.exec(query))
        if not page:
            return
        yield from page
        last = page[-1].number


def verify_gapless(session: Session, creditor: Creditor, year: int) -> int:
    """How many entries a year has, after checking them: numbers 1 to n, times that never go back and are of that year
    in Rome, and a head that agrees. Raises `RegisterBroken`."""
    count, last = 0, None
    for entry in entries(session, creditor, year):
        count += 1
        if entry.number != count:
            raise RegisterBroken(f"{year}: number {count} is missing, {entry.number} follows")
        if last is not None and entry.registered_at < last:
            raise RegisterBroken(f"{year}: number {count} is registered before the one that precedes it")
        if register_year(entry.registered_at) != year:
            raise RegisterBroken(f"{year}: number {count} is registered in another year")
        last = entry.registered_at
    head = session.get(RegisterHead, RegisterId.of(creditor).key)
    if head is not None and head.year == year and head.number != count:
        raise RegisterBroken(f"{year}: {head.number} numbers were given, {count} entries are there")
    return count


def _locked_head(session: Session, key: str) -> RegisterHead:
    found = session.get(RegisterHead, key, with_for_update=True, populate_existing=True)
    if found is not None:
        return found
    insert_missing(session, [RegisterHead(register_key=key)])  # another worker may be faster: the lock waits for it
    return session.get_one(RegisterHead, key, with_for_update=True, populate_existing=True)
