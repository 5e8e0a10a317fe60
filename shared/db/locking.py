"""Locks that two processes would otherwise take in different orders, and turns that only one may have.

On SQLite there is one writer and one process, so none of this waits for anybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Update, func, select, text, update
from sqlmodel import Session, SQLModel, col

from shared.db.engine import Database


def ordered_update(table: type[SQLModel], key: Any, *conditions: ColumnElement[bool], **values: Any) -> Update:
    """`UPDATE ... WHERE conditions`, with the rows locked by their keys first: an UPDATE alone locks as it finds them."""
    held = select(col(key)).where(*conditions).order_by(col(key)).with_for_update().cte("held")
    return update(table).where(col(key).in_(select(*held.c))).values(**values)


def await_turn(session: Session, what: str) -> None:
    """Until the session's transaction ends, nobody else who asks for the same goes on."""
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))


@contextmanager
def turn(database: Database, what: str) -> Iterator[None]:
    """The same over several transactions, by a connection of its own: a process that dies loses its turn."""
    if database.engine.dialect.name != "postgresql":
        yield
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:what, 0))"), {"what": what})
        try:
            yield
        finally:
            connection.invalidate()  # closing it gives the turn up, whatever state it is in
