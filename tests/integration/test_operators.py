"""`staffetta parked` and `staffetta topology` on a real RabbitMQ."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.contracts.envelope import BATCH_CONTENT_TYPE
from tests.operators_hand import Site, site, until
from tests.servers import rabbitmq

BODY = '{"debtor": "Rossi Maria", "fiscal_code": "RSSMRA85T50H501S"}'


@pytest.fixture(scope="module")
def shared_site() -> Iterator[Site]:
    with site(rabbitmq.shared()) as made:
        yield made


@pytest.fixture
def here(shared_site: Site) -> Site:
    shared_site.empty()
    return shared_site


# -- parked


def test_the_list_counts_and_tells_why_and_since_when_but_never_what(here: Site) -> None:
    here.park(BODY, id="one")
    here.park(BODY, id="two")
    listed = here.call("parked", "list")
    assert listed.exit_code == 0
    assert f"{here.name('render.unreadable')}: 2 (illeggibile 2)" in listed.output
    assert "render:1:one  iuv.iuv-assigned.v1  0 min" in listed.output
    assert "render:2:two" in listed.output
    told = here.json("parked", "list", "--service", "render")
    assert told["counts"] == {"render": 2}
    assert [(each["id"], each["reason"], each["queue"]) for each in told["messages"]] == [
        (name, "rejected", here.name("render")) for name in ("one", "two")
    ]
    for text in (listed.output, json.dumps(told)):
        assert "Rossi" not in text
        assert "RSSMRA" not in text
    until(lambda: here.waiting("render.unreadable") == 2)  # looking takes nothing away


def test_a_parcel_tells_how_many_it_holds_and_goes_back_whole(here: Site) -> None:
    here.park(f"[{BODY}, {BODY}]", id="two", items=2)
    here.park(BODY, id="one")
    listed = here.call("parked", "list").output.splitlines()
    assert [line.endswith("  pacco di 2") for line in listed if "render:" in line] == [True, False]
    assert [each["items"] for each in here.json("parked", "list")["messages"]] == [2, 1]
    shown = here.call("parked", "show", "two").output
    assert "items: 2" in shown
    assert "Rossi" not in shown
    assert here.json("parked", "redrive", "two")["sent"] == ["render:1:two"]
    _, properties, body = here.get("render")
    assert (properties.content_type, properties.headers["parcel-items"]) == (BATCH_CONTENT_TYPE, 2)
    assert body.decode() == f"[{BODY}, {BODY}]"


def test_a_message_without_a_name_is_named_after_its_content(here: Site) -> None:
    here.park("first")
    here.park("second")
    [first, second] = here.json("parked", "list")["messages"]
    assert first["id"] != second["id"]
    assert here.call("parked", "show", second["ref"], "--body").stdout.rstrip().endswith("second")


def test_show_tells_the_headers_and_the_body_only_when_asked_with_a_warning(here: Site) -> None:
    here.park(BODY + "\x1b[2J", id="one")
    shown = here.call("parked", "show", "one")
    assert "cloudEvents_id: one" in shown.output
    assert "Rossi" not in shown.output
    asked = here.call("parked", "show", "one", "--body")
    assert BODY in asked.stdout
    assert "\x1b" not in asked.stdout
    assert "dati personali" in asked.stderr
    assert "Rossi" not in json.dumps(here.json("parked", "show", "one"))


def test_equal_ids_are_told_apart_by_their_position(here: Site) -> None:
    here.park("first", id="same")
    here.park("second", id="same")
    vague = here.call("parked", "show", "same")
    assert vague.exit_code == 2
    assert "render:1:same, render:2:same" in vague.output
    assert here.call("parked", "show", "render:2:same", "--body").stdout.rstrip().endswith("second")
    assert here.call("parked", "show", "other").exit_code == 2


def test_a_redriven_message_goes_where_it_was_published_without_the_traces_of_its_death(here: Site) -> None:
    here.park(BODY, id="one")
    here.park(BODY, id="two")
    assert here.json("parked", "redrive", "two") == {"sent": ["render:2:two"], "kept": {}}
    method, properties, body = here.get("render")
    assert (method.routing_key, properties.message_id, body.decode()) == ("iuv.iuv-assigned.v1", "two", BODY)
    assert properties.delivery_mode == 2
    assert properties.headers == {"cloudEvents_id": "two", "x-delivery-count": 0}  # a first delivery
    until(lambda: here.waiting("render.unreadable") == 1)
    assert [each["id"] for each in here.json("parked", "list")["messages"]] == ["one"]


def test_what_cannot_be_sent_back_stays_and_says_why(here: Site) -> None:
    here.put("iuv.unreadable", "nobody knows from where", "lost")
    here.park("first", id="one")
    here.wire.queue_unbind(here.name("render"), here.name("facts"), "iuv.iuv-assigned.v1")
    for queue in ("ingest.facts", "status"):
        here.wire.queue_unbind(here.name(queue), here.name("facts"), "iuv.#" if queue != "status" else "#")
    try:
        sent = here.call("parked", "redrive", "--all")
    finally:
        assert here.call("topology", "apply").exit_code == 0
    assert sent.exit_code == 1
    assert "Rimandati: 0" in sent.output
    assert "iuv:1:lost: non si sa da dove venga" in sent.output.replace("\n", " ")
    assert "render:1:one: nessuna coda lo riceve più" in sent.output.replace("\n", " ")
    until(lambda: here.waiting("iuv.unreadable") == here.waiting("render.unreadable") == 1)
    assert here.call("parked", "redrive", "--all", "--service", "render").exit_code == 0


KILLED_BETWEEN_CONFIRM_AND_ACK = """
import os, signal
from pika.adapters.blocking_connection import BlockingChannel
from deploy.cli.parked import redrive
left = [3]
def ack(self, tag, really=BlockingChannel.basic_ack):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    really(self, tag)
BlockingChannel.basic_ack = ack
redrive([], "render", every=True, json=False)
"""


def test_a_kill_in_the_middle_of_a_redrive_loses_nothing(here: Site) -> None:
    names = [f"m{number}" for number in range(6)]
    for name in names:
        here.park(BODY, id=name)
    command = [sys.executable, "-c", KILLED_BETWEEN_CONFIRM_AND_ACK]
    killed = subprocess.run(command, env=here.environment, cwd=Path(__file__).parents[2], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    until(lambda: here.waiting("render.unreadable") >= 4)  # once the broker has noticed
    assert here.call("parked", "redrive", "--all").exit_code == 0
    until(lambda: here.waiting("render.unreadable") == 0)
    seen = Counter(here.get("render")[1].message_id for _ in range(here.waiting("render")))
    assert set(seen) == set(names)
    assert sum(seen.values()) <= len(names) + 3  # what was confirmed and not yet let go of comes twice


def test_what_is_discarded_was_written_down_for_its_owner_alone(here: Site, tmp_path: Path) -> None:
    here.park(BODY, id="one")
    here.park(BODY, id="two")
    copy = tmp_path / "copy.jsonl"
    assert here.call("parked", "discard", "one", "--file", str(copy), answer="n\n").exit_code == 1
    assert not copy.exists()
    gone = here.call("parked", "discard", "one", "--yes", "--file", str(copy))
    assert gone.exit_code == 0
    assert "dati personali" in gone.output
    until(lambda: here.waiting("render.unreadable") == 1)
    [line] = copy.read_text().splitlines()
    told = json.loads(line)
    assert (told["id"], told["headers"]["cloudEvents_id"], base64.b64decode(told["body"]).decode()) == (
        "one",
        "one",
        BODY,
    )
    assert copy.stat().st_mode & 0o777 == 0o600


def test_nothing_is_discarded_that_cannot_be_written_down(here: Site, tmp_path: Path) -> None:
    here.park(BODY, id="one")
    refused = here.call("parked", "discard", "one", "--yes", "--file", str(tmp_path / "missing" / "copy"))
    assert refused.exit_code == 2
    until(lambda: here.waiting("render.unreadable") == 1)


@pytest.mark.parametrize(
    "words", [("redrive",), ("redrive", "one", "--all"), ("discard",), ("list", "--service", "nobody")]
)
def test_wrong_use_says_what_is_right(here: Site, words: tuple[str, ...]) -> None:
    refused = here.call("parked", *words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr


# -- topology


def test_the_topology_is_shown_without_a_broker(here: Site) -> None:
    shown = here.call("topology", "show", STAFFETTA_BROKER_URL="amqp://127.0.0.1:1/")
    assert shown.exit_code == 0
    assert f"coda      {here.name('iuv')}\n" in shown.output
    told = here.json("topology", "show")
    assert all(each["bindings"] == sorted(each["bindings"]) for each in told["queues"].values())
    assert told["queues"][here.name("iuv")]["arguments"]["x-queue-type"] == "quorum"
    assert [here.name("facts"), "#"] in told["queues"][here.name("status")]["bindings"]


def test_a_missing_queue_is_found_and_made(here: Site) -> None:
    assert here.call("topology", "verify").exit_code == 0
    here.wire.queue_delete(here.name("protocol"))
    found = here.call("topology", "verify")
    assert found.exit_code == 1
    assert f"coda {here.name('protocol')}: manca" in found.output
    assert here.call("topology", "apply").exit_code == 0
    assert here.call("topology", "verify").exit_code == 0


def test_what_differs_cannot_be_made_and_says_so(here: Site) -> None:
    here.wire.queue_delete(here.name("protocol"))
    here.wire.queue_declare(here.name("protocol"), durable=True, arguments={"x-queue-type": "classic"})
    try:
        refused = here.call("topology", "apply")
    finally:
        here.wire.queue_delete(here.name("protocol"))
        assert here.call("topology", "apply").exit_code == 0
    assert refused.exit_code == 2
    assert "inequivalent arg" in refused.output


@pytest.mark.parametrize("url", ["amqp://127.0.0.1:1/", "amqp://nobody:wrong@{host}/", "memory://", ""])
def test_a_broker_that_does_not_answer_is_no_difference(here: Site, url: str) -> None:
    host = here.url.rpartition("@")[2]
    refused = here.call("topology", "verify", STAFFETTA_BROKER_URL=url.format(host=host))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "wrong" not in refused.stderr


# -- what only the management API tells


@pytest.fixture(scope="module")
def managed() -> Iterator[tuple[Site, str]]:
    """A broker with its console, and the URL of the API."""
    with rabbitmq.private(management=True) as server, site(server.url) as made:
        yield made, f"http://guest:guest@127.0.0.1:{server.management_port}"


def test_the_whole_topology_is_compared_where_the_console_answers(managed: tuple[Site, str]) -> None:
    here, console = managed
    until(lambda: "collegamenti" not in here.call("topology", "verify", STAFFETTA_MANAGEMENT_URL=console).stderr)
    agreed = here.call("topology", "verify", STAFFETTA_MANAGEMENT_URL=console)
    assert (agreed.exit_code, agreed.stderr.strip()) == (0, "non controllato: utenti e permessi: indica --definitions")

    here.wire.queue_unbind(here.name("render"), here.name("facts"), "iuv.iuv-assigned.v1")
    here.wire.queue_delete(here.name("protocol"))
    here.wire.queue_declare(here.name("protocol"), durable=True, arguments={"x-queue-type": "classic"})
    here.wire.queue_declare(here.name("forgotten"), durable=True)
    here.wire.queue_declare("eavesdropper")
    here.wire.queue_bind("eavesdropper", here.name("facts"), "#")

    def found() -> set[tuple[str, str, str]]:
        report = json.loads(here.call("topology", "verify", "--json", STAFFETTA_MANAGEMENT_URL=console).stdout)
        return {
            (each["kind"], each["name"].removeprefix(here.name("")), each["what"]) for each in report["differences"]
        }

    expected = {
        ("binding", "render", "missing"), ("queue", "protocol", "differs"), ("binding", "protocol", "missing"),
        ("queue", "forgotten", "extra"), ("binding", "eavesdropper", "extra"),
    }  # fmt: skip
    until(lambda: found() == expected)
    told = here.call("topology", "verify", STAFFETTA_MANAGEMENT_URL=console)
    assert told.exit_code == 1
    assert f"collegamento di eavesdropper: è in più ({here.name('facts')} · #)" in told.output


def test_a_policy_that_loses_messages_is_told(managed: tuple[Site, str]) -> None:
    here, console = managed
    base, _, place = console.rpartition("@")
    policy = {"pattern": here.name("iuv"), "definition": {"message-ttl": 1000}, "apply-to": "queues"}
    name, password = base.removeprefix("http://").split(":")
    httpx.put(f"http://{place}/api/policies/%2F/short", json=policy, auth=(name, password)).raise_for_status()
    told = ""

    def shown() -> bool:
        nonlocal told
        told = here.call("topology", "verify", STAFFETTA_MANAGEMENT_URL=console).output
        return "policy message-ttl=1000" in told

    until(shown)


def test_what_the_console_does_not_tell_is_said(managed: tuple[Site, str]) -> None:
    here, console = managed
    for url, why in (
        (console.replace("guest:guest", "guest:wrong"), "risponde 401"),
        ("http://127.0.0.1:1", "non risponde"),
    ):
        told = here.call("topology", "verify", STAFFETTA_MANAGEMENT_URL=url)
        assert f"{why}" in " ".join(told.stderr.split())
        assert "wrong" not in told.output


def test_users_and_permissions_are_compared_with_a_definitions_file(managed: tuple[Site, str], tmp_path: Path) -> None:
    here, console = managed
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    nothing = dict.fromkeys(everything, "")
    definitions = {
        "users": [{"name": "guest", "tags": ["administrator"]}, {"name": "looker", "tags": ["monitoring"]}],
        "permissions": [
            {"user": "guest", "vhost": "/", **everything}, {"user": "looker", "vhost": "/", **nothing},
        ],
        "topic_permissions": [
            {"user": "looker", "vhost": "/", "exchange": here.name("intake"), "write": "^$", "read": "^$"},
        ],
    }  # fmt: skip
    file = tmp_path / "definitions.json"
    file.write_text(json.dumps(definitions))
    login = ("guest", "guest")
    api = f"http://{console.rpartition('@')[2]}/api"

    def found() -> set[tuple[str, str, str, str]]:
        told = here.call("topology", "verify", "--json", "--definitions", str(file), STAFFETTA_MANAGEMENT_URL=console)
        differences = json.loads(told.stdout)["differences"]
        return {
            (each["kind"], each["name"], each["what"], each["detail"])
            for each in differences
            if each["kind"] in ("user", "permission")
        }

    assert ("user", "looker", "missing", "") in found()
    httpx.put(f"{api}/users/looker", json={"password": "x", "tags": ""}, auth=login).raise_for_status()
    httpx.put(f"{api}/permissions/%2F/looker", json={**nothing, "read": ".*"}, auth=login).raise_for_status()
    httpx.put(f"{api}/users/stranger", json={"password": "x", "tags": ""}, auth=login).raise_for_status()
    httpx.put(f"{api}/permissions/%2F/stranger", json=everything, auth=login).raise_for_status()
    assert found() == {
        ("user", "looker", "differs", "tags="),
        ("user", "stranger", "extra", ""),
        ("permission", "looker", "differs", "read=.*"),
        ("permission", "looker", "differs", f"{here.name('intake')}: nessun limite"),
    }
    assert here.call("topology", "verify", "--definitions", str(tmp_path / "none")).exit_code == 2
