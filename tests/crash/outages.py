"""Take away what the services stand on: `python -m tests.crash.outages --rows 60 --folder DIR`.

Each case sends a batch, does its harm in the middle of it, undoes it, and waits for the end: nothing is missing, nothing was
done twice, and nobody is parked, for an outage is nobody's failure.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.audit import audit
from tests.installation import Installation, addresses_of, on_private_servers, sheet_of, wait_for
from tests.servers import postgresql, rabbitmq

BROKER_SECONDS, DATABASE_SECONDS = 30.0, 10.0
PAGOPA_SECONDS = 36.0
"""Ten hours, where a second stands for a thousand."""
SCALED = {
    # The lanes' and the pacer's waits, divided by a thousand as well.
    "STAFFETTA_LANE_PROBE_SECONDS": "[0.05, 0.1, 0.3, 0.5]",
    "STAFFETTA_INGEST_RETRY_SECONDS": "[0.1, 0.3, 3.6]",
}
GREYLISTED = 3


@dataclass(frozen=True)
class Servers:
    """What a case may take away."""

    broker: rabbitmq.RabbitMQ
    database: postgresql.PrivateServer
    here: Installation


def broker_stopped(servers: Servers) -> None:
    """RabbitMQ is stopped in order, and comes back with what it held."""
    servers.broker.stop()
    time.sleep(BROKER_SECONDS)
    servers.broker.start()


def broker_killed(servers: Servers) -> None:
    """RabbitMQ is killed."""
    servers.broker.kill()
    servers.broker.start()


def broker_wiped(servers: Servers) -> None:
    """RabbitMQ comes back empty; an operator applies the topology."""
    servers.broker.wipe()
    servers.broker.start()
    servers.here.declare()


def database_stopped(servers: Servers) -> None:
    """PostgreSQL is stopped in order."""
    servers.database.stop()
    time.sleep(DATABASE_SECONDS)
    servers.database.start()


def database_killed(servers: Servers) -> None:
    """PostgreSQL is killed, and recovers."""
    servers.database.kill()
    servers.database.start()


def both_killed(servers: Servers) -> None:
    """A power cut of everything but us."""
    servers.broker.kill()
    servers.database.kill()
    servers.database.start()
    servers.broker.start()


def pagopa_off(servers: Servers) -> None:
    """pagoPA does not answer for ten (scaled) hours."""
    here = servers.here
    here.kill("pagopa")
    time.sleep(PAGOPA_SECONDS)
    here.start_pagopa()


CASES: dict[str, Callable[[Servers], None]] = {
    case.__name__.replace("_", "-"): case
    for case in (
        broker_stopped,
        broker_killed,
        broker_wiped,
        database_stopped,
        database_killed,
        both_killed,
        pagopa_off,
    )
}


def run_case(servers: Servers, harm: Callable[[Servers], None], sheet: Path, rows: int) -> tuple[dict[str, int], float]:
    """(states at the end, seconds); the harm is done once some of the records are on their way."""
    started = time.monotonic()
    batch = servers.here.send(sheet)
    wait_for(
        "under way", lambda: bool(servers.here.query("iuv", f"select 1 from iuv_ledger where batch_id = '{batch}'"))
    )
    harm(servers)
    return servers.here.until_settled(batch, rows), time.monotonic() - started


def greylisted(here: Installation, sheet: Path, rows: int) -> dict[str, int]:
    """Each recipient is told to come again later, three times: that is how greylisting works, and no failure."""
    for address in addresses_of(sheet):
        here.mail_fault("greylist", address, GREYLISTED)
    return here.until_settled(here.send(sheet), rows)


def main() -> int:
    """All cases, on private servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", choices=[*CASES, "greylisted"])
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True)
    sheet = sheet_of(folder, given.rows)
    environment = {"BLANK_PRESS": "1", **SCALED}
    cases = {name: case for name, case in CASES.items() if given.only in (None, name)}
    problems: list[str] = []
    with on_private_servers(folder, environment) as (broker, database, here):
        servers = Servers(broker, database, here)
        for name, harm in cases.items():
            states, seconds = run_case(servers, harm, sheet, given.rows)
            print(f"{name:16} {seconds:6.1f} s  {states}", flush=True)
            if set(states) - {"sent", "to-verify"}:
                problems.append(f"{name}: {states}")
        sent = len(cases)
        if given.only in (None, "greylisted"):
            states = greylisted(here, sheet, given.rows)
            print(f"{'greylisted':16} {states}", flush=True)
            sent += 1
            if states != {"sent": given.rows}:
                problems.append(f"greylisted: {states}")
        found = audit(here, given.rows * sent)
    problems += found.errors
    print(found)
    print(*problems or ["nothing is missing, nothing was done twice, nobody was parked"], sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
