"""`IN` with any number of values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, any_, literal
from sqlmodel import Session


def among(session: Session, column: Column[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Whether the column has one of the values: one parameter on PostgreSQL, where a list would be a new statement to parse
    for each length."""
    if session.connection().dialect.name == "postgresql":
        return column == any_(literal(list(values), ARRAY(column.type)))
    return column.in_(values)
