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
from shared.db.among import among
from shared.db.engine import UtcDateTime
from shared.db.insert import detached, insert_many, insert_missing
from shared.db.ledger import LedgerRow, suspects_table
from shared.ids import registration_key

SCHEMA = "protocol"
REVISION = "0003"
"""The migration that makes these tables; `scripts/revise.py` writes the next."""
PAGE = 500


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """The tables of this service, and of no other."""


suspects_table(Base.metadata)


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
    __table_args__ = {"info": {"rights": "SELECT, INSERT"}}

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


# BEFORE INSERT also stops INSERT OR REPLACE, which deletes without firing the DELETE trigger. PostgreSQL's are in the
# migrations (deploy/migrations/versions/protocol).
FOLLOWS_THE_LAST = (
    "NEW.number IS NOT 1 + (SELECT coalesce(max(number), 0) FROM register_entry "
    "WHERE register_key = NEW.register_key AND year = NEW.year) "
    "OR EXISTS (SELECT 1 FROM register_entry WHERE key = NEW.key)"
)
_table = RegisterEntry.__table__  # type: ignore[attr-defined] # SQLModel does not declare it
for _moment, _condition in {"UPDATE": "1", "DELETE": "1", "INSERT": FOLLOWS_THE_LAST}.items():
    _ddl = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER IF NOT EXISTS register_entry_{_moment.lower()} BEFORE {_moment} ON register_entry BEGIN "
        f"SELECT RAISE(ABORT, 'register: an entry is never changed, and numbers follow') WHERE {_condition}; END"
    )
    event.listen(_table, "after_create", _ddl.execute_if(dialect="sqlite"))


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
    there = session.exec(select(RegisterEntry).where(among(session, _table.columns.key, keys)))
    known = {each.key: each for each in there}
    fresh = [(key, asked) for key, asked in zip(keys, wanted, strict=True) if key not in known]
    if fresh:
        head.registered_at = at = registration_time(now(), head.registered_at)
        if (year := register_year(at)) != head.year:
            head.year, head.number = year, 0
    numbered = []
    for key, (record_id, order, entry) in fresh:
        head.number += 1
        known[key] = detached(
            RegisterEntry, register_key=head.register_key, year=head.year, number=head.number, registered_at=at,
            subject=entry.subject, recipient=entry.recipient, classification=entry.classification, office=entry.office,
            dossier=entry.dossier, document_type=entry.document_type, documents=entry.documents, record_id=record_id,
            order=order, key=key,
        )  # fmt: skip
        numbered.append(known[key])
    insert_many(session, numbered)
    session.add(head)
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
