"""Rows put where they belong: inserted, or over those that stand there, in one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from shared.db.recordset import as_json, recordset

Columns: TypeAlias = ReadOnlyColumnCollection[str, Any]


class Upsert:
    """Of rows of `table`, by their primary keys. `change(standing, given)`: what is set where a row stands already;
    `only(standing, given)`: whether it is."""

    def __init__(
        self,
        table: Table,
        change: Callable[[Columns, Columns], Mapping[str, Any]],
        only: Callable[[Columns, Columns], ColumnElement[bool]] | None = None,
    ) -> None:
        names = [column.name for column in table.columns]
        together = postgresql.insert(table).from_select(names, select(recordset(table, names)))
        alone = sqlite.insert(table)
        keys = list(table.primary_key.columns)
        self._together, self._alone = (
            insert.on_conflict_do_update(
                index_elements=keys,
                set_=change(table.columns, insert.excluded),
                where=only(table.columns, insert.excluded) if only else None,
            )
            for insert in (together, alone)
        )

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """`rows`: every column of each; no key twice."""
        if not rows:
            return
        if connection.dialect.name == "postgresql":
            connection.execute(self._together, as_json(rows))
        else:
            connection.execute(self._alone, rows)
