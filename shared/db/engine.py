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

from sqlalchemy import DateTime, Dialect, Engine, MetaData, TypeDecorator, create_engine, event
from sqlmodel import Session

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


class Database:
    """One service's database. `write()` and `read()` give a session in a transaction, committed on a clean exit."""

    def __init__(self, url: str, metadata: MetaData, schema: str) -> None:
        self._sqlite = url.startswith("sqlite")
        # hide_parameters: an error would quote names and tax codes into the log
        arguments = {"check_same_thread": False} if self._sqlite else {}
        engine = create_engine(url, connect_args=arguments, hide_parameters=True)
        if self._sqlite:
            event.listen(engine, "connect", _sqlite_connect)
            event.listen(engine, "begin", _sqlite_begin)
            engine = engine.execution_options(schema_translate_map={schema: None})
        self.engine: Engine = engine
        self._metadata = metadata
        # One writer at a time is SQLite's rule; queueing for it here is fair and never times out.
        self._writer = threading.RLock() if self._sqlite else None

    def create_all(self) -> None:
        """Make missing tables: the embedded relay's way; PostgreSQL has migrations."""
        self._metadata.create_all(self.engine)

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

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin on its own: _sqlite_begin does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={SQLITE_WAIT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    write = connection.get_execution_options().get("staffetta_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
