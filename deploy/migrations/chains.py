"""The chains of migrations: where each stands, and bringing it to its head.

A chain is all or nothing: its revisions and the rights of the service's role are one transaction. Whoever else migrates
at the same moment waits.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, NullPool, create_engine, text
from sqlmodel.sql.sqltypes import AutoString

from shared.db.engine import UtcDateTime

SERVICES = ("ingest", "iuv", "render", "protocol", "dispatch", "status")
HERE = Path(__file__).parent
VERSION_TABLE = "alembic_version"
ROWS = "SELECT, INSERT, UPDATE, DELETE"
"""What a service may do with its tables, where `Table.info["rights"]` does not say less."""
ONE_AT_A_TIME = 7_420_311
CONNECT_SECONDS = 10


class UnknownRevision(Exception):
    """The database is ahead of this program."""


def comparing(service: str) -> dict[str, Any]:
    """How models and tables are compared: the service's schema alone, without the chain's own table."""
    return {
        "target_metadata": metadata_of(service),
        "version_table": VERSION_TABLE,
        "version_table_schema": service,
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: name == service if kind == "schema" else name != VERSION_TABLE,
        "render_item": _rendered,
    }


def metadata_of(service: str) -> MetaData:
    """The tables of a service as this program has them."""
    found: MetaData = importlib.import_module(f"services.{service}.tables").Base.metadata
    return found


def head_of(service: str) -> str:
    """The last revision of a chain."""
    found = ScriptDirectory.from_config(config_of(service)).get_current_head()
    assert found is not None, service
    return found


def owner_engine(url: str) -> Engine:
    """An engine for the owner of the schemas."""
    wait = {"connect_timeout": CONNECT_SECONDS}
    return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=wait)


def revision_of(connection: Connection, service: str) -> str | None:
    """Where a schema stands; `None`: empty."""
    return MigrationContext.configure(connection, opts=comparing(service)).get_current_revision()


def upgrade(connection: Connection, service: str) -> tuple[str | None, str]:
    """Bring one schema to its head, inside the caller's transaction; (revision before, revision now). Raises
    `UnknownRevision`."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
    connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{service}"'))
    before, head = revision_of(connection, service), head_of(service)
    if before is not None and before > head:
        raise UnknownRevision(before)
    command.upgrade(config_of(service, connection), "head")
    for statement in _rights(connection, service):
        connection.execute(text(statement))
    return before, head


def config_of(service: str, connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file."""
    found = Config(attributes={"connection": connection, "comparing": comparing(service)})
    found.set_main_option("script_location", str(HERE))
    found.set_main_option("version_locations", str(HERE / "versions" / service))
    found.set_main_option("path_separator", "newline")
    return found


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    """As the owner; nothing is done unless all is."""
    engine = owner_engine(url)
    with engine.begin() as connection:
        yield connection


def _rights(connection: Connection, service: str) -> Iterator[str]:
    """The least that the service's role needs, where there is one: in an installation with one role the owner serves."""
    if not connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": service}):
        return
    yield f'GRANT USAGE ON SCHEMA "{service}" TO "{service}"'
    yield f'REVOKE ALL ON ALL TABLES IN SCHEMA "{service}" FROM "{service}"'
    yield f'GRANT SELECT ON "{service}".{VERSION_TABLE} TO "{service}"'
    yield f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{service}" TO "{service}"'
    for table in metadata_of(service).sorted_tables:
        yield f'GRANT {table.info.get("rights", ROWS)} ON "{service}"."{table.name}" TO "{service}"'


def _rendered(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """A migration names the database's types, for it must stay as it is when our own change."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return "sa.String()" if kind == "type" and isinstance(item, AutoString) else False
