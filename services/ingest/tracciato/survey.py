"""The first pass: which sheet, where its headings are, how many rows, and what only all rows together tell."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from services.ingest.tracciato.across import Across
from services.ingest.tracciato.cells import Grid, Merged, Row
from services.ingest.tracciato.findings import tidy
from services.ingest.tracciato.headings import STANDARD_KEYS, Headings, key, match
from services.ingest.tracciato.package import Package
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.workbook import Sheet, Workbook

TITLE_ROWS: Final = 30
"""Rows that may stand above the headings."""
ENOUGH: Final = 3
"""Known headings that make a row the headings, so that one that is missing can be told by its name."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The sheet's outline. `covered` are the merged ranges that hide cells under the headings."""

    sheet: Sheet
    headings: Headings
    rows: int
    hidden_rows: int
    blank_rows: int
    merged: list[Merged]
    across: Across


def heading_row(package: Package, book: Workbook, sheet: Sheet) -> tuple[int, dict[int, str]] | None:
    """(row number, texts by column) of the row that looks most like the headings; `None`: none does."""
    best: tuple[int, int, dict[int, str]] | None = None
    grid = Grid(package, book, sheet, package.limits.columns + 1, package.limits.seconds)
    for row in islice(grid, TITLE_ROWS):
        texts = {column: text for column, cell in sorted(row.cells.items()) if (text := tidy(cell.text))}
        known = sum(key(text) in STANDARD_KEYS for text in texts.values())
        if not row.hidden and known >= ENOUGH and (best is None or known > best[0]):
            best = known, row.number, texts
    return None if best is None else best[1:]


def find_headings(
    package: Package, book: Workbook, required: Iterable[str], extra: Iterable[str]
) -> tuple[Sheet, Headings]:
    """The first visible sheet with the headings. Raises `StructureError`: of the first sheet that is nearly it, if any."""
    wrong: StructureError | None = None
    for sheet in book.sheets:
        found = heading_row(package, book, sheet) if sheet.visible else None
        if found is None:
            continue
        if max(found[1]) > package.limits.columns:
            raise StructureError("too-many-columns", sheet=sheet.name, limit=package.limits.columns)
        try:
            return sheet, match(*found, required, extra, sheet.name)
        except StructureError as this:
            wrong = wrong or this
    raise wrong or StructureError("no-sheet", expected="Intestazione, CodiceFiscale, Importo, IndirizzoPec, ...")


def survey(package: Package, book: Workbook, sheet: Sheet, headings: Headings) -> Survey:
    """Read the whole sheet once. Raises `StructureError`."""
    across, grid = Across(headings), Grid(package, book, sheet, headings.last, package.limits.seconds)
    rows = hidden = hidden_below = last = 0
    limit = package.limits.rows
    for row in grid:
        if row.number <= headings.row:
            continue
        if row.hidden:
            hidden_below += 1
            hidden += has_content(row, headings)
        elif has_content(row, headings):
            rows, last = rows + 1, row.number
            if rows > limit:
                raise StructureError("too-many-rows", sheet=sheet.name, limit=f"{limit:,}".replace(",", "."))
            across.see(row.number, row.cells)
            hidden_before = hidden_below
    if not rows:
        raise StructureError("no-rows", sheet=sheet.name)
    blank = last - headings.row - rows - hidden_before
    return Survey(sheet, headings, rows, hidden, blank, grid.merged, across)


def has_content(row: Row, headings: Headings) -> bool:
    """Whether anything stands under a heading; blanks are nothing."""
    return any(
        column in headings.names and (cell.kind != "text" or tidy(cell.text)) for column, cell in row.cells.items()
    )


class Covered:
    """Which columns of a row are hidden by a merged range; rows are asked for in order."""

    def __init__(self, merged: Iterable[Merged]) -> None:
        self._waiting = sorted(merged, key=lambda item: item.top)
        self._tops = [item.top for item in self._waiting]
        self._next = 0
        self._open: list[Merged] = []

    def at(self, row: int, headings: Headings) -> frozenset[int]:
        """The columns, the range's own first cell left out."""
        until = bisect_right(self._tops, row)
        if until > self._next or self._open:
            self._open = [item for item in (*self._open, *self._waiting[self._next : until]) if item.bottom >= row]
            self._next = until
        return frozenset(self._hidden(row, headings)) if self._open else frozenset()

    def _hidden(self, row: int, headings: Headings) -> Iterator[int]:
        for item in self._open:
            for column in headings.names:
                if item.left <= column <= item.right and (column, row) != (item.left, item.top):
                    yield column
