"""Rows past the unit of work, which costs several times what the row itself does; of one table, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Column, Insert, Table, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm.attributes import instance_dict
from sqlmodel import Session, SQLModel

from shared.db.recordset import as_json, recordset

R = TypeVar("R", bound=SQLModel)


def detached(row_type: type[R], **values: Any) -> R:
    """A row as one that was loaded and let go: every column that has no default is to be given, and none is checked."""
    row: R = inspect(row_type).class_manager.new_instance()
    instance_dict(row).update(_defaults(row_type), **values)
    return row


def insert_many(session: Session, rows: Sequence[SQLModel]) -> None:
    """Insert rows of one table. The objects stay outside the session."""
    if rows:
        _insert(session, rows, missing=False)


def insert_missing(session: Session, rows: Sequence[SQLModel]) -> int:
    """Insert what another worker may be inserting at this moment; how many were not there. Raises `IntegrityError` for
    what another constraint than the primary key refuses: that is no other worker's row, and is so at the next try too.

    Waits for whoever is inserting one of the same keys, row by row: give them in the order of their keys, and no two
    workers wait for each other. The objects stay outside the session."""
    return _insert(session, rows, missing=True) if rows else 0


def _insert(session: Session, rows: Sequence[SQLModel], *, missing: bool) -> int:
    mapper = inspect(type(rows[0]))
    values = [{each.key: getattr(row, each.key) for each in mapper.column_attrs} for row in rows]
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        return connection.execute(_from_json(mapper.local_table, missing=missing), as_json(values)).rowcount
    return connection.execute(_one_by_one(mapper.local_table, missing=missing), values).rowcount


@cache
def _defaults(row_type: type[SQLModel]) -> dict[str, Any]:
    fields, columns = row_type.model_fields, inspect(row_type).column_attrs
    return {each.key: fields[each.key].default for each in columns if not fields[each.key].is_required()}


@cache
def _from_json(table: Table, *, missing: bool) -> Insert:
    columns = table.columns.keys()
    statement = postgresql.insert(table).from_select(columns, select(recordset(table, columns)))
    return _counted(statement.on_conflict_do_nothing(index_elements=_keys(table)) if missing else statement)


@cache
def _one_by_one(table: Table, *, missing: bool) -> Insert:
    statement = sqlite.insert(table)
    return _counted(statement.on_conflict_do_nothing(index_elements=_keys(table)) if missing else statement)


def _keys(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _counted(statement: Insert) -> Insert:
    return statement.execution_options(preserve_rowcount=True)
