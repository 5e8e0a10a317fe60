"""Rows past the unit of work, which costs several times what the row itself does; of one table, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Insert, Table, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel

from shared.db.recordset import as_json, recordset

R = TypeVar("R", bound=SQLModel)


def detached(row_type: type[R], **values: Any) -> R:
    """A row as one that was loaded and let go: every column that has no default is to be given, and none is checked."""
    row: R = inspect(row_type).class_manager.new_instance()
    for name, value in {**_defaults(row_type), **values}.items():
        set_committed_value(row, name, value)
    return row


def insert_missing(session: Session, rows: Sequence[SQLModel]) -> int:
    """Insert what another worker may be inserting at this moment; how many were not there.

    Waits for whoever is inserting one of the same keys, row by row: give them in the order of their keys, and no two
    workers wait for each other. The objects stay outside the session."""
    if not rows:
        return 0
    mapper = inspect(type(rows[0]))
    values = [{each.key: getattr(row, each.key) for each in mapper.column_attrs} for row in rows]
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        return connection.execute(_from_json(mapper.local_table), as_json(values)).rowcount
    return connection.execute(_one_by_one(mapper.local_table), values).rowcount


@cache
def _defaults(row_type: type[SQLModel]) -> dict[str, Any]:
    return {name: field.default for name, field in row_type.model_fields.items() if not field.is_required()}


@cache
def _from_json(table: Table) -> Insert:
    given = recordset(table, table.columns.keys())
    statement = postgresql.insert(table).from_select(table.columns.keys(), select(given))
    return statement.on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@cache
def _one_by_one(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
