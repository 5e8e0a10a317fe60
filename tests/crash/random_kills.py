"""Kill whatever comes: `python -m tests.crash.random_kills --rows 2000 --kills 200 --folder DIR`.

Services of one installation are killed and started again while a batch goes through, one at a time and any of them; then
the work is left alone, what a person must retry is retried once, and everything is counted.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.audit import audit
from tests.crash.matrix import CONNECTIONS
from tests.installation import FINAL, SERVICES, Installation, on_private_servers, sheet_of, wait_for

LONGEST_SECONDS = 3600.0


def torment(here: Installation, batch: str, kills: int, chance: random.Random) -> Counter[str]:
    """So many kills, each of a service that is at work, at a random moment; how many of which."""
    struck: Counter[str] = Counter()
    for _ in range(kills):
        name = chance.choice(SERVICES)
        wait_for(f"{name} at work", lambda name=name: here.ready(name))  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 1.5))
        here.kill(name)
        here.start_service(name)
        struck[name] += 1
        if struck.total() % 20 == 0:
            print(f"{struck.total()} kills; {here.states(batch)}", flush=True)
    return struck


def left_alone(here: Installation, batch: str, rows: int) -> dict[str, int]:
    """To the end, with one retry of what is stuck: a message that was in hand at three kills is parked."""
    here.until_ready()
    states = here.until_settled(batch, rows, LONGEST_SECONDS)
    if states.get("stuck"):
        print(f"stuck: {states['stuck']}, retried by a person", flush=True)
        for row in here.query("status", f"select id from record where batch_id = '{batch}' and state = 'stuck'"):
            answer = here.api.post(f"/records/{row['id']}/retry")
            assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        wait_for("retried", lambda: not here.states(batch).get("stuck"))
        states = here.until_settled(batch, rows, LONGEST_SECONDS)
    return states


def main() -> int:
    """The whole measure, on private servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True)
    sheet = sheet_of(folder, given.rows)
    blank = {"BLANK_PRESS": "1"}
    with on_private_servers(folder, blank) as (_, _, here):
        started = time.monotonic()
        batch = here.send(sheet)
        struck = torment(here, batch, given.kills, random.Random(given.seed))
        still = sum(count for state, count in here.states(batch).items() if state not in FINAL)
        states = left_alone(here, batch, given.rows)
        found = audit(here, given.rows)
        seconds = time.monotonic() - started
    if found.uncertain > struck["dispatch"] * CONNECTIONS:
        found.errors.append("more in doubt than there were connections")
    print(
        f"{struck.total()} kills {dict(struck)}; {still} records still under way at the last; {seconds:.0f} s; {states}"
    )
    print(found)
    return bool(found.errors)


if __name__ == "__main__":
    sys.exit(main())
