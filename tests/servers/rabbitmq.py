"""RabbitMQ for tests.

`shared()` is one broker for all tests that bring a namespace of their own and stop nothing: `STAFFETTA_TEST_BROKER_URL`,
else the standard port of this machine where guest may log in, else a private one. `private()` is for tests that stop,
kill, suspend or wipe it.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

from shared.bus.connection import Broker
from tests.servers import ServerMissing, free_port

URL = "STAFFETTA_TEST_BROKER_URL"
STANDARD = "amqp://guest:guest@127.0.0.1:5672//"
GUEST = "guest:guest"
BINARIES = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 180.0
STOP_SECONDS = 60.0


@functools.cache
def shared() -> str:
    """The URL of a running broker."""
    if url := os.environ.get(URL):
        return url
    if answers(STANDARD):
        return STANDARD
    held = ExitStack()
    atexit.register(held.close)
    return held.enter_context(private()).url


@contextmanager
def private(
    *, management: bool = False, definitions: Path | None = None, login: str = GUEST, settings: str = ""
) -> Iterator[RabbitMQ]:
    """A broker of our own, started; killed and removed at the end. `definitions` are loaded at each start, and leave no
    guest: then `login` is one of theirs. `settings`: further lines of `rabbitmq.conf`."""
    with tempfile.TemporaryDirectory(prefix="staffetta-rabbitmq-") as folder:
        server = RabbitMQ(Path(folder), management=management, definitions=definitions, login=login, settings=settings)
        atexit.register(server.kill)
        try:
            server.start()
            yield server
        finally:
            server.close()
            atexit.unregister(server.kill)


def answers(url: str) -> bool:
    """Whether somebody may log in there."""
    with suppress(Exception), Broker(url).connect("tests") as connection:
        return bool(connection.connected)
    return False


class RabbitMQ:
    """One node on free ports, with data, log, cookie and port mapper of its own, run by whoever runs the tests."""

    def __init__(
        self,
        folder: Path,
        *,
        management: bool = False,
        definitions: Path | None = None,
        login: str = GUEST,
        settings: str = "",
    ) -> None:
        server, mapper = BINARIES / "rabbitmq-server", shutil.which("epmd")
        if not server.exists() or mapper is None:
            raise ServerMissing(f"RabbitMQ is not installed: apt-get install rabbitmq-server, or set {URL}")
        self.folder = folder
        self.port, self.management_port, self._mapper_port = free_port(), free_port(), free_port()
        self.url = f"amqp://{login}@127.0.0.1:{self.port}//"
        self._server, self._mapper = str(server), mapper
        self._processes: list[subprocess.Popen[bytes]] = []
        self._log: IO[bytes] = (folder / "output.log").open("ab")
        self._environment = self._configure(management=management, definitions=definitions, settings=settings)

    def start(self) -> None:
        """Start it and wait until it answers. Raises `AssertionError` with its last words."""
        if not self._processes:
            self._spawn(self._mapper, "-port", str(self._mapper_port), "-address", "127.0.0.1")
        node = self._spawn(self._server)
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.url):
            alive = node.poll() is None and time.monotonic() < deadline
            assert alive, f"RabbitMQ did not start: {(self.folder / 'output.log').read_text()[-2000:]}"
            time.sleep(0.1)

    def stop(self) -> None:
        """As an operator would: connections are closed, data is kept."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`; data is kept."""
        self._end(signal.SIGKILL)

    def wipe(self) -> None:
        """Kill it and delete its data: it starts empty."""
        self.kill()
        shutil.rmtree(self.folder / "mnesia", ignore_errors=True)

    def suspend(self) -> None:
        """It stands still: connections stay open, nothing is answered."""
        os.killpg(self._processes[-1].pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        os.killpg(self._processes[-1].pid, signal.SIGCONT)

    def control(self, *command: str) -> str:
        """`rabbitmqctl`, and what it printed."""
        return subprocess.run(
            [BINARIES / "rabbitmqctl", "--quiet", *command], env=self._environment, check=True, capture_output=True,
            text=True, timeout=START_SECONDS,
        ).stdout  # fmt: skip

    def close(self) -> None:
        """Kill everything."""
        self.kill()
        for process in self._processes:
            _end(process, signal.SIGKILL)
        self._processes.clear()
        self._log.close()

    def _end(self, how: signal.Signals) -> None:
        if len(self._processes) > 1:
            _end(self._processes.pop(), how)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """In a process group of its own, so that a shell's children end with it."""
        process = subprocess.Popen(
            command, env=self._environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, start_new_session=True,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def _configure(self, *, management: bool, definitions: Path | None, settings: str) -> Mapping[str, str]:
        lines = [
            f"listeners.tcp.1 = 127.0.0.1:{self.port}",
            "log.file.level = warning",
            "disk_free_limit.absolute = 50MB",
        ]
        if management:
            lines += ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {self.management_port}"]
        if definitions is not None:
            lines.append(f"load_definitions = {definitions}")
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, settings]) + "\n")
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management]." if management else "[].")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"staffetta-{uuid4().hex[:8]}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            # On loopback only; and without spinning for work, which takes the processor from the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
            ),
        }


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
