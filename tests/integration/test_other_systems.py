"""Other systems at a real broker, with the users, rights and settings that are shipped: the example that is given to them, and
clients that do what they must not, while a decent one's batch goes through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from shared.bus.connection import Broker
from shared.bus.publisher import Publisher
from shared.bus.topology import OUTCOMES, Topology
from shared.contracts.envelope import Envelope
from shared.contracts.outcomes import RequestRefused
from tests.clients_hand import ANOTHERS, OPTIONS, OURS, Client, Square, listed, refusal, request, square, url
from tests.e2e.run_hand import ROOT, due
from tests.installation import SERVICES

EXAMPLES = ROOT / "deploy" / "examples"
OFFICE, DECENT, HOSTILE, GREEDY, LOUD, DEAF = "gestionale-scuola", "tributi", "ostile", "ingordo", "rumoroso", "sordo"
A_DAY = 100
"""Requests that the loud one is granted."""
FLOOD = 400


def granted(records: int = 5_000, requests: int = 5_000) -> str:
    return f'creditors = ["{OURS}"]\nuntil = "send"\nrecords_per_day = {records}\nrequests_per_day = {requests}'


GRANTS = {
    **dict.fromkeys((OFFICE, DECENT, HOSTILE, DEAF), granted()), GREEDY: granted(records=5), LOUD: granted(requests=A_DAY),
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    with square(tmp_path_factory.mktemp("clients"), GRANTS) as place:
        yield place


@pytest.fixture
def decent(place: Square) -> Iterator[Client]:
    """One that does what it may, and whose batch goes through whatever a test's other one did."""
    with place.client(DECENT) as client:
        yield client
        assert client.through() == {"sent": 2}


@pytest.fixture
def hostile(place: Square) -> Iterator[Client]:
    with place.client(HOSTILE) as client:
        yield client


# -- the example


def asked(place: Square, folder: Path, **changed: Any) -> tuple[int, list[tuple[str, dict[str, Any]]]]:
    """The example, run as its readers do: its exit code, and what it printed."""
    request = json.loads((EXAMPLES / "request.json").read_text())
    request["options"]["due_date"] = due().isoformat()
    (folder / "request.json").write_text(json.dumps({**request, "until": "send", **changed}))
    ended = subprocess.run(
        [sys.executable, EXAMPLES / "publish_batch.py", "request.json", EXAMPLES / "records.csv"], cwd=folder,
        env={"PATH": os.environ["PATH"], "BROKER_URL": url(place.broker, OFFICE)}, check=False, capture_output=True,
        text=True, timeout=240,
    )  # fmt: skip
    lines = [line.partition(" ") for line in ended.stdout.splitlines()]
    assert lines, ended.stderr
    return ended.returncode, [(kind, json.loads(told)) for kind, _, told in lines]


def sent(place: Square) -> list[str]:
    """The messages that the mail simulator took."""
    journal = httpx.get(place.here.address("mail") + "/journal", timeout=30).json()
    return [each["message_id"] for each in journal if each["event"] == "accepted"]


def states(outcomes: list[tuple[str, dict[str, Any]]]) -> dict[str, str]:
    told = [record for kind, each in outcomes if kind == "record-outcomes" for record in each["records"]]
    return {record["reference"]: record["state"] for record in sorted(told, key=lambda each: each["revision"])}


def test_the_example_publishes_and_prints_until_done_and_a_repeat_doubles_nothing(
    place: Square, tmp_path: Path
) -> None:
    code, outcomes = asked(place, tmp_path)
    assert code == 0, outcomes
    assert outcomes[0][0] == "request-accepted"
    assert states(outcomes) == {"iscrizione-1001": "sent", "iscrizione-1002": "sent", "iscrizione-1003": "by-hand"}
    kind, last = outcomes[-1]
    assert (kind, last["state"], last["done"], last["counts"]) == (
        "batch-outcome",
        "sent",
        True,
        {"sent": 2, "by-hand": 1},
    )
    letters = sent(place)
    assert len(letters) == len(set(letters)) == 2

    code, again = asked(place, tmp_path)
    assert code == 0
    assert {told["batch_id"] for _, told in again} == {last["batch_id"]}
    assert states(again) == states(outcomes)
    assert sent(place) == letters

    code, refused = asked(place, tmp_path, creditor=ANOTHERS)
    assert (code, refused[-1][0], refused[-1][1]["code"]) == (1, "request-refused", "creditor-not-granted")


def test_the_example_is_short_and_needs_pika_alone() -> None:
    source = (EXAMPLES / "publish_batch.py").read_text()
    named = {name.partition(".")[0] for name in re.findall(r"^(?:import|from) (\S+)", source, re.MULTILINE)}
    assert named - sys.stdlib_module_names == {"pika"}
    assert len(source.splitlines()) < 80


# -- what the broker refuses


