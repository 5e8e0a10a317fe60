"""Who looks on: a short memory of what changed, read by server-sent events.

Readers ask by cursor instead of being called: a slow browser costs nothing, what changed meanwhile is one message, and
a reader that comes back with `Last-Event-ID` misses nothing or is told to load everything anew.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

MEMORY = 2_000
RECORDS_NAMED = 100
"""More changed records than this are not named: whoever looks on loads the list again."""


@dataclass(slots=True)
class News:
    """What changed since a cursor. `reset`: the cursor is too old, or of an earlier process. `records` is empty also
    where too many changed to name them."""

    cursor: str
    batches: set[UUID] = field(default_factory=set)
    records: set[UUID] = field(default_factory=set)
    lanes: bool = False
    reset: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.batches or self.lanes or self.reset)


class Hub:
    """Thread-safe: the folding thread tells, the web's threads read."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._changes: deque[tuple[int, UUID | None, frozenset[UUID]]] = deque(maxlen=MEMORY)
        self._last = 0
        self.closed = False

    def tell(self, changes: dict[UUID, set[UUID]], *, lanes: bool = False) -> None:
        """Records that changed, by batch; and whether a lane did."""
        with self._lock:
            for batch_id, records in changes.items():
                self._add(batch_id, frozenset(records) if len(records) <= RECORDS_NAMED else frozenset())
            if lanes:
                self._add(None, frozenset())

    def now(self) -> str:
        """The cursor of one who has seen everything."""
        with self._lock:
            return self._cursor()

    def since(self, cursor: str, batch_id: UUID | None = None) -> News:
        """What changed after `cursor`, for one batch or for all."""
        epoch, _, number = cursor.partition("-")
        with self._lock:
            news = News(self._cursor())
            seen = int(number) if number.isdigit() else -1
            oldest = self._changes[0][0] if self._changes else self._last + 1
            if epoch != self._epoch or seen < oldest - 1 or seen > self._last:
                news.reset = True
                return news
            fresh = [change for change in self._changes if change[0] > seen]
        for _, changed, records in fresh:
            if changed is None:
                news.lanes = True
            elif batch_id in (None, changed):
                news.batches.add(changed)
                news.records |= records
        if len(news.records) > RECORDS_NAMED:
            news.records = set()
        return news

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self.closed = True

    def _add(self, batch_id: UUID | None, records: frozenset[UUID]) -> None:
        self._last += 1
        self._changes.append((self._last, batch_id, records))

    def _cursor(self) -> str:
        return f"{self._epoch}-{self._last}"
