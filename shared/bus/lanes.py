"""A lane that does not answer is closed: one probe with growing waits, nobody's attempts counted, nobody parked.

Five failures of the *lane* in a row close it (no connection, time-out, 421, 429, 5xx of an API), a refused login at once;
never an answer about one recipient or record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.stage import Deferred, Outcome, Permanent, Transient, Uncertain

FAILURES_TO_CLOSE = 5
LONGEST_PROBE = timedelta(minutes=2)
PROBE_WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 15, 60, 300))


def utc_now() -> datetime:
    """The clock that everybody takes as a parameter."""
    return datetime.now(UTC)


@dataclass(slots=True)
class _Lane:
    failures: int = 0
    closed_since: datetime | None = None
    code: str = ""
    shut: bool = False
    """It answers, and refuses us: whoever reads this can mend it, which silence does not tell."""
    probes: int = 0
    next_probe: datetime | None = None
    probing_since: datetime | None = None
    told: str = ""
    """What was last said of it: `open` or `closed`; after a start nothing, for nobody knows what was said before."""


@dataclass(frozen=True, slots=True)
class LaneEvent:
    """A lane closed (`code` says why) or opened (no code)."""

    lane: str
    code: str
    since: datetime


@dataclass(slots=True)
class Lanes:
    """The lanes of one worker process."""

    now: Callable[[], datetime] = utc_now
    waits: Sequence[timedelta] = PROBE_WAITS
    _lanes: dict[str, _Lane] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admit(self, lane: str) -> datetime | None:
        """`None`: go on (as the probe, where the lane is closed and its time has come); otherwise not before that."""
        with self._lock:
            state = self._lanes.setdefault(lane, _Lane())
            if state.closed_since is None or state.next_probe is None:
                return None
            now = self.now()
            probing = state.probing_since is not None and now - state.probing_since < LONGEST_PROBE
            if probing or now < state.next_probe:
                return max(state.next_probe, now + timedelta(seconds=1))
            state.probing_since = now
            return None

    def account(self, lane: str, outcome: Outcome) -> LaneEvent | None:
        """What the outcome of an act says about its lane. An unclear end is silence too: a server that dies at every message
        would leave the whole batch in doubt."""
        match outcome:
            case Transient(code, lane=True, shut=shut):
                return self.failed(lane, code, shut=shut)
            case Uncertain(section):
                return self.failed(lane, section.code or "no-answer")
            case Deferred() | Permanent():
                self.release(lane)
                return None
            case _:
                return self.succeeded(lane)

    def release(self, lane: str) -> None:
        """The probe said nothing about the lane: another may try."""
        with self._lock:
            self._lanes.setdefault(lane, _Lane()).probing_since = None

    def closed_until(self, lane: str) -> datetime | None:
        """When a closed lane is probed next; `None` for an open one."""
        with self._lock:
            state = self._lanes.get(lane)
            return state.next_probe if state is not None and state.closed_since is not None else None

    def closed_after(self, lane: str, moment: datetime) -> datetime | None:
        """As `closed_until`, for a lane that closed after `moment`: what was admitted by then must not be tried."""
        with self._lock:
            state = self._lanes.get(lane)
            closed = state is not None and state.closed_since is not None and state.closed_since >= moment
            return state.next_probe if closed and state is not None else None

    def succeeded(self, lane: str) -> LaneEvent | None:
        """The lane answered, whatever it said about the record."""
        with self._lock:
            state = self._lanes.setdefault(lane, _Lane())
            self._lanes[lane] = _Lane(told="open")
            return None if state.told == "open" else LaneEvent(lane, "", self.now())

    def failed(self, lane: str, code: str, *, shut: bool = False) -> LaneEvent | None:
        """The lane did not answer."""
        with self._lock:
            state = self._lanes.setdefault(lane, _Lane())
            state.failures += 1
            state.probing_since = None
            now = self.now()
            if state.closed_since is not None:
                if state.shut != shut:
                    state.closed_since, state.code, state.shut, state.told = now, code, shut, ""
                if state.next_probe is not None and now >= state.next_probe:
                    state.probes += 1
                    state.next_probe = now + self.waits[min(state.probes, len(self.waits) - 1)]
            elif shut or state.failures >= FAILURES_TO_CLOSE:
                state.closed_since, state.code, state.shut, state.probes = now, code, shut, 0
                state.next_probe = now + self.waits[0]
            return self._closing(lane, state)

    def _closing(self, lane: str, state: _Lane) -> LaneEvent | None:
        if state.closed_since is None or state.told == "closed":
            return None
        state.told = "closed"
        return LaneEvent(lane, state.code, state.closed_since)

    def untold(self) -> None:
        """What was said did not get out: the next outcome says it again."""
        with self._lock:
            for state in self._lanes.values():
                state.told = ""

    def standing(self) -> list[LaneEvent]:
        """How every lane that is known stands."""
        with self._lock:
            return [
                LaneEvent(name, state.code, state.closed_since)
                if state.closed_since
                else LaneEvent(name, "", self.now())
                for name, state in self._lanes.items()
                if state.told or state.closed_since
            ]

    def closed(self) -> dict[str, tuple[str, datetime]]:
        """Lane → (code, since) of the closed ones."""
        with self._lock:
            return {
                name: (state.code, state.closed_since)
                for name, state in self._lanes.items()
                if state.closed_since is not None
            }
