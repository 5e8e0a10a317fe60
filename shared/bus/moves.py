"""How the rows of a ledger move on: one statement, which says what may become what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import ColumnElement, Table, and_, case, or_
from sqlalchemy.orm.attributes import set_committed_value

from shared.bus.group_commit import GroupCommit
from shared.db.change import Change, Columns
from shared.db.engine import Database
from shared.db.ledger import LedgerRow, LedgerState

Key = tuple[UUID, int]
"""(record id, order)."""
RANK = {LedgerState.UNCERTAIN: 1, LedgerState.REFUSED: 2, LedgerState.DONE: 3, LedgerState.WITHDRAWN: 4}


class Move(TypedDict):
    """What a row is to become."""

    state: LedgerState
    section: dict[str, Any] | None
    lease_owner: str
    lease_until: datetime | None
    updated_at: datetime


class Moves:
    """Moves rows of `table`. What runs at the same moment in several threads is one commit."""

    def __init__(self, database: Database, table: Table, owner: str) -> None:
        self._database = database
        self._change = Change(table, list(Move.__annotations__), partial(may, owner))
        self._together: GroupCommit[Key, Move] = GroupCommit(self._commit)

    def __call__(self, moves: Mapping[Key, Move]) -> set[Key]:
        """The keys of the rows that moved; the others stand where they may not become that."""
        return self._together(moves) & moves.keys()

    def _commit(self, moves: Mapping[Key, Move]) -> set[Key]:
        rows = [{"record_id": record, "order": order, **move} for (record, order), move in moves.items()]
        with self._database.at_once() as connection:
            return {(record, order) for record, order in self._change(connection, rows)}


def may(owner: str, row: Columns, new: Columns) -> ColumnElement[bool]:
    """Whether `row` may become `new`: a mark is had once, an act is given back by whoever has it, and knowledge only grows."""
    reserved, acting = (row["state"] == state for state in (LedgerState.RESERVED, LedgerState.ACTING))
    return or_(
        and_(new["state"] == LedgerState.ACTING, reserved),
        and_(new["state"] == LedgerState.RESERVED, or_(reserved, and_(acting, row["lease_owner"] == owner))),
        _rank(new["state"]) > _rank(row["state"]),
    )


def moved(row: LedgerRow, move: Move) -> None:
    """Let a row that nobody holds in a session stand as it was moved."""
    for name, value in move.items():
        set_committed_value(row, name, value)


def _rank(state: ColumnElement[str]) -> ColumnElement[int]:
    return case({name.value: rank for name, rank in RANK.items()}, value=state, else_=0)
