"""The ledger of numbers: which record has which, and how far the counter is. A number once given is never given again."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from sqlalchemy import BigInteger, MetaData, UniqueConstraint, func
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel, col, select

from services.iuv.model import LAST_BASE, NoticeCode
from shared.creditors import Creditor
from shared.db.engine import UtcDateTime
from shared.db.insert import insert_missing
from shared.db.ledger import LedgerRow, suspects_table

log = structlog.get_logger()
SCHEMA = "iuv"
REVISION = "0002"
"""The migration that makes these tables; `scripts/revise.py` writes the next."""


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """The registry of this service's tables."""


suspects_table(Base.metadata)


class IuvRow(Base, LedgerRow, table=True):
    """One (record, order) and its number. `creditor` is the body's tax code: pagoPA counts uniqueness by it, and our
    own code for a creditor may be renamed. No number: the range was used up at `exhausted_issue`."""

    __tablename__ = "iuv_ledger"
    __table_args__ = (UniqueConstraint("creditor", "nav"), UniqueConstraint("creditor", "iupd"))

    creditor: str | None = None
    iupd: str | None = None
    number: int | None = Field(default=None, sa_type=BigInteger)
    nav: str | None = None
    exhausted_issue: int = 0


class IuvCounter(Base, table=True):
    """The next number that was never given, per body and segregation code."""

    __tablename__ = "iuv_counter"

    creditor: str = Field(primary_key=True)
    segregation_code: str = Field(primary_key=True)
    next_number: int = Field(sa_type=BigInteger)


class BurntNumber(Base, table=True):
    """A number that turned out to be somebody else's. Many of them: two systems share a range."""

    __tablename__ = "iuv_burnt"

    creditor: str = Field(primary_key=True)
    nav: str = Field(primary_key=True)
    code: str
    burnt_at: datetime = Field(sa_type=UtcDateTime)


def take_codes(session: Session, creditor: Creditor, count: int) -> list[NoticeCode]:
    """The next `count` codes, fewer where the range ends. Holds the counter's lock until the caller commits."""
    counter = _locked(session, creditor)
    _catch_up(session, counter)
    # a start raised in the configuration moves the counter on; a lowered one never moves it back
    first = max(counter.next_number, creditor.iuv_start)
    end = min(first + count, creditor.iuv_end + 1)
    counter.next_number = max(counter.next_number, end)
    session.add(counter)
    return [NoticeCode.of(creditor.segregation_code, number) for number in range(first, end)]


def burn(session: Session, row: IuvRow, code: str) -> None:
    """Note that the row's number is somebody else's."""
    if row.creditor is not None and row.nav is not None:
        session.add(BurntNumber(creditor=row.creditor, nav=row.nav, code=code, burnt_at=datetime.now(UTC)))


def burnt_count(session: Session, creditor: Creditor) -> int:
    """How many numbers of a body's range were somebody else's."""
    counted = select(func.count()).select_from(BurntNumber).where(BurntNumber.creditor == creditor.tax_code)
    return session.exec(counted).one()


def _locked(session: Session, creditor: Creditor) -> IuvCounter:
    key = (creditor.tax_code, creditor.segregation_code)
    found = session.get(IuvCounter, key, with_for_update=True, populate_existing=True)
    if found is not None:
        return found
    # another worker's first handful may be faster: the lock below waits for it
    insert_missing(session, [IuvCounter(creditor=key[0], segregation_code=key[1], next_number=creditor.iuv_start)])
    return session.get_one(IuvCounter, key, with_for_update=True, populate_existing=True)


def _catch_up(session: Session, counter: IuvCounter) -> None:
    """Go on after the last number of the ledger. Where the counter is behind it, a part of the database is older than the
    rest: each number that it gives would be a record's already, and no record would get one any more."""
    first, last = (NoticeCode.of(counter.segregation_code, number).nav for number in (0, LAST_BASE))
    navs = (col(IuvRow.creditor) == counter.creditor, col(IuvRow.nav).between(first, last))
    nav = session.exec(select(func.max(IuvRow.nav)).where(*navs)).one()  # of one length: sorted as their numbers are
    behind = int(NoticeCode.parse(nav).base) + 1 - counter.next_number if nav else 0
    if behind > 0:
        log.error("iuv.counter_behind", segregation_code=counter.segregation_code, behind=behind)
        counter.next_number += behind
