"""Who kills their workers: messages that came before, each noted in the stage's database while it is handled alone.

RabbitMQ counts deliveries, and counts a lost connection, a graceful stop and a neighbour's crime as it counts a death. Only
a note that nobody took away is evidence: a process ended while this message was in hand, and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from sqlalchemy import delete, inspect, select, update

from shared.bus.delivery import Delivery
from shared.bus.outages import OUTAGES
from shared.db.engine import Database
from shared.db.ledger import LedgerRow, suspects_table

DEATHS = 2
"""A message that was alone in hand at so many deaths is not handled any more. One may be chance: a power cut."""


class Suspects:
    """The notes of one process at its service's database. `row_type`: the stage's ledger, beside which they are."""

    def __init__(self, database: Database, row_type: type[LedgerRow]) -> None:
        self._database = database
        self._table = suspects_table(inspect(row_type).local_table.metadata)
        self._mine: set[str] = set()

    @contextmanager
    def watched(self, deliveries: Sequence[Delivery]) -> Iterator[Delivery | None]:
        """While a handful is handled. Gives the one in it that has killed too often to be handled. An exception is no death;
        where the note cannot be taken away in an outage, our own next try does not count it."""
        suspect = deliveries[0] if len(deliveries) == 1 and deliveries[0].earlier else None
        if suspect is None:
            yield None
            return
        message_id = suspect.envelope.id
        guilty = self._begin(message_id) >= DEATHS
        try:
            yield suspect if guilty else None
        except Exception:
            with suppress(*OUTAGES):
                self._end(message_id)
            raise
        self._end(message_id)

    def _begin(self, message_id: str) -> int:
        if message_id in self._mine:
            return 0
        this = self._table.c.id == message_id
        with self._database.write() as session:
            connection = session.connection()
            deaths: int | None = connection.scalar(select(self._table.c.begun).where(this).with_for_update())
            note = (
                self._table.insert().values(id=message_id, begun=1)
                if deaths is None
                else update(self._table).where(this).values(begun=deaths + 1)
            )
            connection.execute(note)
        self._mine.add(message_id)
        return deaths or 0

    def _end(self, message_id: str) -> None:
        with self._database.write() as session:
            session.connection().execute(delete(self._table).where(self._table.c.id == message_id))
        self._mine.discard(message_id)
