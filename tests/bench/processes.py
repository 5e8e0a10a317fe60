"""Processes of the relay: started, measured while they run, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVERS = {"RabbitMQ": "beam.smp", "PostgreSQL": "postgres"}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Processes:
    """The relay's processes, by service."""

    by_name: Mapping[str, subprocess.Popen[bytes]]

    def alive(self) -> None:
        """Raises where one ended."""
        ended = [name for name, process in self.by_name.items() if process.poll() is not None]
        if ended:
            raise RuntimeError(f"ended: {', '.join(ended)}")

    def cpu(self) -> dict[str, float]:
        """Processor seconds so far of each, and of the two servers."""
        used = {name: _cpu(process.pid) for name, process in self.by_name.items()}
        return used | {name: sum(map(_cpu, _named(program))) for name, program in SERVERS.items()}

    def peaks(self) -> dict[str, float]:
        """Megabytes that each had at most (`VmHWM`)."""
        return {name: _peak(process.pid) for name, process in self.by_name.items()}


@contextmanager
def running(names: Sequence[str], handful: int, surroundings: Mapping[str, str]) -> Iterator[Processes]:
    """A process for each service; ended by SIGTERM, and killed after 15 s."""
    with ExitStack() as stack:
        found = {}
        for name in names:
            command = [sys.executable, "-m", "tests.bench.service", name, str(handful)]
            process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **surroundings})
            stack.callback(_end, process)
            found[name] = process
        yield Processes(found)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _named(program: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() == program:
                found.append(int(folder.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
