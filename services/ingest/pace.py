"""How much of each lane is in flight: about ten seconds of what it lately did, within bounds."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from services.ingest.model import Step
from services.ingest.tables import Row
from shared.contracts.base import Phase, StageName

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


def lanes_ahead(phase: str, step: str, creditor: str, channel: str) -> list[str]:
    """The lanes that a record still has before it in its phase: it counts in each until that lane's fact."""
    order = (
        {Step.IUV: (StageName.IUV, StageName.RENDER), Step.RENDER: (StageName.RENDER,)}
        if phase == Phase.GENERATE
        else {Step.PROTOCOL: (StageName.PROTOCOL, StageName.DISPATCH), Step.DISPATCH: (StageName.DISPATCH,)}
    )
    return [lane_name(stage, creditor, channel) for stage in order.get(Step(step), ())]


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
