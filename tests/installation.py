"""Staffetta on servers: the six services and the simulators as processes of their own, any of which may be killed.

A test talks to it as the world does: the API, the simulators' pages and disks, plain SQL.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import httpx
import openpyxl
import psycopg
from psycopg.rows import dict_row

from shared.bus.connection import Broker
from shared.bus.outages import OUTAGES
from shared.bus.topology import Topology
from tests.e2e.run_hand import ROOT, STAFFETTA, due
from tests.servers import free_port, postgresql, rabbitmq

EXAMPLES = ROOT / "deploy" / "examples"
SERVICES = ("ingest", "iuv", "render", "protocol", "dispatch", "status")
FINAL = frozenset({"sent", "to-verify", "by-hand", "to-correct", "stuck", "cancelled"})
"""States of a record that the machine does not leave by itself."""
LEAVE_SECONDS = 10.0
START_SECONDS = 240.0
"""For six processes at once, on a machine that is busy."""
SIMULATE = (sys.executable, "-m", "tests.crash.overheard", "simulate")
FAST = {
    # A lease runs out soon after a kill; the acts here take milliseconds.
    "STAFFETTA_DISPATCH_SLOT_SECONDS": "2",
    "STAFFETTA_DISPATCH_HARD_SECONDS": "4",
    "STAFFETTA_DISPATCH_MARGIN_SECONDS": "2",
    "STAFFETTA_COMMAND_PATIENCE_SECONDS": "2",
}


class Installation:
    """`start` makes database, topology and processes; `books` of an audit are its simulators and its schemas."""

    def __init__(
        self,
        folder: Path,
        broker_url: str,
        database_url: str,
        namespace: str,
        environment: Mapping[str, str] | None = None,
        *,
        examples: Path = EXAMPLES,
        logins: Mapping[str, str] | None = None,
    ) -> None:
        """`database_url`: `postgresql+psycopg://`, of a role that may create schemas. `examples`: where the creditors' file
        and what it names are. `logins`: service → the broker's URL with a user of its own."""
        self.folder, self._examples, self._logins = folder, examples, logins or {}
        self.broker_url, self.database_url = broker_url, database_url
        self.topology = Topology(namespace)
        self.pagopa, self.mail = folder / "pagopa", folder / "mail"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = {name: free_port() for name in ("pagopa", "smtp", "mail", "http", *SERVICES)}
        self._environment = {**os.environ, **FAST, **self._variables(), **(environment or {})}
        self.api = httpx.Client(base_url=self.address("http") + "/api/v1", timeout=30)

    def _variables(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            "STAFFETTA_BROKER_URL": self.broker_url,
            "STAFFETTA_DATABASE_URL": self.database_url,
            "STAFFETTA_NAMESPACE": self.topology.namespace,
            "STAFFETTA_FOLDER": str(self.folder),
            "STAFFETTA_CREDITORS": str(self._creditors()),
            "STAFFETTA_HTTP_PORT": str(self._ports["http"]),
        }

    def _creditors(self) -> Path:
        """The rehearsal file, with these simulators' ports."""
        home = self.folder / "creditors"
        shutil.copytree(self._examples, home, dirs_exist_ok=True)
        path = home / "creditors.toml"
        told = path.read_text(encoding="utf-8")
        told = re.sub(r"127\.0\.0\.1:\d+/gpd", f"127.0.0.1:{self._ports['pagopa']}/gpd", told)
        path.write_text(re.sub(r"(?m)^port = \d+", f"port = {self._ports['smtp']}", told), encoding="utf-8")
        return path

    def address(self, name: str) -> str:
        """Where a process answers HTTP: its health, and for `http`, `pagopa` and `mail` their pages."""
        return f"http://127.0.0.1:{self._ports[name]}"

    # -- coming and going

    def start(self) -> None:
        """Everything, from nothing."""
        self.migrate()
        self.declare()
        self.start_simulators()
        for name in SERVICES:
            self.start_service(name)
        self.until_ready()

    def migrate(self) -> None:
        """The schemas as they must be."""
        subprocess.run([STAFFETTA, "migrate"], cwd=self.folder, env=self._environment, check=True)

    def declare(self) -> None:
        """The topology as it must be."""
        with Broker(self.broker_url).connect() as connection:
            self.topology.declare(connection)

    def undeclare(self) -> None:
        """Leave nothing of the topology at a broker that is everybody's."""
        with Broker(self.broker_url).connect() as connection, connection.channel() as channel:
            for part in self.topology.parts():
                part(channel).delete()

    def start_simulators(self) -> None:
        """pagoPA and the mail server."""
        self.start_pagopa()
        ports = ("--smtp-port", str(self._ports["smtp"]), "--port", str(self._ports["mail"]))
        self._spawn("mail", *SIMULATE, "mail", "--folder", self.mail, *ports)

    def start_pagopa(self) -> None:
        """Again, on the same port and the same book."""
        self._spawn("pagopa", *SIMULATE, "pagopa", "--folder", self.pagopa, "--port", self._ports["pagopa"])

    def start_service(self, name: str, point: str = "none", call: int = 1) -> None:
        """With a kill point: see tests/crash/service.py."""
        own = {"STAFFETTA_HEALTH_PORT": str(self._ports[name])}
        if name in self._logins:
            own["STAFFETTA_BROKER_URL"] = self._logins[name]
        self._spawn(name, sys.executable, "-m", "tests.crash.service", name, point, str(call), more=own)

    def until_ready(self, *names: str) -> None:
        """Until these (all) services say so."""
        for name in names or SERVICES:
            wait_for(f"{name} ready", lambda name=name: self.ready(name), START_SECONDS)  # type: ignore[misc]

    def ready(self, name: str) -> bool:
        """What `/readyz` says."""
        with suppress(httpx.HTTPError):
            return httpx.get(self.address(name) + "/readyz", timeout=5).status_code == httpx.codes.OK
        return False

    def kill(self, name: str) -> None:
        """`kill -9`."""
        self.processes[name].kill()
        self.processes[name].wait()

    def until_killed(self, name: str, seconds: float = 300.0) -> None:
        """Until its kill point struck."""
        process = self.processes[name]
        wait_for(f"{name} killed", lambda: process.poll() is not None, seconds)
        assert process.returncode == -signal.SIGKILL, f"{name} ended with {process.returncode}"

    def stop(self) -> dict[str, int]:
        """SIGTERM to all: their exit codes."""
        self.api.close()
        for process in self.processes.values():
            process.terminate()
        deadline = time.monotonic() + LEAVE_SECONDS
        codes = {}
        for name, process in self.processes.items():
            try:
                codes[name] = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        return codes

    def _spawn(self, name: str, *command: str | Path | int, more: Mapping[str, str] | None = None) -> None:
        log: IO[bytes] = (self.folder / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                [str(part) for part in command], cwd=self.folder, env={**self._environment, **(more or {})},
                stdout=log, stderr=log,
            )  # fmt: skip

    # -- at work

    def send(self, sheet: Path, **fields: str) -> str:
        """A clerk's batch, to the end and registered, with a letter unless told otherwise; its id."""
        data = {
            "creditor": "c_x999", "channel": "auto", "payment_type": "scuolabus", "due_date": due().isoformat(),
            "reason": "Trasporto scolastico", "registration": "true", "subject": "Avviso", "until": "send", **fields,
        }  # fmt: skip
        answer = self.api.post("/batches", data=data, files={"file": (sheet.name, sheet.read_bytes())})
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["batch_id"])

    def states(self, batch: str) -> dict[str, int]:
        """How many records of a batch are in which state, as status tells."""
        rows = self.query(
            "status", f"select state, count(*) as n from record where batch_id = '{batch}' group by state"
        )
        return {row["state"]: row["n"] for row in rows}

    def records(self, batch: str, **search: Any) -> list[dict[str, Any]]:
        """Records of a batch as the API lists them: up to 200 that `search` finds."""
        answer = self.api.post(f"/batches/{batch}/records/search", json={"page_size": 200, **search})
        items: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
        return items

    def until_settled(self, batch: str, rows: int, seconds: float = 600.0) -> dict[str, int]:
        """Until every record is where the machine leaves it, and status has heard so."""

        def settled() -> bool:
            states = self.states(batch)
            return sum(states.values()) == rows and set(states) <= FINAL

        wait_for("settled", settled, seconds, told=lambda: self.states(batch))
        return self.states(batch)

    def mail_fault(self, kind: str, recipient: str, times: int = 1) -> None:
        """What the mail server does wrong, to one recipient: see `deploy/simulators/mail/faults.py`."""
        fault = {"kind": kind, "recipient": recipient, "times": times}
        httpx.post(self.address("mail") + "/faults", json=fault, timeout=30).raise_for_status()

    def query(self, service: str, sql: str) -> list[dict[str, Any]]:
        """The rows of a service's schema."""
        url = self.database_url.replace("+psycopg", "")
        with psycopg.connect(url, row_factory=dict_row, options=f"-c search_path={service}") as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def installed(
    folder: Path,
    broker_url: str,
    database_url: str,
    namespace: str,
    environment: Mapping[str, str] | None = None,
    **more: Any,
) -> Iterator[Installation]:
    """Started, and ended with whatever a test left alive. `more`: see `Installation`."""
    here = Installation(folder, broker_url, database_url, namespace, environment, **more)
    try:
        here.start()
        yield here
    finally:
        here.stop()
        with suppress(*OUTAGES):  # a private one may be gone already
            here.undeclare()


