"""Who may do what at RabbitMQ, by trying: a broker of its own that loads what `staffetta topology definitions` wrote, with the
settings that are shipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, ProbableAuthenticationError
from typer.testing import CliRunner

from deploy.cli import app
from shared.bus.connection import Broker
from shared.bus.topology import BINDINGS, Topology
from shared.bus.users import users
from tests.servers.rabbitmq import RabbitMQ, private

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ("gestionale-scuola",)
CLIENT = CLIENTS[0]
TOPOLOGY = Topology(clients=CLIENTS)
NAMES = [user.name for user in users(TOPOLOGY)]
SERVICES = ("ingest", "iuv", "render", "protocol", "dispatch", "status")
MAY_PUBLISH = {
    "ingest": {
        ("commands", "iuv.assign-iuv.v1"), ("commands", "iuv.withdraw-position.v1"), ("commands", "render.preview-record.v1"),
        ("commands", "protocol.register-notice.v1"), ("commands", "dispatch.dispatch-notice.v1"),
        ("commands", "every.restate.v1"), ("facts", "ingest.records-accepted.v1"),
        ("facts", "ingest.records-accepted.restated.v1"), ("facts", "render.preview-rendered.restated.v1"),
        ("outcomes", f"{CLIENT}.request-accepted.v1"),
    },
    "iuv": {("facts", "iuv.iuv-assigned.v1"), ("facts", "iuv.iuv-assigned.restated.v1"), ("facts", "iuv.stage-failed.v1")},
    "render": {
        ("facts", "render.notice-rendered.v1"), ("facts", "render.preview-rendered.v1"),
        ("facts", "render.preview-rendered.restated.v1"),
    },
    "protocol": {("facts", "protocol.notice-registered.v1")},
    "dispatch": {("facts", "dispatch.notice-sent.v1"), ("facts", "dispatch.lane-closed.v1")},
    "status": {
        ("intake", "ingest.request-batch.v1"), ("intake", "ingest.send-notices.v1"), ("commands", "every.restate.v1"),
        ("commands", "dispatch.settle-sending.v1"), ("commands", "protocol.settle-registration.v1"),
        ("commands", "render.preview-record.v1"),
    },
    CLIENT: {("intake", "ingest.request-batch.v1")},
    "operations": set(),
}  # fmt: skip
TRIED = sorted(set().union(*MAY_PUBLISH.values()))
QUEUES = [*BINDINGS, *(f"{service}.unreadable" for service in SERVICES), f"outcomes.{CLIENT}"]
MAY_READ = {
    **{service: {queue for queue in BINDINGS if queue.partition(".")[0] == service} for service in SERVICES},
    "parked": {f"{service}.unreadable" for service in SERVICES},
    CLIENT: {f"outcomes.{CLIENT}"},
    "operations": set(),
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    folder = tmp_path_factory.mktemp("rights")
    passwords, made = folder / "users.toml", folder / "definitions.json"
    passwords.write_text("".join(f'{name} = "rehearsal:{password_of(name)}"\n' for name in NAMES))
    written = CliRunner().invoke(app, ["topology", "definitions", "--users", str(passwords), "--out", str(made)])
    assert written.exit_code == 0, written.output
    assert not any(password_of(name) in made.read_text() for name in NAMES)
    shipped = [
        line for line in (ROOT / "deploy/rabbitmq/rabbitmq.conf").read_text().splitlines()
        if not line.startswith(("load_definitions", "disk_free_limit"))  # the test's own, and what any disk has
    ]  # fmt: skip
    login = f"topology:{password_of('topology')}"
    with private(management=True, definitions=made, login=login, settings="\n".join(shipped)) as server:
        yield server


def password_of(name: str) -> str:
    return f"segreto-{name}"


def url_of(broker: RabbitMQ, name: str) -> str:
    return f"amqp://{name}:{password_of(name)}@127.0.0.1:{broker.port}/%2F"


def may(broker: RabbitMQ, name: str, act: Callable[[BlockingChannel], object]) -> bool:
    """Whether the broker lets a user do it; on a connection of its own, for a refusal closes the channel."""
    connection = pika.BlockingConnection(pika.URLParameters(url_of(broker, name)))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        act(channel)
    except ChannelClosedByBroker as error:
        if error.reply_code != 403:
            raise
        return False
    finally:
        if connection.is_open:
            connection.close()
    return True


def publish(exchange: str, key: str, **properties: str) -> Callable[[BlockingChannel], object]:
    """Not mandatory: whether somebody takes it is not asked here."""
    told = pika.BasicProperties(**properties)  # type: ignore[no-untyped-call]
    return lambda channel: channel.basic_publish(f"staffetta.{exchange}", key, b"{}", told)


def consume(queue: str) -> Callable[[BlockingChannel], object]:
    return lambda channel: channel.basic_consume(f"staffetta.{queue}", lambda *_: None)


def test_the_shipped_definitions_make_the_whole_topology(broker: RabbitMQ) -> None:
    with Broker(broker.url).connect("tests") as connection:
        assert TOPOLOGY.missing(connection) == []


@pytest.mark.parametrize("name", MAY_PUBLISH)
def test_a_user_publishes_what_is_its_own_and_nothing_else(broker: RabbitMQ, name: str) -> None:
    allowed = {(exchange, key) for exchange, key in TRIED if may(broker, name, publish(exchange, key))}
    assert allowed == MAY_PUBLISH[name]


@pytest.mark.parametrize("name", MAY_READ)
def test_a_user_reads_its_own_queues_and_no_others(broker: RabbitMQ, name: str) -> None:
    assert {queue for queue in QUEUES if may(broker, name, consume(queue))} == MAY_READ[name]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "topology"])
def test_nobody_else_declares_binds_or_deletes(broker: RabbitMQ, name: str) -> None:
    own = next(iter(MAY_READ[name]), "status")
    acts: list[Callable[[BlockingChannel], object]] = [
        lambda channel: channel.queue_declare("staffetta.mine", durable=True),
        lambda channel: channel.queue_declare("", exclusive=True),
        lambda channel: channel.exchange_declare("staffetta.mine", "topic"),
        lambda channel: channel.queue_bind(f"staffetta.{own}", "staffetta.facts", "#"),
        lambda channel: channel.exchange_bind("staffetta.intake", "staffetta.facts", "#"),
        lambda channel: (
            channel.queue_purge("staffetta.iuv") if name != "iuv" else channel.queue_delete("staffetta.iuv")
        ),
        lambda channel: channel.queue_delete(f"staffetta.{own}"),
        lambda channel: channel.basic_publish("", "staffetta.iuv", b"{}"),
    ]
    assert [index for index, act in enumerate(acts) if may(broker, name, act)] == []


def test_the_topology_user_makes_what_bears_our_names_only(broker: RabbitMQ) -> None:
    other = Topology(f"staffetta.{uuid4().hex[:6]}")
    with Broker(broker.url).connect("tests") as connection:
        TOPOLOGY.declare(connection)
        other.declare(connection)
    assert not may(broker, "topology", lambda channel: channel.queue_declare("altro", durable=True))
    assert not may(broker, "topology", lambda channel: channel.queue_bind("staffetta.iuv", "amq.topic", "#"))


@pytest.mark.parametrize("name", [*SERVICES, CLIENT])
def test_nobody_signs_with_the_name_of_another(broker: RabbitMQ, name: str) -> None:
    exchange, key = sorted(MAY_PUBLISH[name])[0]
    assert may(broker, name, publish(exchange, key, user_id=name))
    with pytest.raises(ChannelClosedByBroker, match="406"):
        may(broker, name, publish(exchange, key, user_id="status" if name != "status" else "ingest"))


def test_operations_sees_counts_and_reads_no_message(broker: RabbitMQ) -> None:
    assert may(broker, "status", publish("intake", "ingest.send-notices.v1", user_id="status"))
    queue = f"/api/queues/%2F/{quote('staffetta.ingest.control')}"
    login = ("operations", password_of("operations"))
    with httpx.Client(base_url=f"http://127.0.0.1:{broker.management_port}", auth=login, timeout=30) as console:
        told = console.get("/api/queues/%2F")
        assert told.status_code == 200, told.text
        assert "staffetta.ingest.control" in {each["name"] for each in told.json()}
        assert console.get(queue).json()["name"] == "staffetta.ingest.control"
        assert console.get("/api/overview").status_code == 200
        wanted = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}
        assert console.post(f"{queue}/get", json=wanted).status_code in (400, 401, 403)
        assert console.get("/api/definitions").status_code in (401, 403)
        assert console.delete(queue).status_code in (400, 401, 403)
    assert not may(broker, "operations", consume("ingest.control"))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "operations"])
def test_nobody_but_operations_enters_the_console(broker: RabbitMQ, name: str) -> None:
    url = f"http://127.0.0.1:{broker.management_port}/api/overview"
    assert httpx.get(url, auth=(name, password_of(name)), timeout=30).status_code == 401


def test_a_user_without_a_password_and_the_broker_s_own_guest_stay_outside(broker: RabbitMQ) -> None:
    for login in ("guest:guest", "iuv:", "iuv:sbagliata"):
        with pytest.raises(ProbableAuthenticationError):
            pika.BlockingConnection(pika.URLParameters(f"amqp://{login}@127.0.0.1:{broker.port}/%2F"))


def test_the_file_in_the_repository_lets_nobody_in() -> None:
    told = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())
    assert {user["password_hash"] for user in told["users"]} == {""}
    assert [user["name"] for user in told["users"]] == NAMES
