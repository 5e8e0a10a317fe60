"""The command line as a clerk calls it: a process of its own, its exit code, what it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import openpyxl

from tests.audit import query

ROOT = Path(__file__).resolve().parents[2]
STAFFETTA = Path(sys.executable).parent / "staffetta"
HEADINGS = ("Intestazione", "CodiceFiscale", "PartitaIva", "Importo", "IndirizzoPec")
PEOPLE = (
    ("Rossi Maria", "RSSMRA85T50H501S", None, 85.05, "maria.rossi@posta.example"),
    ("Bianchi Luca", "BNCLCU80A01H501Q", None, 120, "luca.bianchi@posta.example"),
    ("Verdi Anna", "VRDNNA90A41H501J", None, "60,30", None),
)
Row = Sequence[object]


def due() -> date:
    """A day to come."""
    return date.today() + timedelta(days=60)  # noqa: DTZ011 - any day to come


def sheet(path: Path, rows: Sequence[Row] = PEOPLE, headings: Sequence[str] = HEADINGS) -> Path:
    """A spreadsheet with these rows, the first in row 2. `None` for a whole row leaves it empty."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.append(list(headings))
    for row in rows:
        page.append(list(row))
    book.save(path)
    return path


def staffetta(*arguments: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """(exit code, what it said)."""
    done = subprocess.run(
        [STAFFETTA, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1", **(environment or {})},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def run(file: Path, *more: str, folder: Path, out: str = "out", until: str = "send") -> tuple[int, str]:
    """`staffetta run` with what every run needs."""
    return staffetta(
        "run", file, "--creditor", "c_x999", "--channel", "email", "--payment-type", "scuolabus",
        "--due-date", due().isoformat(), "--reason", "Trasporto scolastico", "--until", until, "--out", out, *more,
        folder=folder,
    )  # fmt: skip


def esito(folder: Path) -> dict[int, dict[str, str]]:
    """The file of outcomes: row number to its cells by heading."""
    page = openpyxl.load_workbook(folder / "EsitoInvioMassivo.xlsx").worksheets[0]
    rows = page.iter_rows(values_only=True)
    headings = [str(cell) for cell in next(rows)]
    return {
        number: {heading: "" if cell is None else str(cell) for heading, cell in zip(headings, row, strict=True)}
        for number, row in enumerate(rows, 2)
    }


def counted(folder: Path) -> dict[str, int]:
    """What the world holds: positions opened, registrations, messages."""
    return {
        "positions": len((folder / ".staffetta" / "pagopa" / "pagopa.jsonl").read_text().splitlines())
        if (folder / ".staffetta" / "pagopa" / "pagopa.jsonl").exists()
        else 0,
        "registrations": len(query(folder, "protocol", "select number from register_entry")),
        "messages": len(list((folder / "inviati").glob("*.eml"))),
    }
