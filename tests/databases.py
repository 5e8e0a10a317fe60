"""Databases for tests: a SQLite file in the test's folder, or, within `over_postgresql`, schemas in a database of our own
on the server. The tests of services are written once and run over both.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from sqlalchemy import MetaData, text

from deploy.migrations import chains
from shared.db.engine import Database
from tests.servers import postgresql


class Closable(Protocol):
    """Has connections."""

    def close(self) -> None:
        """Let go of them."""


C = TypeVar("C", bound=Closable)
_made: dict[str, Path | None] = {}
"""Schema → the folder whose test it was last made for."""
_server: list[str] = []
_opened: list[Closable] = []


@contextmanager
def over_postgresql() -> Iterator[None]:
    """What is made in here is on PostgreSQL."""
    _server.append(postgresql.shared())
    try:
        yield
    finally:
        _server.pop()
        while _opened:
            _opened.pop().close()


def until_the_test_ends(held: C) -> C:
    """What lets go of its connections when the test is over."""
    _opened.append(held)
    return held


def where() -> str:
    """`sqlite`, or the server's URL."""
    return _server[-1] if _server else "sqlite"


def database_url(folder: Path, service: str) -> str:
    """The URL of a service's database: the same one for the same folder."""
    if not _server:
        return f"sqlite:///{folder / service}.sqlite"
    metadata: MetaData = importlib.import_module(f"services.{service}.tables").Base.metadata
    _make(_server[-1], metadata, service, folder)
    return _server[-1]


def lose(folder: Path, service: str) -> None:
    """A service's database is gone; the next who asks for it gets an empty one."""
    if service in _made:
        _made[service] = None
    for part in folder.glob(f"{service}.sqlite*"):
        part.unlink()


def a_database(folder: Path, metadata: MetaData, schema: str) -> Database:
    """The database of some tables; the same one for the same folder."""
    if not _server:
        found = Database(f"sqlite:///{folder / schema}.sqlite", metadata, schema)
        found.create_all()
        return found
    _make(_server[-1], metadata, schema, folder)
    return until_the_test_ends(Database(_server[-1], metadata, schema))


def _make(url: str, metadata: MetaData, schema: str, folder: Path) -> None:
    """An empty schema with its tables, once for each folder: by the migrations for a service, from the models for a fake."""
    if _made.get(schema) == folder:
        return
    with chains.transaction(url) as connection:
        if schema not in _made and schema in chains.SERVICES:
            chains.upgrade(connection, schema)
        elif schema not in _made:
            connection.execute(text(f'CREATE SCHEMA "{schema}"; SET LOCAL search_path TO "{schema}"'))
            metadata.create_all(connection)
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers: the register's too
            tables = ", ".join(f'"{schema}"."{table.name}"' for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
    _made[schema] = folder
