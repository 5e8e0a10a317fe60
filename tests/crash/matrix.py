"""Kill each service at each step of its work: `python -m tests.crash.matrix --rows 60 --folder DIR`.

One installation on servers; for every case a batch of its own, a `kill -9` at the point, a start without it. In the end the
simulators' disks, the ledgers and the read model are counted together. The sweeper's cases are beside it (`.sweeping`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.audit import Audit, audit
from tests.crash.sweeping import POINTS, sweep
from tests.installation import Installation, on_private_servers, sheet_of

Case = tuple[str, str, int]
"""(service, kill point, at which call)."""
CASES: tuple[Case, ...] = (
    ("iuv", "reserve", 1), ("iuv", "act", 1), ("iuv", "record", 1), ("iuv", "half", 1), ("iuv", "pass-on", 1),
    ("render", "reserve", 1), ("render", "act", 1), ("render", "record", 1), ("render", "half", 2), ("render", "pass-on", 1),
    # the own register's reservation is the act
    ("protocol", "reserve", 1), ("protocol", "half", 1), ("protocol", "pass-on", 1),
    ("dispatch", "reserve", 1), ("dispatch", "acting", 2), ("dispatch", "act", 2), ("dispatch", "record", 2),
    ("dispatch", "half", 1), ("dispatch", "pass-on", 1),
    ("ingest", "mid-read", 2), ("ingest", "issued", 1), ("ingest", "half", 2), ("status", "mid-fold", 2),
)  # fmt: skip
IN_DOUBT = {("dispatch", "acting"), ("dispatch", "act"), ("dispatch", "record")}
"""Where a message may be on its way when its sender dies."""
CONNECTIONS = 4
"""Of the rehearsal file's two mailboxes: the most that one kill may leave in doubt."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case's batch: how many records are in which state, and after how many seconds."""

    case: Case
    states: dict[str, int]
    seconds: float

    def __str__(self) -> str:
        service, point, call = self.case
        return f"{service:9} {point:9} {call}  {self.seconds:5.1f} s  {self.states}"


def run_case(here: Installation, case: Case, sheet: Path, rows: int) -> Outcome:
    """Kill at the point in the middle of a batch, start again, wait for the end."""
    service, point, call = case
    started = time.monotonic()
    # status hears facts as soon as it asks for them again, and takes the request: it is armed after that
    batch = here.send(sheet) if service == "status" else ""
    here.kill(service)
    here.start_service(service, point, call)
    if not batch:
        here.until_ready(service, "status")
        batch = here.send(sheet)
    here.until_killed(service)
    here.start_service(service)
    states = here.until_settled(batch, rows)
    return Outcome(case, states, time.monotonic() - started)


def wrong(outcomes: Sequence[Outcome], found: Audit, rows: int) -> list[str]:
    """What is not as it must be."""
    said = list(found.errors)
    for outcome in outcomes:
        doubts = outcome.states.get("to-verify", 0)
        most = CONNECTIONS if outcome.case[:2] in IN_DOUBT else 0
        if doubts > most or outcome.states.get("sent", 0) + doubts != rows:
            said.append(f"not as it must be: {outcome}")
    if found.uncertain != found.uncertain_accepted + found.uncertain_cut:
        said.append("in doubt without having been cut at the simulator")
    return said


def main() -> int:
    """All cases, on private servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--only", help="SERVICE or SERVICE.POINT")
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True)
    sheet = sheet_of(folder, given.rows)
    cases = [case for case in CASES if not given.only or ".".join(case[:2]).startswith(given.only)]
    points = [point for point in POINTS if not given.only or f"sweeper.{point}".startswith(given.only)]
    outcomes, problems = [], []
    with on_private_servers(folder) as (broker, database, here):
        for case in cases:
            outcomes.append(run_case(here, case, sheet, given.rows))
            print(outcomes[-1], flush=True)
        for point in points:
            swept = sweep(broker.url, database.url, folder, point)
            print(swept, flush=True)
            problems += swept.wrong()
        found = audit(here, given.rows * len(cases)) if cases else Audit()
    problems += wrong(outcomes, found, given.rows)
    print(f"{len(cases) + len(points)} kills; {found}")
    print(*problems or ["nothing is missing, nothing was done twice"], sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
