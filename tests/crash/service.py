"""A service with a kill point: `python -m tests.crash.service NAME POINT CALL`, for `python -m services.NAME`.

The process kills itself with SIGKILL when it passes POINT for the CALL-th time (`none`: never). Kill points live here and
not in the product. `crash.jsonl` in the current folder tells where it was struck, `urls.log` which URLs status was asked
for. With `BLANK_PRESS` in the environment render makes pages without layout: where printing is not what is tested, it is
nine tenths of the time. With `CANARY` there are bugs on some records (`.canary`).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from services.render.ports import Answer, Job, Printed
from shared.bus.ledgers import Ledger
from shared.bus.publisher import Publisher
from shared.bus.runner import StageRunner
from shared.contracts.envelope import Envelope
from shared.process import main as main_of
from tests.crash import canary
from tests.crash.entry import KillPoint, strike
from tests.crash.overheard import overhear

SMALL_CHUNK = 5


def arm(name: str, kill: KillPoint) -> None:
    """Put the kill point in its place."""
    if kill.point not in PLACES:
        raise SystemExit(f"{name} has no kill point {kill.point}")
    PLACES[kill.point](kill)


def _after(owner: Any, method: str, kill: KillPoint) -> None:
    setattr(owner, method, kill.around(getattr(owner, method), after=True))


def _after_act(kill: KillPoint) -> None:
    """The world has answered, and nobody has heard it."""
    plain = StageRunner.__init__

    def armed(runner: StageRunner, service: Any, *args: Any, **named: Any) -> None:
        stage = service.stage
        act = "act" if stage.lookable else "act_once"
        setattr(stage, act, kill.around(getattr(stage, act), after=True))
        plain(runner, service, *args, **named)

    StageRunner.__init__ = armed  # type: ignore[method-assign,assignment]


def _poisoned(kill: KillPoint) -> None:
    """Whoever acts on the row with this number dies."""
    plain = StageRunner.__init__

    def armed(runner: StageRunner, service: Any, *args: Any, **named: Any) -> None:
        stage = service.stage
        act = stage.act

        def deadly(works: Sequence[Any]) -> Any:
            if any(work.request.record.row == kill.call for work in works):
                strike(kill.point, 0.0)
            return act(works)

        stage.act = deadly
        plain(runner, service, *args, **named)

    StageRunner.__init__ = armed  # type: ignore[method-assign,assignment]


def _in_publish(kill: KillPoint) -> None:
    """`half`: the broker has the first half of what a handful says. `pass-on`: it has all, and the handful is not let go."""
    plain = Publisher.publish

    def struck(publisher: Publisher, envelopes: Sequence[Envelope]) -> None:
        half = envelopes[: len(envelopes) // 2] if kill.point == "half" else envelopes
        plain(publisher, half)
        if envelopes:
            passed(publisher)
        plain(publisher, envelopes[len(half) :])

    passed = kill.around(lambda _publisher: None, after=True)
    Publisher.publish = struck  # type: ignore[method-assign,assignment]


def _in_reading(kill: KillPoint) -> None:
    """Some chunks of the spreadsheet are rows, the others not yet."""
    importlib.import_module("services.ingest.reading").CHUNK = SMALL_CHUNK  # type: ignore[attr-defined]
    _after(importlib.import_module("services.ingest.batches").Batches, "_replace", kill)


def _before_issue(kill: KillPoint) -> None:
    """The rows are `issued`, and no command is with the broker."""
    pacer = importlib.import_module("services.ingest.pacer")
    plain = pacer.Pacer.__init__

    def armed(self: Any, database: Any, publish: Callable[..., Any], *args: Any, **named: Any) -> None:
        struck = kill.around(lambda: None, after=True)

        def published(envelopes: Sequence[Envelope]) -> None:
            if envelopes:
                struck()
            publish(envelopes)

        plain(self, database, published, *args, **named)

    pacer.Pacer.__init__ = armed


class BlankPress:
    """A `Press` whose documents say which notice they are, and nothing else."""

    def __init__(self, *_configuration: object) -> None:
        """As `WorkerPool`."""

    def make(self, jobs: Sequence[Job]) -> Sequence[Answer]:
        """See `Press`."""
        return [self._made(job) for job in jobs]

    def close(self) -> None:
        """Nothing is held."""

    def _made(self, job: Job) -> Answer:
        record = job.record
        notice = f"%PDF-1.7 {record.position.notice_code}".encode() if record.position and not job.preview else None
        return Printed(notice, f"%PDF-1.7 {record.id}".encode() if record.letter else None)


PLACES: dict[str, Callable[[KillPoint], None]] = {
    "reserve": lambda kill: _after(Ledger, "reserve", kill),
    "acting": lambda kill: _after(Ledger, "mark_acting", kill),
    "act": _after_act,
    "poison": _poisoned,
    "record": lambda kill: _after(Ledger, "record", kill),
    "half": _in_publish,
    "pass-on": _in_publish,
    "mid-read": _in_reading,
    "issued": _before_issue,
    "mid-fold": lambda kill: _after(importlib.import_module("services.status.wire"), "fold_handful", kill),
}


def main() -> None:
    """Arm, then be the service."""
    name, point, call = sys.argv[1:4]
    del sys.argv[1:4]
    if name == "render" and os.environ.get("BLANK_PRESS"):
        importlib.import_module("services.render.wire").WorkerPool = BlankPress  # type: ignore[attr-defined]
    if os.environ.get("CANARY"):
        canary.arm(name)
    overhear()
    if point != "none":
        arm(name, KillPoint(point, int(call), 0.0))
    sys.exit(main_of(importlib.import_module(f"services.{name}.__main__").SERVICE, []))


if __name__ == "__main__":
    main()
