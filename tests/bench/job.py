"""Seconds and megabytes of the main job: `make bench`, or `python -m tests.bench job --rows 200 --checked 10000`.

One spreadsheet goes through preview, generate and send, each a process of its own on the same folder, so that the table
says where the time goes; then the folder is audited from the outside. Another, much longer, is only read and checked.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.audit import RunFolder, audit, open_messages

ROOT = Path(__file__).resolve().parents[2]
STAFFETTA = Path(sys.executable).with_name("staffetta")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process (children that it waited for included): wall seconds, peak megabytes of the largest one."""

    seconds: float
    megabytes: float
    exit_code: int


def main(arguments: Sequence[str]) -> int:
    """0 where every process ended as it should and the audit found nothing."""
    parser = argparse.ArgumentParser("tests.bench job", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--checked", type=int, default=100_000)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="staffetta-bench-") as folder:
        good = relay(Path(folder), given.rows)
        good = checking(Path(folder), given.checked) and good
    return 0 if good else 1


def relay(folder: Path, rows: int) -> bool:
    """The whole job on `rows` rows with letter and registration."""
    sheet, out = spreadsheet(folder, rows), folder / "out"
    print(f"{rows} rows, letter and registration")
    good = True
    for until in ("preview", "generate", "send"):
        cost = measured([str(STAFFETTA), *options(sheet, out, until)])
        good = good and cost.exit_code == 0
        tell(f"until {until}", rows, cost)
    found = audit(RunFolder(out), rows)
    wrong = [*found.errors, *open_messages(RunFolder(out), sheet)]
    print(f"  audit: {found.positions} positions, {found.registered} registrations, {found.messages} messages")
    for error in wrong[:20]:
        print(f"  WRONG: {error}")
    return good and not wrong


def checking(folder: Path, rows: int) -> bool:
    """Reading and checking alone."""
    sheet = spreadsheet(folder, rows)
    print(f"{rows} rows read and checked, {sheet.stat().st_size / 1e6:.1f} MB")
    cost = measured([sys.executable, "-m", "tests.bench.check", str(sheet), due_date()])
    tell("check", rows, cost)
    return cost.exit_code == 0


def spreadsheet(folder: Path, rows: int) -> Path:
    """A spreadsheet of invented debtors, each with an address of its own."""
    path = folder / f"rows-{rows}.xlsx"
    maker = ROOT / "deploy" / "examples" / "make_scuolabus.py"
    subprocess.run([sys.executable, str(maker), "--rows", str(rows), "--out", str(path)], check=True)
    return path


def due_date() -> str:
    """60 days from today."""
    return (datetime.now(UTC).date() + timedelta(days=60)).isoformat()


def options(sheet: Path, out: Path, until: str) -> list[str]:
    """The arguments of `staffetta run`."""
    return [
        *("run", str(sheet), "--creditor", "c_x999", "--channel", "auto", "--payment-type", "scuolabus"),
        *("--due-date", due_date(), "--reason", "Servizio di trasporto scolastico", "--register"),
        *("--subject", "Avviso di pagamento trasporto scolastico", "--classification", "7.1", "--office", "scuola"),
        *("--letter", "scuolabus", "--until", until, "--out", str(out)),
    ]


def measured(command: Sequence[str]) -> Cost:
    """Run to the end; what it prints is shown where it fails."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        if child.returncode:
            said.seek(0)
            print(said.read().decode(errors="replace"))
    return Cost(seconds, usage.ru_maxrss / 1024, child.returncode)


def tell(what: str, rows: int, cost: Cost) -> None:
    """One line of the table."""
    pace = rows / cost.seconds
    print(f"  {what:15} {cost.seconds:8.1f} s {pace:8.1f} rows/s {cost.megabytes:8.0f} MB   exit {cost.exit_code}")
