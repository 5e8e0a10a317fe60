"""PostgreSQL for tests: one that is there already (each test process gets databases of its own), or a private one that a
test may stop and kill.

`STAFFETTA_TEST_DATABASE_URL` names a server (a role that may create databases and roles); without it the standard local
port is tried, then Debian's programs start one. There is no skipping: no server, no passing.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.servers import ServerMissing, free_port

LOCAL = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
SECONDS = 120.0
ABLE = "SELECT rolsuper OR (rolcreatedb AND rolcreaterole) FROM pg_roles WHERE rolname = current_user"
UNSAFE = ("fsync=off", "full_page_writes=off")
"""Survives the death of its processes, which is what tests bring about, and not that of the machine."""


@cache
def shared() -> str:
    """The URL of a database of this process's own, dropped at its end."""
    held = ExitStack()
    atexit.register(held.close)
    return held.enter_context(database())


@contextmanager
def database() -> Iterator[str]:
    """The URL of a fresh database, dropped afterwards."""
    name = f"staffetta_test_{uuid4().hex[:12]}"
    # no test takes the machine's power away, and a commit that waits for the disk costs more than most tests
    execute(server(), f'CREATE DATABASE "{name}"', f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    try:
        yield make_url(server()).set(database=name).render_as_string(hide_password=False)
    finally:
        execute(server(), f'DROP DATABASE "{name}" WITH (FORCE)')


@cache
def server() -> str:
    """The URL of the server's own database."""
    given = os.environ.get("STAFFETTA_TEST_DATABASE_URL")
    if given:
        return given
    with suppress(OperationalError):
        if execute(LOCAL, ABLE) is True:
            return LOCAL
    held = ExitStack()
    atexit.register(held.close)
    return held.enter_context(private()).url


def execute(url: str, *statements: str) -> object:
    """Run statements, each in a transaction of its own; the last one's first value, if it has one."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        for statement in statements:
            result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


@contextmanager
def private() -> Iterator[PrivateServer]:
    """A server for one test. Its port stays the same when it is stopped and started."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: it holds a socket
    found = PrivateServer(folder)
    try:
        found.start()
        yield found
    finally:
        found.kill()
        shutil.rmtree(folder, ignore_errors=True)


class PrivateServer:
    """Debian's PostgreSQL over a folder, as user postgres where we are root (it refuses root)."""

    def __init__(self, folder: Path) -> None:
        self._bin = _programs()
        self._data, self._folder = folder / "data", folder
        self._user: str | None = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._log = folder / "log"
        self._server: subprocess.Popen[bytes] | None = None
        self._initdb()
        self._port = free_port()
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self._port}",
            f"unix_socket_directories={self._folder}",
            *UNSAFE,
        ]
        given = [part for option in options for part in ("-c", option)]
        with self._log.open("ab") as told:
            self._server = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *given], user=self._user, group=self._user, cwd=self._folder,
                stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it does not start:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """As an administrator does: connections are told, and ended."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(SECONDS)

    def kill(self) -> None:
        """`kill -9`, all of it."""
        if self._server is None or self._server.poll() is not None:
            return
        family = _children(self._server.pid)
        self._server.kill()
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._server.wait(SECONDS)

    def wipe(self) -> None:
        """Start it anew on an empty folder."""
        self.kill()
        shutil.rmtree(self._data)
        self._initdb()
        self.start()

    def _answers(self) -> bool:
        with suppress(OperationalError):
            return execute(self.url, "SELECT 1") == 1
        return False

    def _initdb(self) -> None:
        command: list[str | Path] = [
            "initdb",
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            self._data,
        ]
        with self._log.open("ab") as told:
            subprocess.run(
                [self._bin / command[0], *command[1:]], user=self._user, group=self._user, cwd=self._folder,
                stdin=subprocess.DEVNULL, stdout=told, stderr=told, timeout=SECONDS, check=True,
            )  # fmt: skip


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise ServerMissing("PostgreSQL: apt-get install postgresql, or name one in STAFFETTA_TEST_DATABASE_URL")
    return found[-1].parent


def _children(pid: int) -> list[int]:
    return [int(each) for task in Path(f"/proc/{pid}/task").glob("*/children") for each in task.read_text().split()]
