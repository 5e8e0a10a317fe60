"""A worker process on one queue, for tests that kill it: `python -m tests.bus_hand URL NAMESPACE QUEUE SIZE POISON`.

It prints a line per handful (issue:earlier deliveries of each message) before it is done with it, and dies by `kill -9` of
its own when it meets the issue POISON.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.delivery import Delivery
from shared.bus.topology import Topology
from shared.contracts.commands import AssignIuv

ROOT = Path(__file__).resolve().parents[1]


def spawn(url: str, namespace: str, queue: str, *, size: int, poison: int) -> subprocess.Popen[str]:
    """Start one; what it prints is on `stdout`."""
    command = [sys.executable, "-m", "tests.bus_hand", url, namespace, queue, str(size), str(poison)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def main(url: str, namespace: str, queue: str, size: str, poison: str) -> None:
    """Consume until killed."""

    def handle(deliveries: Sequence[Delivery]) -> None:
        told = [(delivery.message, delivery.earlier) for delivery in deliveries]
        issues = [(message.issue, earlier) for message, earlier in told if isinstance(message, AssignIuv)]
        print(*(f"{issue}:{earlier}" for issue, earlier in issues), flush=True)
        if int(poison) in (issue for issue, _ in issues):
            os.kill(os.getpid(), signal.SIGKILL)

    Subscription(Broker(url), Topology(namespace), queue, handle, size=int(size)).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
