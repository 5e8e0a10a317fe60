"""Whose turn it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Uuid, bindparam, func, update
from sqlalchemy import select as sql_select
from sqlmodel import Session, col

from services.ingest.tables import Batch
from services.ingest.waiting import Waiting

_SERVED = (
    update(Batch)
    .where(col(Batch.id) == bindparam("batch", type_=Uuid()))
    .values(turn=bindparam("had", type_=BigInteger()))
)


@dataclass(slots=True)
class Turns:
    """Who has waited longest is next: creditors in turn, and each one's batches. A turn is the time when it was had, and
    lies in the batch's row: a full lane frees a few places at a time, and whichever replica gives them away, they must
    not all go to the first in a list."""

    creditors: dict[str, int]
    """Creditor → its last turn, of whichever batch."""
    now: datetime
    had: dict[UUID, int] = field(default_factory=dict)
    """Batch → the turn that it had now."""
    _last: int = field(init=False)

    def __post_init__(self) -> None:
        self._last = max(int(self.now.timestamp() * 1_000_000), *self.creditors.values(), 0)

    def next(self, waiting: Mapping[UUID, Waiting]) -> Waiting:
        """Of these batches the one whose turn it is."""
        return min(
            waiting.values(),
            key=lambda batch: (self.creditors.get(batch.creditor, 0), self.had.get(batch.id, batch.turn)),
        )

    def served(self, batch: Waiting) -> None:
        """It had its turn."""
        self._last += 1
        self.had[batch.id] = self.creditors[batch.creditor] = self._last


def last_turns(session: Session, waiting: Collection[Waiting]) -> dict[str, int]:
    """Creditor → when something of it was last issued, of whichever batch."""
    turns: dict[str, int] = {}
    for batch in waiting:
        turns[batch.creditor] = max(batch.turn, turns.get(batch.creditor, 0))
    if len(turns) > 1:  # else nobody else has a turn
        mine = col(Batch.creditor).in_(sorted(turns))
        query = (
            sql_select(col(Batch.creditor), func.max(col(Batch.turn)).label("turn"))
            .where(mine)
            .group_by(col(Batch.creditor))
        )
        turns |= {each.creditor: each.turn for each in session.connection().execute(query)}
    return turns


def keep(session: Session, turns: Turns) -> None:
    """Into the batches' rows, which are locked."""
    if turns.had:
        served = [{"batch": batch_id, "had": turn} for batch_id, turn in sorted(turns.had.items())]
        session.connection().execute(_SERVED, served)
