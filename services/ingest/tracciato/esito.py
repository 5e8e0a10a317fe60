"""`EsitoInvioMassivo.xlsx`: the user's own rows, each in its place, with what became of it.

Everything is written as text: what a user typed (`=cmd|...`) is shown and never evaluated, and codes keep their zeros. The
text format stays on the cells, so that editing one does not make a formula of it either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import Cell as TargetCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from services.ingest.tracciato.cells import Cell, Grid
from services.ingest.tracciato.headings import ADDRESS, AMOUNT, NAME, Headings, key, match
from services.ingest.tracciato.limits import CELL_CHARACTERS, Limits
from services.ingest.tracciato.package import Package, open_package
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.survey import find_headings, heading_row
from services.ingest.tracciato.workbook import Sheet, read_workbook
from services.ingest.tracciato.workbook import Workbook as Source

RESULTS: Final = (
    "Esito",
    "Motivo",
    "Codice avviso",
    "IUV",
    "Numero protocollo",
    "Data protocollo",
    "Avviso",
    "Lettera",
)
TECHNICAL: Final = ("Riga", "Id record", "Message-ID", "Codici")
RESULT_KEYS: Final = frozenset(map(key, RESULTS))
NOT_READ: Final = "Non considerata: riga nascosta"
LITERAL: Final = re.compile("_(x[0-9A-Fa-f]{4}_)")
ILLEGAL: Final = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row, as the clerk reads it; in the order of `RESULTS`."""

    state: str
    reason: str = ""
    notice_code: str = ""
    iuv: str = ""
    protocol_number: str = ""
    protocol_date: str = ""
    notice: str = ""
    letter: str = ""


@dataclass(frozen=True, slots=True)
class TechnicalRow:
    """The same row for whoever maintains the system; in the order of `TECHNICAL`."""

    row: int
    record_id: str
    message_id: str = ""
    codes: str = ""


def escaped(text: str) -> str:
    """As the file format wants it (ECMA-376 ST_Xstring): what XML cannot hold as `_xHHHH_`, and that spelling itself."""
    safe = ILLEGAL.sub(lambda found: f"_x{ord(found[0]):04X}_", LITERAL.sub(r"_x005F_\1", text))
    return safe[:CELL_CHARACTERS]


class _TextSheet:
    """A sheet of text cells, written row by row at given row numbers."""

    def __init__(self, book: Workbook, title: str, widths: Sequence[int], frozen: str) -> None:
        self._sheet = book.create_sheet(title)
        self._sheet.freeze_panes = frozen
        for at, width in enumerate(widths, 1):
            self._sheet.column_dimensions[get_column_letter(at)].width = width
        self._row = 0
        self._cell = WriteOnlyCell(self._sheet)
        self._cell.number_format = "@"
        self._bold = WriteOnlyCell(self._sheet)
        self._bold.number_format, self._bold.font = "@", Font(bold=True)

    def _cells(self, texts: Iterable[str], cell: TargetCell) -> Iterator[TargetCell | None]:
        for text in texts:  # one cell object serves all: it is written before the next one is asked for
            cell.value = escaped(text) or None
            if text:
                cell.data_type = "s"  # not "f", whatever the text begins with
            yield cell if text else None

    def write(self, row: int, texts: Iterable[str], *, bold: bool = False, hidden: bool = False) -> None:
        """Write `texts` as row `row`, which is greater than the last one."""
        for _ in range(row - self._row - 1):
            self._sheet.append(())
        self._row = row
        if hidden:
            self._sheet.row_dimensions[row].hidden = True
        self._sheet.append(self._cells(texts, self._bold if bold else self._cell))
        if hidden:
            del self._sheet.row_dimensions[row]


def _place(package: Package, source: Source, sheet_name: str | None) -> tuple[Sheet, Headings]:
    if sheet_name is None:
        return find_headings(package, source, (NAME, AMOUNT, ADDRESS), ())
    sheet = next((sheet for sheet in source.sheets if sheet.name == sheet_name), None)
    found = heading_row(package, source, sheet) if sheet else None
    if sheet is None or found is None:
        raise StructureError("no-sheet", expected=sheet_name)
    return sheet, match(*found, (), (), sheet_name)


def write_esito(
    source: Path,
    out: Path,
    outcomes: Mapping[int, Outcome],
    technical: Iterable[TechnicalRow],
    *,
    sheet_name: str | None = None,
    limits: Limits = Limits(),
) -> None:
    """Write `out` from the spreadsheet at `source` and what became of its rows (by Excel's row number).

    `sheet_name` is `Reading.sheet_name`; without it, the first visible sheet with the main columns. Rows above the
    headings stay too; columns of an earlier outcome file give way to the new ones. Memory stays flat. Raises
    `StructureError` as `read_tracciato` does.
    """
    with open_package(source, limits) as package:
        read = read_workbook(package)
        sheet, headings = _place(package, read, sheet_name)
        own = [at for at in range(1, headings.last + 1) if key(headings.names.get(at, "")) not in RESULT_KEYS]
        book = Workbook(write_only=True)
        widths = [22] * len(own) + [26, 50, 22, 20, 18, 18, 30, 30]
        target = _TextSheet(book, "Esito", widths, f"A{headings.row + 1}")
        for row in Grid(package, read, sheet, headings.last):
            if row.number == headings.row:
                target.write(row.number, (*_texts(row.cells, own), *RESULTS), bold=True)
            elif row.cells or row.number in outcomes:
                outcome = outcomes.get(row.number)
                if outcome is None and row.hidden and row.number > headings.row:
                    outcome = Outcome(NOT_READ)
                target.write(row.number, (*_texts(row.cells, own), *_results(outcome)), hidden=row.hidden)
        details = _TextSheet(book, "Dati tecnici", (10, 40, 60, 60), "A2")
        details.write(1, TECHNICAL, bold=True)
        for at, item in enumerate(technical, 2):
            details.write(at, map(str, astuple(item)))
        unfinished = out.with_name(f".{out.name}.tmp")
        book.save(unfinished)
        unfinished.replace(out)


def _texts(cells: Mapping[int, Cell], columns: Iterable[int]) -> Iterator[str]:
    for column in columns:
        cell = cells.get(column)
        yield cell.text if cell else ""


def _results(outcome: Outcome | None) -> tuple[str, ...]:
    return () if outcome is None else astuple(outcome)
