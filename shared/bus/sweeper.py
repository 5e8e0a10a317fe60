"""Facts that no message asked for (receipts, payments, what a clock brought about): their row is the only reminder.

A stage's fact is stated again because its message is not let go. These have no message, so whoever finds one out commits a
row with it, unmarked; the sweeper publishes the unmarked rows and marks them once the broker has them. A kill in between
states a fact twice, under the same id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import update
from sqlmodel import col, select

from shared.contracts.envelope import Envelope
from shared.contracts.facts import Fact
from shared.db.engine import Database
from shared.db.ledger import UnaskedRow

AT_ONCE = 200
U = TypeVar("U", bound=UnaskedRow)


@dataclass(frozen=True, slots=True)
class Sweeper(Generic[U]):
    """States what `table` holds unmarked; `fact` makes it from the row alone. Replicas may sweep the same rows: their
    repeats carry the same id."""

    database: Database
    table: type[U]
    fact: Callable[[U], Fact]
    publish: Callable[[Sequence[Envelope]], None]
    source: str

    def sweep(self) -> int:
        """Everything that was unmarked; how many rows. Raises outages."""
        count = 0
        while rows := self._unmarked():
            self.publish([self._envelope(row) for row in rows])
            self._mark(rows)
            count += len(rows)
        return count

    def _unmarked(self) -> list[U]:
        with self.database.read() as session:
            query = select(self.table).where(~col(self.table.stated)).order_by(col(self.table.id)).limit(AT_ONCE)
            return list(session.exec(query))

    def _envelope(self, row: U) -> Envelope:
        return Envelope.of(self.fact(row), source=self.source, id=row.id, correlation=row.batch_id)

    def _mark(self, rows: Sequence[U]) -> None:
        with self.database.write() as session:
            marked = update(self.table).where(col(self.table.id).in_([row.id for row in rows])).values(stated=True)
            session.connection().execute(marked)