@pytest.mark.usefixtures("decent")
@pytest.mark.parametrize("user", [DECENT, "status"])
def test_nobody_signs_with_another_s_name(hostile: Client, user: str) -> None:
    with pytest.raises(ChannelClosedByBroker, match="406"):
        hostile.publish(json.dumps(request()).encode(), user_id=user)


def denied(hostile: Client, act: Callable[[Any], object]) -> bool:
    """Whether the broker closes the channel for want of a right."""
    try:
        act(hostile.channel())
    except ChannelClosedByBroker as error:
        return bool(error.reply_code == 403)
    return False


@pytest.mark.usefixtures("decent")
def test_a_client_reads_binds_and_declares_nothing_of_others(hostile: Client) -> None:
    mine, others = f"staffetta.outcomes.{HOSTILE}", f"staffetta.outcomes.{DECENT}"
    acts: list[Callable[[Any], object]] = [
        lambda channel: channel.queue_bind(mine, "staffetta.outcomes", f"{DECENT}.#"),
        lambda channel: channel.queue_bind(mine, "staffetta.facts", "#"),
        lambda channel: channel.queue_bind(mine, "staffetta.intake", "#"),
        lambda channel: channel.basic_get(others),
        lambda channel: channel.basic_get("staffetta.status"),
        lambda channel: channel.queue_purge(others),
        lambda channel: channel.queue_purge(mine) and channel.queue_delete(mine),
        lambda channel: channel.queue_declare("staffetta.altro", durable=True),
        lambda channel: channel.queue_declare("", exclusive=True),
        lambda channel: channel.exchange_declare("staffetta.altro", "topic"),
    ]
    assert [index for index, act in enumerate(acts) if not denied(hostile, act)] == []


@pytest.mark.usefixtures("decent")
@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        ("staffetta.intake", "ingest.send-notices.v1"),
        ("staffetta.intake", "ingest.cancel-batch.v1"),
        ("staffetta.commands", "ingest.send-notices.v1"),
        ("staffetta.commands", "every.restate.v1"),
        ("staffetta.facts", "iuv.payment-received.v1"),
        ("staffetta.outcomes", f"{DECENT}.request-accepted.v1"),
        ("", "staffetta.ingest.control"),
        ("", f"staffetta.outcomes.{DECENT}"),
    ],
)
def test_a_client_decides_states_and_tells_nothing(place: Square, hostile: Client, exchange: str, key: str) -> None:
    told = hostile.ask(request(until="preview"))
    body = json.dumps({"command_id": str(uuid4()), "batch_id": told.body["batch_id"]}).encode()
    assert denied(hostile, lambda channel: channel.basic_publish(exchange, key, body, signed(HOSTILE)))
    [batch] = place.here.query("ingest", f"select until from batch where id = '{told.body['batch_id']}'")
    assert batch["until"] == "preview"


@pytest.mark.usefixtures("decent")
@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_a_copy_that_comes_in_by_the_back_door_is_not_obeyed(place: Square, hostile: Client, header: str) -> None:
    """RabbitMQ 3.10 looks at the right to the first routing key only."""
    batch = hostile.ask(request(until="preview")).body["batch_id"]
    body = json.dumps({"command_id": str(uuid4()), "batch_id": batch}).encode()
    told = hostile.answer(
        hostile.publish(body, headers={header: ["ingest.generate-notices.v1", "ingest.cancel-batch.v1"]})
    )
    assert refusal(told)[0] == "unreadable"
    assert hostile.ask(request()).kind == "request-accepted"
    assert place.here.query("ingest", f"select until, cancelling from batch where id = '{batch}'") == [
        {"until": "preview", "cancelling": False}
    ]
    with pika.BlockingConnection(pika.URLParameters(url(place.broker, "topology"))) as connection:
        aside = connection.channel().queue_declare("staffetta.ingest.unreadable", passive=True).method.message_count
    assert aside == 0


@pytest.mark.usefixtures("decent")
@pytest.mark.parametrize(
    ("headers", "properties"),
    [
        ({"cloudEvents_time": "2026-01-01T00:00:00"}, {}),
        ({"compression": "zlib"}, {}),
        ({}, {"content_encoding": "punycode", "content_type": "application/cloudevents-batch+json"}),
    ],
)
def test_strange_attributes_change_nothing(
    hostile: Client, headers: dict[str, Any], properties: dict[str, Any]
) -> None:
    body = json.dumps(request()).encode()
    assert hostile.answer(hostile.publish(body, headers=headers, **properties)).kind == "request-accepted"


def signed(user: str) -> Any:
    return pika.BasicProperties(user_id=user)  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("decent")
def test_a_gigantic_body_is_refused_by_the_broker_and_a_large_one_by_us(hostile: Client) -> None:
    assert refusal(hostile.answer(hostile.publish(b"{" + b" " * 5_000_000))) == ("too-large", "", "")
    with pytest.raises(ChannelClosedByBroker, match="406"):
        hostile.publish(b"{" + b" " * 20_000_000)


# -- what is answered


