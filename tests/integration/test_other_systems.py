"""Other systems at a real broker, with the users, rights and settings that are shipped: the example that is given to them, and
clients that do what they must not, while a decent one's batch goes through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients_hand import Square, square, url
from tests.e2e.run_hand import ROOT, due

EXAMPLES = ROOT / "deploy" / "examples"
OFFICE, DECENT, HOSTILE = "gestionale-scuola", "tributi", "ostile"
MUCH = 'creditors = ["c_x999"]\nuntil = "send"\nrecords_per_day = 5000\nrequests_per_day = 5000'
GRANTS = {OFFICE: MUCH, DECENT: MUCH, HOSTILE: MUCH}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Square]:
    with square(tmp_path_factory.mktemp("clients"), GRANTS) as place:
        yield place


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

    code, refused = asked(place, tmp_path, creditor="c_x998")
    assert (code, refused[-1][0], refused[-1][1]["code"]) == (1, "request-refused", "creditor-not-granted")


def test_the_example_is_short_and_needs_pika_alone() -> None:
    source = (EXAMPLES / "publish_batch.py").read_text()
    named = {name.partition(".")[0] for name in re.findall(r"^(?:import|from) (\S+)", source, re.MULTILINE)}
    assert named - sys.stdlib_module_names == {"pika"}
    assert len(source.splitlines()) < 80
