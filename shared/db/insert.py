"""Rows that may be there already, put there by another worker at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

KINDS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_missing(session: Session, rows: Sequence[SQLModel]) -> set[tuple[Any, ...]]:
    """Insert rows of one table, past the unit of work, in one statement; the keys of those that were not there.

    Waits for whoever is inserting one of the same keys, row by row: give them in the order of their keys, and no two
    workers wait for each other. The objects stay outside the session."""
    if not rows:
        return set()
    mapper = inspect(type(rows[0]))
    table = mapper.local_table
    values = [{each.key: getattr(row, each.key) for each in mapper.column_attrs} for row in rows]
    insert = KINDS[session.connection().dialect.name](table).on_conflict_do_nothing()
    found = session.connection().execute(insert.returning(*table.primary_key.columns), values)
    return {tuple(key) for key in found}
