"""A record that kills its worker, and a recipient who is told to come again later: their neighbours do not notice."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

from tests.audit import audit
from tests.installation import FINAL, Installation, addresses_of, installed, sheet_of, wait_for
from tests.servers import postgresql, rabbitmq

MANY, FEW = 200, 12
POISON = 57
DEATHS = 3
"""One in company; of the two alone, one might be chance."""
SETTINGS = {"BLANK_PRESS": "1", "STAFFETTA_INGEST_RETRY_SECONDS": "[0.5, 1, 2]"}


def until_all_rest(here: Installation, batches: dict[str, int]) -> int:
    """Until the machine leaves all records where they are; how often render, started again each time, died."""
    deaths = 0

    def rest() -> bool:
        nonlocal deaths
        if here.processes["render"].poll() is not None:
            deaths += 1
            here.start_service("render", "poison", POISON)
        counted = {batch: here.states(batch) for batch in batches}
        return all(
            sum(counted[batch].values()) == rows and set(counted[batch]) <= FINAL for batch, rows in batches.items()
        )

    wait_for("all rest", rest, 240.0, told=lambda: [here.states(batch) for batch in batches])
    return deaths


def test_a_poison_record_is_parked_alone_and_a_greylisted_one_is_sent(tmp_path: Path) -> None:
    few = sheet_of(tmp_path, FEW)
    shy = addresses_of(few)[4]
    with (
        postgresql.database() as database,
        installed(tmp_path, rabbitmq.shared(), database, f"test-{uuid4().hex[:8]}", SETTINGS) as here,
    ):
        here.kill("render")
        here.start_service("render", "poison", POISON)
        here.mail_fault("greylist", shy, times=3)
        greylisted, poisoned = here.send(few), here.send(sheet_of(tmp_path, MANY))
        deaths = until_all_rest(here, {greylisted: FEW, poisoned: MANY})
        assert here.states(poisoned) == {"stuck": 1, "sent": MANY - 1}
        (parked,) = here.records(poisoned, states=["stuck"])
        assert (parked["row"], parked["stage"], parked["code"]) == (POISON, "render", "kills-worker")
        assert deaths == DEATHS

        assert here.states(greylisted) == {"sent": FEW}
        (late,) = here.records(greylisted, text=shy)
        told = here.api.get(f"/records/{late['id']}").json()
        assert told["title"] == "Inviato"
        tries = [(each["stage"], each["code"], each["issue"]) for each in told["timeline"] if each["code"]]
        assert [code for _, code, _ in tries] == ["recipient-deferred"] * 3
        assert len({issue for _, _, issue in tries}) == 3
        journal = map(json.loads, (here.mail / "giornale.jsonl").read_text().splitlines())
        record = late["id"].replace("-", "")
        assert [each["event"] for each in journal if record in each["message_id"]] == ["begun", "accepted"]
        assert audit(here, FEW + MANY, parked=1).errors == []
