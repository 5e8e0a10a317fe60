"""What a consumer has in hand, and how many messages the broker may give it at once."""

from __future__ import annotations

import math
from collections.abc import Iterable

HOARD = 4
"""So many handfuls in hand are more than one replica's share."""
GROWTH = 4


class Hand:
    """By delivery tag, the oldest first. `prefetch` is what the broker was told.

    It begins with one message, and grows towards a handful: whether a message holds one record or a parcel of them is not known
    before it comes. It goes back to one as long as messages are about that were delivered before: what kills its worker is
    then alone in hand (quorum queues give such messages first). But for that it changes only while all that was let in is in
    hand: RabbitMQ takes back what is on its way to a consumer that is changed, and counts that as a delivery."""

    def __init__(self, size: int) -> None:
        self.prefetch = 1
        self._size = size
        self._items: dict[int, int] = {}
        self._let_in: set[int] = set()
        self._again: set[int] = set()
        self._alone, self._calm = True, False

    def take(self, tag: int, items: int, *, again: bool) -> None:
        """A message of `items` came. `again`: it was delivered before."""
        self._items[tag] = items
        self._let_in.add(tag)
        if again:
            self._again.add(tag)
            self._alone = True
        self._calm = not again

    def let_go(self, tags: Iterable[int]) -> None:
        """These are done."""
        for tag in tags:
            self._items.pop(tag, None)
            self._let_in.discard(tag)
            self._again.discard(tag)

    def let_in(self, prefetch: int) -> None:
        """The broker was told; what is in hand does not count for it."""
        self.prefetch = prefetch
        self._let_in.clear()

    def done_from_the_first(self, done: set[int]) -> list[int]:
        """Of what is done, all that no elder in hand stands before."""
        first = []
        for tag in self._items:
            if tag not in done:
                break
            first.append(tag)
        return first

    def wanted(self) -> int:
        """What `prefetch` should be now."""
        if self._calm and not self._again:
            self._alone = False
        if self._alone:
            return 1
        held = sum(self._items.values())
        if len(self._let_in) < self.prefetch or self._size <= held <= HOARD * self._size:
            return self.prefetch
        fitting = math.ceil(len(self._items) * self._size / held)
        return min(fitting, GROWTH * self.prefetch, self._size)
