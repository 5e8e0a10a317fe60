"""An engine over PostgreSQL on which a dead server is an outage, soon and always, and no error quotes data.

Isolation is READ COMMITTED: what must not change under us is locked (`FOR UPDATE`, rows in the order of their keys) or
inserted with `insert_missing` (shared/db/insert.py), never read and hoped for.
"""

from __future__ import annotations

import select
from typing import Any

import psycopg
from pydantic_core import from_json, to_json
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError

CONNECT_SECONDS = 5
STATEMENT_MS = 60_000
LOCK_MS = 15_000
IDLE_IN_TRANSACTION_MS = 60_000
SILENCE_MS = 20_000
"""How long sent data may stay unacknowledged: a server that lost its power sends no goodbye."""
POOL = 5
OUTAGES = {
    "25006",  # read-only: a former primary
    "25P03",  # idle in transaction for too long
    "3D000", "3F000", "42P01", "42703",  # database, schema, table, column not there: not migrated yet
    "42501",  # no right: an installation's mistake, and no record's
}  # fmt: skip
"""What psycopg does not file under `OperationalError` and yet says nothing about the record in hand. Connection loss,
shutdown, deadlock, serialization, time-outs and full disks it does."""


def postgresql_engine(url: str, schema: str, *, isolation: str = "READ COMMITTED", pool: int = POOL) -> Engine:
    """An engine for one service, whose role sees its own schema only."""
    session = {
        "search_path": schema,
        "timezone": "UTC",
        "statement_timeout": STATEMENT_MS,
        "lock_timeout": LOCK_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
    }
    engine = create_engine(
        url,
        hide_parameters=True,  # an error would quote names and tax codes into the log
        pool_size=pool,
        isolation_level=isolation,
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
        connect_args={
            "application_name": f"staffetta-{schema}",
            "connect_timeout": CONNECT_SECONDS,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": SILENCE_MS,
        },
    )
    event.listen(engine, "handle_error", _told)
    event.listen(engine, "checkout", _heard)
    return engine


def _heard(connection: psycopg.Connection, _record: Any, _proxy: Any) -> None:
    """Have another one opened where the server left this one: an idle connection has nothing to say but farewell. To listen
    costs nothing; to ask, as `pool_pre_ping` does, as much as a statement."""
    listening = select.poll()
    if not connection.closed:
        listening.register(connection.fileno(), select.POLLIN)
    if connection.closed or listening.poll(0):
        raise DisconnectionError


def _told(context: ExceptionContext) -> BaseException | None:
    """The error as it may be told. PostgreSQL adds the values of the row to it (`DETAIL: Failing row contains ...`)."""
    error, told = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, psycopg.Error) or not isinstance(told, DBAPIError):
        return None
    kind: Any = type(told)
    if error.sqlstate in OUTAGES:
        kind = OperationalError
    if error.sqlstate is not None:
        parts = (error.diag.schema_name, error.diag.table_name, error.diag.constraint_name)
        first = "" if error.sqlstate.startswith("22") else str(error).partition("\n")[0]  # "invalid input: ..."
        error.args = (" ".join(part for part in (error.sqlstate, *parts, first) if part),)
    text = (context.statement, None, error)
    return kind(*text, hide_parameters=True, connection_invalidated=context.is_disconnect)  # type: ignore[no-any-return]
