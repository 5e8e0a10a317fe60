"""How much of each lane is in flight: about ten seconds of what it lately did, within bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.ingest.hand import AnyRow
from services.ingest.model import Step
from services.ingest.tables import WITHDRAW, Lane, LaneWord
from shared.contracts.base import StageName

SECONDS_IN_FLIGHT = 10.0
WINDOW_SECONDS = 10.0
LEAST, MOST = 50, 2_000
STOOD_STILL = timedelta(seconds=2)
"""Longer than this without a look at a lane or a word of it: that time says nothing about its pace."""
PROBE_PATIENCE = timedelta(minutes=5)
"""How long a closed lane's probe may stay without an answer before another is sent."""


def lane_name(stage: StageName, creditor: str, channel: str) -> str:
    """The lane of a stage as the pacer sees it. The stages' own lanes may be finer."""
    match stage:
        case StageName.RENDER:
            return "render"
        case StageName.DISPATCH:
            return f"dispatch:{creditor}:{channel}"
        case _:
            return f"{stage.value}:{creditor}"


def lane_of(row: AnyRow, stage: StageName) -> str:
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


def lane_now(row: AnyRow) -> str:
    """The lane that has an issued row in hand."""
    return lanes_ahead(row.errand or row.step, row.creditor, row.channel)[0]


def capacity(lane: Lane) -> int:
    """How many records of the lane may be in flight."""
    lately = sum(count for _, count in lane.recent)
    return max(LEAST, min(MOST, round(lately / WINDOW_SECONDS * SECONDS_IN_FLIGHT)))


def overdue_mark(lane: Lane) -> int:
    """How many records the lane will have answered, ever, when one that is issued now must have been among them: twice as
    many later ones as are in flight."""
    return lane.answered + 2 * max(lane.in_flight, capacity(lane))


def learn(lane: Lane, words: Sequence[LaneWord], now: datetime) -> None:
    """Take in what the facts said of the lane since, and forget what is older than the window. An answer opens a lane; a
    record that bounced closes it until its next probe."""
    recent: Counter[float] = Counter()
    for at, count in lane.recent:
        recent[at] += int(count)
    for word in words:
        if word.closed_until is not None:
            lane.probe_at = word.closed_until
        else:
            lane.answered, lane.answered_at, lane.probe_at = lane.answered + word.answered, word.at, None
            recent[float(round(word.at.timestamp()))] += word.answered
    shift, since = _stood_still(lane, words, now).total_seconds(), now.timestamp() - WINDOW_SECONDS
    lane.recent = [[at + shift, count] for at, count in sorted(recent.items()) if at + shift >= since]
    lane.looked_at = now


def _stood_still(lane: Lane, words: Sequence[LaneWord], now: datetime) -> timedelta:
    """How long nobody looked and nobody answered: a restart, or a time without batches."""
    if lane.looked_at is None or now - lane.looked_at <= STOOD_STILL:
        return timedelta()
    quiet = all(word.at <= lane.looked_at + STOOD_STILL for word in words)
    return now - lane.looked_at if quiet else timedelta()


class Rooms:
    """How many more records each lane takes, in one tick. A lane that we do not hold takes none; a closed one takes a
    probe when its time has come."""

    def __init__(self, lanes: Mapping[str, Lane], now: datetime) -> None:
        self._lanes = lanes
        self._now = now
        for lane in lanes.values():
            lane.in_flight = 0

    def in_flight(self, names: Sequence[str], count: int) -> None:
        """`count` records are under way that have these lanes before them."""
        for lane in self._held(names):
            lane.in_flight += count

    def left(self, names: Sequence[str]) -> int:
        """How many more may be issued that have all these lanes before them."""
        held = self._held(names)
        return min(self._left(lane) for lane in held) if len(held) == len(names) else 0

    def take(self, names: Sequence[str], count: int) -> None:
        """`count` records more are issued."""
        for lane in self._held(names) if count else ():
            lane.in_flight += count
            if lane.probe_at is not None:
                lane.probe_at = self._now + PROBE_PATIENCE

    def mark(self, name: str) -> int:
        """See `overdue_mark`."""
        return overdue_mark(self._lanes[name])

    def _held(self, names: Sequence[str]) -> list[Lane]:
        return [self._lanes[name] for name in names if name in self._lanes]

    def _left(self, lane: Lane) -> int:
        free = max(0, capacity(lane) - lane.in_flight)
        if lane.probe_at is None:
            return free
        return min(1, free) if lane.probe_at <= self._now else 0
