"""Engines and transactions, the same over SQLite (embedded) and PostgreSQL.

SQLite: WAL, `synchronous=FULL`, writers `BEGIN IMMEDIATE`, so that a transaction that will write never starts as a reader
(which could fail half-way with SQLITE_BUSY). Services name a schema; SQLite has none, so it is translated away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, MetaData, TypeDecorator, create_engine, event, text
from sqlmodel import Session

from shared.db.postgresql import postgresql_engine

SQLITE_WAIT_MS = 30_000


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, also where the database forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        """Into the database: UTC."""
        return value if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy calls it so
        """Out of it: aware."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class WrongRevision(Exception):
    """The schema is not the one that this program was written for; the text is for the operator."""


class Database:
    """One service's database. `write()` and `read()` give a session in a transaction, committed on a clean exit; `at_once()`
    is for one statement that is a transaction by itself.

    `metadata.info["revision"]` is the migration that makes the tables as they are here."""

    def __init__(self, url: str, metadata: MetaData, schema: str) -> None:
        self._sqlite = url.startswith("sqlite")
        self.engine: Engine = _sqlite_engine(url, schema) if self._sqlite else postgresql_engine(url, schema)
        self._metadata = metadata
        self._schema = schema
        self._at_once = self.engine if self._sqlite else postgresql_engine(url, schema, isolation="AUTOCOMMIT", pool=1)
        # One writer at a time is SQLite's rule; queueing for it here is fair and never times out.
        self._writer = threading.RLock() if self._sqlite else None

    def create_all(self) -> None:
        """Make missing tables, on SQLite: PostgreSQL has migrations, and the services no right to make tables."""
        if self._sqlite:
            self._metadata.create_all(self.engine)

    def check_revision(self) -> None:
        """Refuse a schema that an older or a newer program made. Raises `WrongRevision`, and what an outage raises."""
        if self._sqlite:
            return
        wanted = str(self._metadata.info["revision"])
        with self.engine.connect() as connection:
            there = connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"{self._schema}.alembic_version"})
            query = text(f"SELECT version_num FROM {self._schema}.alembic_version")  # noqa: S608 - a constant of ours
            found = connection.scalar(query) if there else None
        if found != wanted:
            raise WrongRevision(_difference(self._schema, found, wanted))

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes."""
        if self._writer is not None:
            self._writer.acquire()
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                session.connection(execution_options={"staffetta_write": True})
                yield session
        finally:
            if self._writer is not None:
                self._writer.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        """One statement, whose end is its commit: PostgreSQL is asked once and not three times."""
        if self._sqlite:
            with self.write() as session:
                yield session.connection()
        else:
            with self._at_once.connect() as connection:
                yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()
        self._at_once.dispose()


def _difference(schema: str, found: str | None, wanted: str) -> str:
    if found is None:
        return f"Lo schema «{schema}» del database è vuoto: esegui «staffetta migrate», poi riavvia il servizio."
    if found < wanted:
        return (
            f"Lo schema «{schema}» del database è alla revisione {found}, questo programma usa la {wanted}: "
            "esegui «staffetta migrate», poi riavvia il servizio."
        )
    return (
        f"Lo schema «{schema}» del database è alla revisione {found}, più recente della {wanted} di questo programma: "
        "aggiorna il programma."
    )


def _sqlite_engine(url: str, schema: str) -> Engine:
    # hide_parameters: an error would quote names and tax codes into the log
    engine = create_engine(url, connect_args={"check_same_thread": False}, hide_parameters=True)
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine.execution_options(schema_translate_map={schema: None})


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin on its own: _sqlite_begin does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={SQLITE_WAIT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    write = connection.get_execution_options().get("staffetta_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
