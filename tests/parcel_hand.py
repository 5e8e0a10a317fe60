"""A stage's worker as a process, for tests that kill it: `python -m tests.parcel_hand URL NAMESPACE FOLDER POISON...`.

Its acts are lines of the file `acts`, which outlive it, and can be looked up there. It dies by `kill -9` of its own when it is to
act on a row of POISON.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.publisher import Publisher
from shared.bus.runner import StageRunner
from shared.bus.topology import Topology
from shared.contracts.commands import DispatchNotice
from shared.db.engine import Database
from shared.stage import Outcome, Work
from shared.wiring import StageService
from tests.fakes import FakeBase, FakeRow, FakeStage

ROOT = Path(__file__).resolve().parents[1]


def spawn(url: str, namespace: str, folder: Path, poison: Collection[int]) -> subprocess.Popen[bytes]:
    """Start one."""
    command = [sys.executable, "-m", "tests.parcel_hand", url, namespace, str(folder), *map(str, poison)]
    return subprocess.Popen(command, cwd=ROOT)


class DeadlyStage(FakeStage):
    """Its outside world is a file."""

    def __init__(self, acts: Path, poison: Collection[int]) -> None:
        super().__init__()
        self._acts = acts
        self._poison = poison
        if acts.exists():
            self.outside = [(int(row), 1) for row in acts.read_text().split()]

    def happened(self, work: Work[FakeRow]) -> None:
        super().happened(work)
        with self._acts.open("a") as acts:
            acts.write(f"{work.request.record.row}\n")

    def _act(self, work: Work[FakeRow]) -> Outcome:
        if work.request.record.row in self._poison:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._act(work)


def main(url: str, namespace: str, folder: str, *poison: str) -> None:
    """Work until killed."""
    broker, topology = Broker(url), Topology(namespace)
    database = Database(f"sqlite:///{folder}/stage.sqlite", FakeBase.metadata, "fake")
    database.create_all()
    stage = DeadlyStage(Path(folder) / "acts", set(map(int, poison)))
    publisher = Publisher(broker, topology)
    service = StageService(database, stage, frozenset({DispatchNotice}))
    runner = StageRunner(service, publisher.publish, str(os.getpid()))
    Subscription(broker, topology, "dispatch", runner.handle, size=10).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
