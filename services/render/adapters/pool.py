"""A `Press` of several worker processes. One that dies or overstays is replaced; only its record suffers."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final

import structlog

from services.render.adapters.kit import Kit
from services.render.adapters.worker import receive
from services.render.ports import Answer, Job, Lost, Unmade

log = structlog.get_logger()
START_SECONDS: Final = 120.0
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "FONTCONFIG_PATH", "FONTCONFIG_FILE", "LD_LIBRARY_PATH")
"""All of the environment that a worker gets: templates run beside it, and ours holds secrets."""
_OVER_LIMIT: Final = {-signal.SIGXCPU}


class Died(Exception):
    """The worker is gone. `over_limit`: it, or we, ended it for taking too long."""

    def __init__(self, over_limit: bool) -> None:
        super().__init__("worker died")
        self.over_limit = over_limit


class Worker:
    """One process and the line to it. Not for two threads at once."""

    def __init__(self, kit: Kit, wall_seconds: float) -> None:
        self._kit, self._wall_seconds = kit, wall_seconds
        self._ready = self._closed = False
        self._start()

    def warm(self) -> None:
        """Wait until the process is ready to print. Raises `Died`."""
        if self._ready:
            return
        try:
            self._line.send(self._kit)
            if not self._line.poll(START_SECONDS):
                raise self._replaced(over_limit=False)
            self._line.recv_bytes(1 << 10)
        except (EOFError, OSError) as error:
            raise self._replaced(over_limit=False) from error
        self._ready = True

    def make(self, job: Job) -> Answer:
        """Print one record. Raises `Died`; the next call finds a new process."""
        self.warm()
        try:
            self._line.send(job)
            if not self._line.poll(self._wall_seconds):
                raise self._replaced(over_limit=True)
            return receive(self._line)
        except (EOFError, OSError) as error:
            raise self._replaced(over_limit=False) from error

    @property
    def process(self) -> int:
        """The id of the process."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        self._line.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, a number as its argument
            [sys.executable, "-m", "services.render.adapters.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()
        self._line: Connection[object, object] = Connection(ours.detach())
        self._ready = False

    def _replaced(self, *, over_limit: bool) -> Died:
        if over_limit:
            self._process.kill()
        try:
            code = self._process.wait(10)  # a closed line: it is ending, and its exit code tells why
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._end()
        if not self._closed:
            self._start()
            log.warning("render.worker_replaced", exit_code=code, over_limit=over_limit)
        return Died(over_limit or code in _OVER_LIMIT)


class WorkerPool:
    """A `services.render.ports.Press`."""

    def __init__(self, kit: Kit, workers: int, wall_seconds: float) -> None:
        self._workers = [Worker(kit, wall_seconds) for _ in range(workers)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="render")
        for _ in self._workers:  # they start while the spreadsheet is still being read
            self._threads.submit(self._warm)

    def make(self, jobs: Sequence[Job]) -> Sequence[Answer]:
        """See `Press.make`."""
        return list(self._threads.map(self._one, jobs))

    @property
    def processes(self) -> tuple[int, ...]:
        """The ids of the processes that print just now."""
        return tuple(worker.process for worker in self._workers)

    def close(self) -> None:
        """End every process; what is being printed is lost, and printed again when it is asked for again."""
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _one(self, job: Job) -> Answer:
        worker = self._idle.get()
        try:
            return self._twice(worker, job)
        finally:
            self._idle.put(worker)

    def _warm(self) -> None:
        worker = self._idle.get()
        try:
            with suppress(Died):
                worker.warm()
        finally:
            self._idle.put(worker)

    def _twice(self, worker: Worker, job: Job) -> Answer:
        """A worker may die of what is not its record's doing (the system was short of memory, or stood still and counted
        it as work): once more, then no more, for a refusal withdraws the record's position."""
        over_limit = False
        for _ in range(2):
            try:
                return worker.make(job)
            except Died as died:
                over_limit = died.over_limit
        return too_slow(job) if over_limit else crashed(job)


def too_slow(job: Job) -> Answer:
    """Only a template can take that long: a notice has a fixed size."""
    return Unmade(
        "letter-too-slow",
        f"Il modello di lettera «{job.record.letter or ''}» non finisce: va corretto da chi lo gestisce.",
    )


def crashed(job: Job) -> Answer:
    """Died twice: a template that takes the process down, or, without one, a bug of ours."""
    if job.record.letter is None:
        return Lost("render-crashed")
    return Unmade(
        "letter-template-unsafe",
        f"Il modello di lettera «{job.record.letter}» fa cadere il programma di stampa: va corretto da chi lo gestisce.",
    )
