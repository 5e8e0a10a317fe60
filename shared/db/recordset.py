"""Many rows as one parameter: JSON, which PostgreSQL reads as a table.

A parameter for each value makes a statement that is new, and long, for each number of rows; a statement for each row costs
as much again as the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import JSON, Table, TableValuedAlias, Text, bindparam, cast, column, func

ROWS = "rows"


def recordset(table: Table, columns: Iterable[str]) -> TableValuedAlias:
    """The parameter, with some columns of `table`, in the order in which they were given."""
    typed = [column(name, table.columns[name].type) for name in columns]
    rows = func.json_to_recordset(cast(bindparam(ROWS, type_=Text), JSON))
    return rows.table_valued(*typed, name="given").render_derived(with_types=True)


def as_json(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Its value. A column that a row does not have is null."""
    return {ROWS: to_json(rows).decode()}
