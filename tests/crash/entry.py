"""The command line with a kill point: `python -m tests.crash.entry POINT CALL DELAY run ...`.

The process kills itself with SIGKILL, DELAY seconds after it enters POINT for the CALL-th time. Kill points live here and
not in the product. `crash.jsonl` in the current folder tells where it was struck.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.cli import app
from deploy.embedded import STAGES
from deploy.simulators.mail.archive import Archive
from deploy.simulators.pagopa import Book
from shared.wiring import Setup, StageService

JOURNAL = Path("crash.jsonl")
POINTS = (
    "iuv.act", "render.act", "protocol.reserve", "dispatch.act",
    "pagopa.accepted", "mail.begun", "mail.accepted", "time",
)  # fmt: skip


def strike(point: str, delay: float, inside: Callable[[], bool] = lambda: True) -> None:
    """SIGKILL to ourselves after `delay` seconds; the journal tells whether the act was still going on."""

    def kill() -> None:
        time.sleep(delay)
        with JOURNAL.open("a") as journal:
            journal.write(json.dumps({"point": point, "inside": inside(), "delay": delay}) + "\n")
            journal.flush()
            os.fsync(journal.fileno())
        os.kill(os.getpid(), signal.SIGKILL)

    if delay:
        threading.Thread(target=kill, daemon=True).start()
    else:
        kill()


class KillPoint:
    """Counts the entries of one point, and strikes at the chosen one."""

    def __init__(self, point: str, call: int, delay: float) -> None:
        self.point, self.call, self.delay = point, call, delay
        self._calls = 0
        self._lock = threading.Lock()

    def around(self, function: Callable[..., Any], *, after: bool = False) -> Callable[..., Any]:
        """`function`, struck while it runs (or, with `after`, when it has run and before anybody hears of it)."""

        def struck(*args: Any, **named: Any) -> Any:
            with self._lock:
                self._calls += 1
                mine = self._calls == self.call
            running = [True]
            if mine and not after:
                strike(self.point, self.delay, lambda: running[0])
            result = function(*args, **named)
            if mine and after:
                strike(self.point, self.delay)
            running[0] = False
            return result

        return struck


def arm(kill: KillPoint) -> None:
    """Put the kill point in its place."""
    place, _, what = kill.point.partition(".")
    if kill.point == "time":
        strike("time", kill.delay)
    elif kill.point == "pagopa.accepted":
        Book.create = kill.around(Book.create, after=True)  # type: ignore[method-assign]
    elif kill.point == "mail.begun":
        Archive.begun = kill.around(Archive.begun, after=True)  # type: ignore[method-assign]
    elif kill.point == "mail.accepted":
        Archive.accept = kill.around(Archive.accept, after=True)  # type: ignore[method-assign]
    else:
        wire, consumes = STAGES[place]

        def armed(setup: Setup) -> StageService:
            service = wire(setup)
            act = "act" if service.stage.lookable else "act_once"
            name = "reserve" if what == "reserve" else act
            setattr(service.stage, name, kill.around(getattr(service.stage, name), after=what == "reserve"))
            return service

        STAGES[place] = (armed, consumes)


def main() -> None:
    """Arm, then be the command line."""
    point, call, delay = sys.argv[1:4]
    del sys.argv[1:4]
    if point != "none":
        arm(KillPoint(point, int(call), float(delay)))
    app()


if __name__ == "__main__":
    main()
