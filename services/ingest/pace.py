"""How much of each lane is in flight: about ten seconds of what it lately did, within bounds."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from services.ingest.model import Step
from services.ingest.tables import WITHDRAW, Row
from shared.contracts.base import StageName

SECONDS_IN_FLIGHT = 10.0
WINDOW_SECONDS = 10.0
LEAST, MOST = 50, 2_000


def lane_name(stage: StageName, creditor: str, channel: str) -> str:
    """The lane of a stage as the pacer sees it. The stages' own lanes may be finer."""
    match stage:
        case StageName.RENDER:
            return "render"
        case StageName.DISPATCH:
            return f"dispatch:{creditor}:{channel}"
        case _:
            return f"{stage.value}:{creditor}"


def lane_of(row: Row, stage: StageName) -> str:
    """The lane that a row uses at a stage."""
    return lane_name(stage, row.creditor, row.channel)


STAGES_AHEAD = {
    Step.IUV.value: (StageName.IUV, StageName.RENDER),
    Step.RENDER.value: (StageName.RENDER,),
    Step.PROTOCOL.value: (StageName.PROTOCOL, StageName.DISPATCH),
    Step.DISPATCH.value: (StageName.DISPATCH,),
    WITHDRAW: (StageName.IUV,),
}


def lanes_ahead(step: str, creditor: str, channel: str) -> list[str]:
    """The lanes that a record still has before it in its phase: it counts in each until that lane's fact. `step`: what is
    issued, a withdrawal too."""
    return [lane_name(stage, creditor, channel) for stage in STAGES_AHEAD[step]]


@dataclass(slots=True)
class Pace:
    """The answers of the last seconds, by lane. In memory: after a restart a lane starts from the least."""

    clock: Callable[[], float] = time.monotonic
    _answers: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=MOST)))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, lane: str) -> None:
        """A lane finished one record."""
        with self._lock:
            self._answers[lane].append(self.clock())

    def capacity(self, lane: str) -> int:
        """How many records of the lane may be in flight."""
        with self._lock:
            since = self.clock() - WINDOW_SECONDS
            lately = sum(1 for moment in self._answers[lane] if moment >= since)
        return max(LEAST, min(MOST, round(lately / WINDOW_SECONDS * SECONDS_IN_FLIGHT)))


class Rooms:
    """How many more records each lane takes, in one tick."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._left: dict[str, int] = {}

    def left(self, lanes: Sequence[str]) -> int:
        """How many more may be issued that have all these lanes before them."""
        for lane in lanes:
            if lane not in self._left:
                self._left[lane] = self._pace.capacity(lane)
        return max(0, min(self._left[lane] for lane in lanes))

    def take(self, lanes: Sequence[str], count: int) -> None:
        """`count` records more are in flight."""
        self.left(lanes)
        for lane in lanes:
            self._left[lane] -= count


class Turns:
    """Who has waited longest is next: creditors in turn, and each one's batches. Kept across ticks, for a full lane frees
    a few places at a time, and they must not all go to the first in a list."""

    def __init__(self) -> None:
        self._count = 0
        self._creditors: dict[str, int] = {}
        self._batches: dict[UUID, int] = {}

    def next(self, waiting: Mapping[UUID, str]) -> UUID:
        """Of these batches (with their creditors), the one whose turn it is."""
        return min(waiting, key=lambda batch: (self._creditors.get(waiting[batch], 0), self._batches.get(batch, 0)))

    def served(self, batch: UUID, creditor: str) -> None:
        """It had its turn."""
        self._count += 1
        self._creditors[creditor] = self._batches[batch] = self._count