@contextmanager
def on_private_servers(
    folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[rabbitmq.RabbitMQ, postgresql.PrivateServer, Installation]]:
    """An installation whose servers may be stopped, killed and wiped."""
    with (
        rabbitmq.private() as broker,
        postgresql.private() as database,
        installed(folder, broker.url, database.url, f"crash-{uuid4().hex[:6]}", environment) as here,
    ):
        yield broker, database, here


def wait_for(
    what: str, condition: Callable[[], bool], seconds: float = 90.0, told: Callable[[], object] = lambda: ""
) -> None:
    """Until it holds; fails where it does not in time, with what `told` says."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what} {told()}"
        time.sleep(0.1)


def sheet_of(folder: Path, rows: int) -> Path:
    """A spreadsheet of invented people."""
    path = folder / f"{rows}-rows.xlsx"
    if not path.exists():
        make = ROOT / "deploy" / "examples" / "make_scuolabus.py"
        subprocess.run([sys.executable, make, "--rows", str(rows), "--out", path], check=True)
    return path


def addresses_of(sheet: Path) -> list[str]:
    """Where the messages of a spreadsheet go."""
    rows = openpyxl.load_workbook(sheet, read_only=True).worksheets[0].iter_rows(values_only=True)
    column = next(rows).index("IndirizzoPec")
    return [str(row[column]) for row in rows if row[column]]
