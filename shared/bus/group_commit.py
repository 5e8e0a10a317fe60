"""Threads that want to commit at the same moment share one commit (docs/adr/0024)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from shared.bus.outages import OUTAGES

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, eq=False)
class _Wish(Generic[K, V]):
    rows: Mapping[K, V]
    changed: Future[set[K]] = field(default_factory=Future)


class GroupCommit(Generic[K, V]):
    """Calls `commit`, which gives the keys of what it changed, for all who wait while somebody else's commit runs.

    Whoever has the turn does it for everybody; nobody waits for more than that. The same key twice is never in one
    commit: the second is to find what the first one left."""

    def __init__(self, commit: Callable[[Mapping[K, V]], set[K]]) -> None:
        self._commit = commit
        self._turn, self._lock = threading.Lock(), threading.Lock()
        self._waiting: list[_Wish[K, V]] = []

    def __call__(self, rows: Mapping[K, V]) -> set[K]:
        """The keys of the rows that were changed, and perhaps others'. Raises what the commit raised: an outage to all
        who shared it, anything else to whoever it is about."""
        mine = _Wish(rows)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            while not mine.changed.done():
                self._commit_for(self._taken())
        return mine.changed.result()

    def _taken(self) -> list[_Wish[K, V]]:
        taken: list[_Wish[K, V]] = []
        keys: set[K] = set()
        with self._lock:
            for wish in self._waiting:
                if keys.isdisjoint(wish.rows):
                    keys.update(wish.rows)
                    taken.append(wish)
            self._waiting = [wish for wish in self._waiting if wish not in taken]
        return taken

    def _commit_for(self, wishes: list[_Wish[K, V]]) -> None:
        try:
            changed = self._commit({key: row for wish in wishes for key, row in wish.rows.items()})
        except BaseException as error:
            if len(wishes) > 1 and isinstance(error, Exception) and not isinstance(error, OUTAGES):
                for wish in wishes:  # what the database does not hold is one's own fault, and no doubt about the others
                    self._commit_for([wish])
                return
            for wish in wishes:
                wish.changed.set_exception(error)
        else:
            for wish in wishes:
                wish.changed.set_result(changed)