@pytest.mark.usefixtures("decent")
def test_what_is_not_granted_is_refused(hostile: Client) -> None:
    assert hostile.refused(request(creditor=ANOTHERS)) == ("creditor-not-granted", "", "")
    assert hostile.refused(request(creditor="c_a000")) == ("creditor-not-granted", "", "")
    assert hostile.refused(request(1001)) == ("too-many-records", "", "")


def test_the_body_does_not_say_who_asks(decent: Client, hostile: Client) -> None:
    theirs = request(1)
    known = decent.ask(theirs).body["batch_id"]
    told = hostile.ask({**theirs, "client": DECENT, "batch_id": known, "by": "sindaco"})
    assert told.kind == "request-accepted"
    assert told.body["batch_id"] != known
    assert not any(each.body.get("batch_id") == told.body["batch_id"] for each in decent.heard)


@pytest.mark.usefixtures("decent")
def test_whoever_does_not_sign_is_not_heard(place: Square, hostile: Client) -> None:
    unsigned = request(1)
    hostile.publish(json.dumps(unsigned).encode(), user_id=None)
    assert hostile.ask(request(1)).kind == "request-accepted"  # comes after it in the queue
    name = unsigned["request_id"]
    assert place.here.query("ingest", f"select id from batch where request_id = '{name}'") == []
    assert not any(told.body["request_id"] == name for told in hostile.heard)


@pytest.mark.usefixtures("decent")
@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"records": [listed(name="Rossi\0Maria")]}, ("control-character", "pratica-1", "name")),
        ({"records": [listed(postal={"city": "Bor\0go"})]}, ("control-character", "pratica-1", "postal.city")),
        ({"records": [listed(reference="pra\0tica")]}, ("unreadable", "", "reference")),
        ({"request_id": "a\0b"}, ("unreadable", "", "request_id")),
        ({"creditor": f"{OURS}\0"}, ("control-character", "", "creditor")),
        ({"options": {**OPTIONS, "reason": "a\0b"}}, ("control-character", "", "options.reason")),
        ({"options": {**OPTIONS, "altro": "a\0b"}}, ("control-character", "", "options.altro")),
    ],
)  # fmt: skip
def test_a_zero_byte_is_refused(hostile: Client, changed: dict[str, Any], refused: tuple[str, str, str]) -> None:
    assert hostile.refused(request(**changed)) == refused


@pytest.mark.usefixtures("decent")
@pytest.mark.parametrize(
    "changed",
    [
        {"altro": "a\0b", "by": "a\0b", "file_name": "a\0b"},
        {"options": {**OPTIONS, "al\0tro": {"y": ["a\0b"]}}},
        {"records": [{**listed(postal={"altro": "a\0b"}, columns={"Al\0unno": "a\0b"}), "al\0tro": "a\0b"}]},
    ],
)
def test_a_zero_byte_where_nobody_looks_is_refused_too(place: Square, hostile: Client, changed: dict[str, Any]) -> None:
    assert hostile.refused(request(**changed))[0] == "control-character"
    assert all(place.here.ready(name) for name in SERVICES)


@pytest.mark.usefixtures("decent")
def test_records_beyond_the_day_s_grant_are_refused(place: Square) -> None:
    with place.client(GREEDY) as greedy:
        assert greedy.ask(request(4)).kind == "request-accepted"
        assert greedy.refused(request(2)) == ("records-per-day", "", "")
        assert greedy.ask(request(1)).kind == "request-accepted"
        assert greedy.refused(request(1)) == ("records-per-day", "", "")


# -- floods


@pytest.mark.usefixtures("decent")
def test_a_flood_of_unreadable_bodies_is_answered_and_ends_at_the_day_s_grant(place: Square) -> None:
    with place.client(LOUD) as loud:
        line = loud.channel(confirm=False)
        bodies = [loud.publish(b'{"request_id": "r", "records": [[[', line) for _ in range(FLOOD)]
        codes = [refusal(loud.answer(each))[0] for each in bodies]
    assert codes == ["unreadable"] * A_DAY + ["requests-per-day"] * (FLOOD - A_DAY)


@pytest.mark.usefixtures("decent")
def test_a_client_that_never_reads_loses_its_oldest_outcomes_and_holds_nobody(place: Square) -> None:
    """More than its queue takes, said by ingest's own user."""
    most, more = OUTCOMES["x-max-length"], 500
    publisher = Publisher(Broker(url(place.broker, "ingest")), Topology())
    envelopes = [
        Envelope.of(RequestRefused(request_id=f"r{number}", code="no-records"), source="ingest", client=DEAF)
        for number in range(most + more)
    ]
    publisher.publish(envelopes)
    publisher.close()
    with place.client(DEAF) as deaf:
        waiting = deaf.channel().queue_declare(f"staffetta.outcomes.{DEAF}", passive=True).method.message_count
        assert deaf.ask(request(1)).kind == "request-accepted"
        oldest = int(deaf.heard[0].body["request_id"].removeprefix("r"))
    assert waiting == most
    assert more <= oldest <= more + 1  # dropped for the answer to come
