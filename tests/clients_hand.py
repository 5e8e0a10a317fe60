"""Other systems before an installation: RabbitMQ with the users, rights and settings that are shipped, each service under a
user of its own, and clients who speak pika and know nothing of our code."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
from pika.exceptions import AMQPError
from typer.testing import CliRunner

from deploy.cli import app
from shared.bus.topology import Topology
from shared.bus.users import users
from tests.compose_hand import shipped_settings
from tests.e2e.run_hand import due
from tests.installation import EXAMPLES, SERVICES, Installation, installed
from tests.servers import postgresql, rabbitmq

KEY = "ingest.request-batch.v1"
OURS, ANOTHERS = "c_x999", "c_x998"
OPTIONS = {"channel": "auto", "payment_type": "scuolabus", "due_date": due().isoformat(), "reason": "Prova"}
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Told:
    """One answer or outcome. `causation` is the id of the message that it answers."""

    kind: str
    body: dict[str, Any]
    causation: str


@dataclass(slots=True)
class Client:
    """Another system: one connection, and all that it was told."""

    name: str
    url: str
    heard: list[Told] = field(default_factory=list)
    _connection: Any = None
    _line: Any = None
    _coming: Any = None

    def __enter__(self) -> Client:
        self._connection = pika.BlockingConnection(pika.URLParameters(self.url))
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(AMQPError):  # the broker may have ended it, and should have
            self._connection.close()

    def channel(self, *, confirm: bool = True) -> Any:
        """A new one: what the broker refuses closes it."""
        channel = self._connection.channel()
        if confirm:
            channel.confirm_delivery()
        return channel

    def publish(self, body: bytes, channel: Any = None, **properties: Any) -> str:
        """A body of any kind, where requests go; the message's id."""
        name = str(uuid4())
        properties = {"message_id": name, "user_id": self.name, "delivery_mode": 2, **properties}
        given = pika.BasicProperties(**properties)  # type: ignore[no-untyped-call]
        (channel or self.channel()).basic_publish("staffetta.intake", KEY, body, given, mandatory=True)
        return name

    def ask(self, request: Mapping[str, Any]) -> Told:
        """Publish a request; its answer."""
        return self.answer(self.publish(json.dumps(request).encode()))

    def refused(self, request: Mapping[str, Any]) -> tuple[str, str, str]:
        """Publish a request that must be refused: code, record and field."""
        return refusal(self.ask(request))

    def answer(self, message_id: str) -> Told:
        """What a message was answered."""
        return self.until(f"the answer to {message_id}", lambda told: told.causation == message_id)

    def until(self, what: str, wanted: Any, seconds: float = SECONDS) -> Told:
        """The first of what was and is told that is wanted."""
        for told in self.heard:
            if wanted(told):
                return told
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (latest := self._next()) is not None and wanted(latest):
                return latest
        raise AssertionError(f"{self.name} is not told in {seconds} s: {what}")

    def _next(self) -> Told | None:
        if self._line is None:
            self._line = self.channel()
            self._coming = self._line.consume(f"staffetta.outcomes.{self.name}", inactivity_timeout=0.5)
        method, properties, body = next(self._coming)
        if method is None:
            return None
        causation = (properties.headers or {}).get("cloudEvents_causationid", "")
        told = Told(method.routing_key.split(".")[1], json.loads(body), causation)
        self.heard.append(told)
        self._line.basic_ack(method.delivery_tag)
        return told

    def through(self, rows: int = 2, seconds: float = SECONDS) -> dict[str, int]:
        """A batch of its own, from the request to the last message: how many records came to what."""
        answer = self.ask(request(rows))
        assert answer.kind == "request-accepted", answer
        batch = answer.body["batch_id"]

        def ended(told: Told) -> bool:
            return told.kind == "batch-outcome" and told.body["batch_id"] == batch and bool(told.body["done"])

        counts: dict[str, int] = self.until("the end of its batch", ended, seconds).body["counts"]
        return counts


def refusal(told: Told) -> tuple[str, str, str]:
    """Code, record and field."""
    assert told.kind == "request-refused", told
    assert told.body["detail"]
    return told.body["code"], told.body["record"], told.body["field"]


def listed(number: int = 1, **parts: Any) -> dict[str, Any]:
    """A good record."""
    return {
        "reference": f"pratica-{number}", "name": "Rossi Maria", "fiscal_code": "RSSMRA85T50H501S",
        "amount_cents": 8504 + number, "address": f"maria.rossi.{number}@pec.example", **parts,
    }  # fmt: skip


def request(rows: int = 1, **parts: Any) -> dict[str, Any]:
    """A good request under a new name."""
    return {
        "request_id": f"prova-{uuid4().hex[:12]}", "creditor": OURS, "until": "send",
        "options": OPTIONS, "records": [listed(number) for number in range(1, rows + 1)], **parts,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Square:
    """An installation, its broker, and where clients log in."""

    broker: rabbitmq.RabbitMQ
    here: Installation

    def client(self, name: str) -> Client:
        """A client, to be entered."""
        return Client(name, url(self.broker, name))


@contextmanager
def square(
    folder: Path, clients: Mapping[str, str], environment: Mapping[str, str] | None = None
) -> Iterator[Square]:  # fmt: skip
    """`clients`: name → its grant, as the creditors' file has it. There are two creditors, `OURS` and `ANOTHERS`."""
    examples = folder / "examples"
    _grant(shutil.copytree(EXAMPLES, examples) / "creditors.toml", clients)
    made = _definitions(folder, examples / "creditors.toml", tuple(clients))
    settings, login = shipped_settings(), f"topology:{_password('topology')}"
    with (
        postgresql.database() as database,
        rabbitmq.private(definitions=made, login=login, settings=settings) as broker,
    ):
        logins = {name: url(broker, name) for name in SERVICES}
        with installed(
            folder, broker.url, database, "staffetta", environment, examples=examples, logins=logins
        ) as here:
            yield Square(broker, here)


def url(broker: rabbitmq.RabbitMQ, user: str) -> str:
    """Where a user logs in."""
    return f"amqp://{user}:{_password(user)}@127.0.0.1:{broker.port}/%2F"


def _grant(file: Path, clients: Mapping[str, str]) -> None:
    told, _, _ = file.read_text(encoding="utf-8").partition("# --- Client")
    start = told.index(f"[creditors.{OURS}]")
    other = told[start:].replace(OURS, ANOTHERS).replace('segregation_code = "12"', 'segregation_code = "13"')
    granted = "".join(f"\n[clients.{name}]\n{grant}\n" for name, grant in clients.items())
    file.write_text(told + other + granted, encoding="utf-8")


def _definitions(folder: Path, creditors: Path, clients: tuple[str, ...]) -> Path:
    passwords, made = folder / "users.toml", folder / "definitions.json"
    names = [user.name for user in users(Topology(clients=clients))]
    passwords.write_text("".join(f'{name} = "rehearsal:{_password(name)}"\n' for name in names))
    written = CliRunner().invoke(
        app, ["topology", "definitions", "--users", str(passwords), "--out", str(made)],
        env={"STAFFETTA_CREDITORS": str(creditors)},
    )  # fmt: skip
    assert written.exit_code == 0, written.output
    return made


def _password(user: str) -> str:
    return f"segreto-{user}"
