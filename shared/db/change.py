"""`UPDATE` of several rows, each with its own values and only where a condition holds, in one statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Table, Update, bindparam, select, update

from shared.db.recordset import as_json, recordset


class Columns(Protocol):
    """Columns by name."""

    def __getitem__(self, name: str, /) -> ColumnElement[Any]:
        """One of them."""
        ...


Guard = Callable[[Columns, Columns], ColumnElement[bool]]
"""Of a row as it stands and of what it is to become."""
Key = tuple[Any, ...]


class Change:
    """Sets `columns` of rows of `table`, found by their primary keys, where `guard` holds. On PostgreSQL the rows are locked
    in the order of their keys."""

    def __init__(self, table: Table, columns: Sequence[str], guard: Guard) -> None:
        self._keys = [column.name for column in table.primary_key.columns]
        self._together = _together(table, self._keys, columns, guard)
        self._alone = _alone(table, self._keys, columns, guard)

    def __call__(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> set[Key]:
        """`rows`: keys and columns of each; no key twice. The keys of those that were changed."""
        if connection.dialect.name == "postgresql":
            return {tuple(key) for key in connection.execute(self._together, as_json(rows))}
        changed = set()
        for row in rows:
            if connection.execute(self._alone, {f"new_{name}": value for name, value in row.items()}).rowcount:
                changed.add(tuple(row[name] for name in self._keys))
        return changed


def _together(table: Table, keys: Sequence[str], columns: Sequence[str], guard: Guard) -> Update:
    given = recordset(table, [*keys, *columns])
    order = [table.columns[name] for name in keys]
    same = (table.columns[name] == given.columns[name] for name in keys)
    # True of any row, and yet the planner expects one of a hundred to pass: it takes a parameter for a hundred rows, for
    # which it would read a small table whole, and keeps to that while the table grows.
    few = given.columns[keys[0]].is_not_distinct_from(given.columns[keys[0]])
    held = select(given).where(*same, few).order_by(*order).with_for_update(of=table).cte("held")
    return (
        update(table)
        .where(*(table.columns[name] == held.columns[name] for name in keys), guard(table.columns, held.columns))
        .values({name: held.columns[name] for name in columns})
        .returning(*order)
    )


def _alone(table: Table, keys: Sequence[str], columns: Sequence[str], guard: Guard) -> Update:
    new = {name: bindparam(f"new_{name}", type_=table.columns[name].type) for name in (*keys, *columns)}
    return (
        update(table)
        .where(*(table.columns[name] == new[name] for name in keys), guard(table.columns, new))
        .values({name: new[name] for name in columns})
    )
