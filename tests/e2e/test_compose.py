"""The relay as `deploy/compose.yaml` declares it, from the spreadsheet to the mailbox, and its end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.compose_hand import Composed
from tests.e2e.run_hand import due
from tests.e2e.up_hand import wait_for
from tests.monitoring_hand import expressions, named

SHEET = Path(__file__).resolve().parents[2] / "deploy" / "examples" / "scuolabus.xlsx"
SERVICES = ("ingest", "iuv", "render", "protocol", "dispatch", "status")
ROWS = 25
OF_RABBITMQ = {"rabbitmq_queue_messages", "up"}
OF_PROMETHEUS = {"instance", "job"}
AT_TIMES = {"staffetta_lane_closed", "staffetta_records_in_flight"}
"""Series that have a value only while something is so."""


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    here = Composed(tmp_path_factory.mktemp("compose"))
    try:
        here.up()
        yield here
    finally:
        here.close()


def asked(client: httpx.Client, path: str) -> dict[str, Any]:
    told: dict[str, Any] = client.get(path).raise_for_status().json()
    return told


def all_are(client: httpx.Client, batch: str, state: str) -> bool:
    answer = client.post(f"/batches/{batch}/records/search", json={"page_size": 200}).raise_for_status()
    return [record["state"] for record in answer.json()["items"]] == [state] * ROWS


def allowed(client: httpx.Client, path: str) -> bool:
    """Whether the command is taken. The last record may be there before the word that it was the last."""
    status = client.post(path, json={}).status_code
    assert status in (httpx.codes.ACCEPTED, httpx.codes.CONFLICT)
    return status == httpx.codes.ACCEPTED


def test_a_batch_goes_from_the_page_to_the_mailbox_over_six_processes(composed: Composed) -> None:
    fields = {
        "creditor": "c_x999", "channel": "auto", "payment_type": "scuolabus", "due_date": due().isoformat(),
        "registration": "true", "classification": "7.1", "office": "scuola", "subject": "Avviso", "letter": "scuolabus",
    }  # fmt: skip
    with httpx.Client(base_url=f"http://127.0.0.1:{composed.port('8080')}/api/v1", timeout=60) as client:
        with SHEET.open("rb") as sheet:
            answer = client.post("/batches", data=fields, files={"file": (SHEET.name, sheet)})
        assert answer.status_code == 202, answer.text
        batch = answer.json()["batch_id"]
        wait_for("all rows read", partial(all_are, client, batch, "ready"), 120)
        for what, until in (("generate", "generated"), ("send", "sent")):
            wait_for(what, partial(allowed, client, f"/batches/{batch}/{what}"), 120)
            wait_for(until, partial(all_are, client, batch, until), 240)
        wait_for("the end", lambda: asked(client, f"/batches/{batch}")["state"] in ("sent", "settled"), 120)
    with httpx.Client(base_url=f"http://127.0.0.1:{composed.port('8702')}", timeout=60) as mail:
        accepted = {each["message_id"] for each in mail.get("/journal").json() if each["event"] == "accepted"}
    assert len(accepted) == ROWS


@pytest.mark.parametrize("service", SERVICES)
def test_each_answers_at_its_health_port(composed: Composed, service: str) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{composed.health(service)}", timeout=60) as client:
        assert asked(client, "/healthz") == {"status": "ok"}
        assert asked(client, "/readyz")["checks"] == {"database": "ok", "topology": "ok"}
        told = client.get("/metrics").text
    assert f'staffetta_ready{{service="{service}"}} 1.0' in told
    assert "staffetta_handful_seconds_count" in told


def test_board_and_alerts_find_what_they_ask_for(composed: Composed) -> None:
    """After a batch went through (above): each series has a value somewhere, with the labels by which it is grouped."""
    labels: dict[str, set[str]] = {}
    declared: set[str] = set()
    for service in SERVICES:
        told = httpx.get(f"http://127.0.0.1:{composed.health(service)}/metrics", timeout=60).text
        declared.update(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))
        for name, given in re.findall(r"^([a-z_]+)(?:\{(.*)\})? ", told, re.MULTILINE):
            labels.setdefault(name, set()).update(re.findall(r'(\w+)="', given))
    assert declared >= AT_TIMES
    for expression in expressions():
        series = named(expression) - OF_RABBITMQ - AT_TIMES
        assert series <= labels.keys(), expression
        [grouped] = re.findall(r"by \(([^)]*)\)", expression)[:1] or [""]
        wanted = {label.strip() for label in grouped.split(",") if label} - OF_PROMETHEUS
        assert not series or wanted <= set().union(*(labels[name] for name in series)), expression


def test_each_leaves_within_ten_seconds_of_sigterm(composed: Composed) -> None:
    ended = {name: composed.terminate(name) for name in SERVICES}
    assert {name: code for name, (code, _) in ended.items()} == dict.fromkeys(SERVICES, 0)
    assert max(seconds for _, seconds in ended.values()) < 10.0, ended
    for name in SERVICES:
        said = [json.loads(line) for line in composed.log(name).splitlines()]
        assert [
            line for line in said if line["level"] in ("error", "critical") or "personal_data_removed" in line
        ] == []
        assert said[-1]["event"] == "process.left"
