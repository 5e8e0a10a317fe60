"""The life of a service's process on a real broker: waiting, being asked, leaving."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.bus.connection import Broker
from shared.bus.publisher import Publisher
from shared.bus.topology import Topology
from shared.contracts.commands import Restate
from shared.contracts.envelope import Envelope
from tests.servers import free_port, rabbitmq

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
LEAVE_SECONDS = 10.0


class Site:
    """A namespace, a folder, and the process of `tests/process_entry.py` on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker = Broker(rabbitmq.shared())
        self.topology = Topology(f"process-{uuid4().hex[:8]}")
        self.connection: Any = self.broker.connect("tests")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "STAFFETTA_BROKER_URL": self.broker.url,
            "STAFFETTA_NAMESPACE": self.topology.namespace, "STAFFETTA_FOLDER": str(self.folder / "databases"),
            "STAFFETTA_HEALTH_PORT": str(self.port),
        }  # fmt: skip

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.process_entry", self.folder], env=self.environment, cwd=ROOT, stderr=log
            )
        return self.process

    def checks(self) -> tuple[int, dict[str, str]]:
        """Status and checks of `/readyz`; (0, {}) while nobody listens."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=30)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()["checks"]

    def ready(self) -> None:
        self.topology.declare(self.connection)
        until(lambda: self.checks()[0] == 200)

    def send(self) -> None:
        publisher = Publisher(self.broker, self.topology)
        publisher.publish([Envelope.of(Restate(request_id=uuid4()), source="status")])
        publisher.close()

    def waiting(self) -> int:
        """Messages that nobody has in hand."""
        with self.connection.channel() as channel:
            counted: int = channel.queue_declare(f"{self.topology.namespace}.protocol", passive=True).message_count
        return counted

    def recoveries(self) -> int:
        path = self.folder / "recovered"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        with self.connection.channel() as channel:
            for queue in self.topology.queues():
                channel.queue_delete(queue.name)
            for exchange in self.topology.exchanges():
                channel.exchange_delete(exchange.name)
        self.connection.release()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_waits_for_the_whole_topology_and_says_so(site: Site) -> None:
    site.start()
    until(lambda: site.checks() == (503, {"database": "ok", "topology": "missing"}))
    assert site.recoveries() == 0
    site.ready()
    until(lambda: site.recoveries() == 1)


def test_sigterm_finishes_the_handful_in_hand(site: Site) -> None:
    process = site.start()
    site.ready()
    site.send()
    until((site.folder / "begun").exists)
    process.terminate()
    until(lambda: site.checks()[1].get("process") == "leaving")
    (site.folder / "go").touch()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert site.waiting() == 0


def test_a_handful_without_an_end_is_left_to_the_next(site: Site) -> None:
    process = site.start()
    site.ready()
    site.send()
    until((site.folder / "begun").exists)
    started = time.monotonic()
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - started < LEAVE_SECONDS
    until(lambda: site.waiting() == 1)


def test_a_second_signal_ends_it_at_once(site: Site) -> None:
    process = site.start()
    site.ready()
    site.send()
    until((site.folder / "begun").exists)
    process.send_signal(signal.SIGINT)
    until(lambda: site.checks()[1].get("process") == "leaving")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM


def test_a_handful_held_by_an_outage_makes_it_unready_until_it_is_over(site: Site) -> None:
    site.start()
    site.ready()
    (site.folder / "broken").touch()
    (site.folder / "go").touch()
    site.send()
    until(lambda: site.checks() == (503, {"database": "ok", "topology": "ok", "protocol": "held"}))
    (site.folder / "broken").unlink()
    until(lambda: site.checks()[0] == 200)


def test_it_recovers_when_the_queues_were_lost_and_stand_again(site: Site) -> None:
    site.start()
    site.ready()
    until(lambda: site.recoveries() == 1)
    with site.connection.channel() as channel:
        channel.queue_delete(f"{site.topology.namespace}.protocol")
    until(lambda: site.checks() == (503, {"database": "ok", "topology": "ok", "protocol": "disconnected"}))
    site.ready()
    until(lambda: site.recoveries() == 2)


def test_the_pages_answer_while_the_broker_is_away(site: Site) -> None:
    pages = free_port()
    with (site.folder / "log").open("ab") as log:
        site.process = subprocess.Popen(
            [sys.executable, "-m", "services.status"], cwd=ROOT, stderr=log,
            env=site.environment | {"STAFFETTA_BROKER_URL": f"amqp://127.0.0.1:{free_port()}", "STAFFETTA_HTTP_PORT": str(pages)},
        )  # fmt: skip
    until(lambda: site.checks() == (503, {"database": "ok", "topology": "missing"}))
    assert httpx.get(f"http://127.0.0.1:{pages}/api/v1/batches", timeout=30).status_code == 200
    site.process.terminate()
    assert site.process.wait(LEAVE_SECONDS) == 0


# -- before it starts


def called(service: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}", *arguments], env={"PATH": os.environ["PATH"], **environment},
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def test_a_check_tells_what_is_missing_and_then_that_all_is_well(site: Site) -> None:
    lacking = called("protocol", "--check", **site.environment)
    assert lacking.returncode == 1
    assert f"su RabbitMQ mancano {site.topology.namespace}.intake" in lacking.stderr
    site.topology.declare(site.connection)
    well = called("protocol", "--check", **site.environment)
    assert (well.returncode, well.stderr) == (0, "protocol: tutto a posto.\n")


def test_a_check_tells_which_server_does_not_answer(tmp_path: Path) -> None:
    told = called(
        "iuv", "--check", STAFFETTA_FOLDER=str(tmp_path),
        STAFFETTA_BROKER_URL=f"amqp://iuv:segretissima@127.0.0.1:{free_port()}//",
        STAFFETTA_DATABASE_URL=f"postgresql+psycopg://iuv:segretissima@127.0.0.1:{free_port()}/staffetta",
    )  # fmt: skip
    assert told.returncode == 1
    assert "iuv: la banca dati non risponde" in told.stderr
    assert "iuv: RabbitMQ non risponde o rifiuta l'accesso" in told.stderr
    assert "segretissima" not in told.stderr + told.stdout


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "Manca STAFFETTA_BROKER_URL"),
        ({"STAFFETTA_HEALTH_PORT": "alta"}, "STAFFETTA_HEALTH_PORT"),
        ({"STAFFETTA_BROKER_URL": "amqp://", "STAFFETTA_CREDITORS": "/niente.toml"}, "Il file degli enti /niente.toml"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_sentence(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    told = called("dispatch", STAFFETTA_FOLDER=str(tmp_path), **environment)
    assert told.returncode == 2
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("variable", ["STAFFETTA_HEALTH_PORT", "STAFFETTA_HTTP_PORT"])
def test_a_taken_port_is_told_and_not_waited_for(site: Site, variable: str) -> None:
    site.topology.declare(site.connection)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = called("status", **site.environment | {variable: str(taken.getsockname()[1])})
    assert told.returncode == 2
    assert variable in told.stderr


def test_a_check_looks_at_the_documents(site: Site) -> None:
    site.topology.declare(site.connection)
    told = called("dispatch", "--check", **site.environment)
    assert told.returncode == 1
    assert f"la cartella dei documenti {site.folder}/databases/documents non c'è" in told.stderr


def test_a_service_asks_for_its_own_secrets_only(tmp_path: Path) -> None:
    examples = ROOT / "deploy" / "examples"
    text = (examples / "creditors.toml").read_text(encoding="utf-8")
    text = text.replace("rehearsal:password-del-simulatore", "env:NESSUNA").replace(
        '"letters/', f'"{examples}/letters/'
    )
    file = tmp_path / "creditors.toml"
    file.write_text(text.replace('"logo.svg"', f'"{examples}/logo.svg"'), encoding="utf-8")
    told = {
        name: called(name, "--check", STAFFETTA_CREDITORS=str(file), STAFFETTA_FOLDER=str(tmp_path),
                     STAFFETTA_BROKER_URL=f"amqp://127.0.0.1:{free_port()}")
        for name in ("iuv", "dispatch")
    }  # fmt: skip
    assert "NESSUNA" in told["dispatch"].stderr
    assert told["dispatch"].returncode == 2
    assert "NESSUNA" not in told["iuv"].stderr
