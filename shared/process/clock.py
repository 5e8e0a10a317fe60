"""The clock of a process: recovery when it is wanted, then the ticks, one after the other on one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import structlog

from shared.bus.outages import wait_seconds
from shared.process.parts import Tick

log = structlog.get_logger()
STEP_SECONDS = 0.05


class Clock:
    """Ticks until `stopping`. What fails (an outage) is tried again, with growing waits; nothing ticks before the first
    recovery is through."""

    def __init__(self, ticks: Sequence[Tick], recover: Callable[[], object], stopping: threading.Event) -> None:
        self._ticks = ticks
        self._recover = recover
        self._stopping = stopping
        self._wanted = threading.Event()
        self._wanted.set()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Begin, with a recovery."""
        self._thread.start()

    def recover(self) -> None:
        """The topology had been lost: recover, from the clock's thread."""
        self._wanted.set()

    def join(self, seconds: float) -> None:
        """Wait for the tick that is going on."""
        self._thread.join(seconds)

    # -- inside

    def _run(self) -> None:
        due = dict.fromkeys(range(len(self._ticks)), 0.0)
        while not self._stopping.wait(self._pause()):
            if self._wanted.is_set() and not self._recovered():
                continue
            now = time.monotonic()
            for index in [index for index, moment in due.items() if moment <= now]:
                due[index] = now + self._ticks[index].seconds
                self._works(self._ticks[index].work)

    def _pause(self) -> float:
        return wait_seconds(self._failures - 1) if self._failures else STEP_SECONDS

    def _recovered(self) -> bool:
        self._wanted.clear()
        if self._works(self._recover):
            return True
        self._wanted.set()
        return False

    def _works(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except Exception:
            self._failures += 1
            log.exception("process.tick-failed", failures=self._failures)
            return False
        self._failures = 0
        return True
