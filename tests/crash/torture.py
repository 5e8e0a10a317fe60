"""Kill a run again and again, and audit what is left: `python -m tests.crash.torture --rows 300`.

Each moment is one `kill -9` of the whole embedded process, followed by the same command; a last one, left alone, ends the
work. Then the simulators' disks and the ledgers are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from tests.audit import Audit, RunFolder, audit, open_messages

ROOT = Path(__file__).resolve().parents[2]
KILLED = -9
LONGEST_SECONDS = 1800


def moments(seed: int) -> list[tuple[str, int, float]]:
    """(point, call, delay): at least three inside each stage's act, the simulators' acceptances, and random times.

    Calls are counted in one process, and are low: a point must still be reached when the rows left are few."""
    chance = random.Random(seed)
    inside = [
        ("iuv.act", 1, 0.05), ("render.act", 1, 0.3), ("protocol.reserve", 1, 0.0), ("dispatch.act", 2, 0.004),
        ("iuv.act", 2, 0.02), ("render.act", 2, 0.6), ("protocol.reserve", 2, 0.0), ("mail.begun", 2, 0.0),
        ("iuv.act", 1, 0.1), ("pagopa.accepted", 9, 0.0), ("dispatch.act", 3, 0.008), ("mail.accepted", 3, 0.0),
        ("render.act", 1, 1.0), ("protocol.reserve", 1, 0.0), ("mail.accepted", 1, 0.0),
    ]  # fmt: skip
    timed = [("time", 1, round(chance.uniform(2.0, 12.0), 2)) for _ in range(5)]
    for moment in timed:
        inside.insert(chance.randrange(len(inside)), moment)
    return inside


def command(sheet: Path, out: Path) -> list[str]:
    """The main job with letter and registration, to the end."""
    due = date.today() + timedelta(days=60)  # noqa: DTZ011 - any day to come
    return [
        "run", str(sheet), "--creditor", "c_x999", "--channel", "auto", "--payment-type", "scuolabus",
        "--due-date", due.isoformat(), "--reason", "Trasporto scolastico", "--register",
        "--subject", "Avviso di pagamento", "--letter", "scuolabus", "--until", "send", "--out", str(out),
    ]  # fmt: skip


def strike(folder: Path, arguments: Sequence[str], moment: tuple[str, int, float]) -> int:
    """One process with a kill point; its exit code."""
    point, call, delay = moment
    process = subprocess.run(
        [sys.executable, "-m", "tests.crash.entry", point, str(call), str(delay), *arguments],
        cwd=folder, env=_environment(), capture_output=True, timeout=LONGEST_SECONDS, check=False,
    )  # fmt: skip
    if process.returncode not in (0, 1, KILLED):
        raise AssertionError(process.stderr.decode()[-2000:])
    return process.returncode


def torture(folder: Path, sheet: Path, rows: int, chosen: Sequence[tuple[str, int, float]]) -> tuple[Audit, int, str]:
    """Kill at each moment, end the work, audit. (audit, kills that struck, report)."""
    out = folder / "out"
    arguments = command(sheet, out)
    lines, kills = [], 0
    for moment in chosen:
        code = strike(folder, arguments, moment)
        kills += code == KILLED
        lines.append(f"{moment}: {'killed' if code == KILLED else f'ended with {code}, the point was not reached'}")
    started = time.monotonic()
    code = strike(folder, arguments, ("none", 0, 0.0))
    lines.append(f"left alone: exit {code} after {time.monotonic() - started:.1f} s")
    found = audit(RunFolder(out), rows)
    if code != (1 if found.uncertain else 0):
        found.errors.append(f"exit {code} with {found.uncertain} uncertain")
    return found, kills, "\n".join(lines)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}


def main() -> int:
    """The full measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    sheet = (given.folder / "rows.xlsx").resolve()
    make = ROOT / "deploy" / "examples" / "make_scuolabus.py"
    subprocess.run([sys.executable, make, "--rows", str(given.rows), "--out", sheet], check=True)
    found, kills, report = torture(given.folder.resolve(), sheet, given.rows, moments(given.seed))
    wrong = open_messages(RunFolder(given.folder / "out"), sheet)
    print(report)
    struck = [json.loads(line) for line in (given.folder / "crash.jsonl").read_text().splitlines()]
    print("inside an act:", sum(1 for line in struck if line["inside"] and line["point"] != "time"), "of", len(struck))
    print(f"{kills} kills; {found}; messages opened and wrong: {wrong}")
    return bool(found.errors or wrong)


if __name__ == "__main__":
    sys.exit(main())
