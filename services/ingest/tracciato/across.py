"""What only several rows together tell. The first pass sees every row and keeps hashes and row numbers, no texts, so that
the second one can warn at the row itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from services.ingest.tracciato.amounts import WrongAmount, cents
from services.ingest.tracciato.cells import Cell
from services.ingest.tracciato.findings import Findings, tidy
from services.ingest.tracciato.headings import ADDRESS, AMOUNT, FISCAL_CODE, NAME, REASON, VAT_CODE, Headings

DIGITS: Final = re.compile(r"([0-9]{1,12})")
RUN: Final = 3
"""Rows in a row from which on a growing number is no accident."""


def _follows(before: list[str], after: list[str]) -> bool:
    """Whether `after` is `before` with one of its numbers one greater."""
    if len(before) != len(after):
        return False
    changed = [(one, two) for one, two in zip(before, after, strict=True) if one != two]
    return (
        len(changed) == 1
        and all(text.isdecimal() for text in changed[0])
        and int(changed[0][1]) - int(changed[0][0]) == 1
    )


class Across:
    """See the module. Rows are seen in order."""

    def __init__(self, headings: Headings) -> None:
        self._columns = headings.columns
        self._first: dict[int, int] = {}
        self._again: dict[int, int] = {}
        self._owner: dict[int, int] = {}
        self._shared: set[int] = set()
        self._sequence: set[int] = set()
        self._run: list[int] = []
        self._before: list[str] = []

    def see(self, row: int, cells: Mapping[int, Cell]) -> None:
        """Remember one row, as far as others may resemble it."""
        debtor = self._text(cells, FISCAL_CODE) or self._text(cells, VAT_CODE)
        owner = hash(debtor.replace(" ", "").upper())
        same = hash((owner, self._amount(cells), self._text(cells, REASON)))
        if debtor and self._first.setdefault(same, row) != row:
            self._again[row] = self._first[same]
        address = self._address(cells)
        if (
            "@" in address
            and (debtor or self._text(cells, NAME))
            and self._owner.setdefault(hash(address), owner) != owner
        ):
            self._shared.add(hash(address))
        self._see_sequence(row, address)

    def warn(self, findings: Findings) -> None:
        """Put this row's warnings to its findings."""
        if first := self._again.get(findings.row):
            findings.warn(FISCAL_CODE, "identical-row", first=first)
        address = self._address(findings.cells)
        if address and hash(address) in self._shared:
            findings.warn(ADDRESS, "shared-address")
        if findings.row in self._sequence:
            findings.warn(ADDRESS, "sequential-address")

    def _see_sequence(self, row: int, address: str) -> None:
        parts = DIGITS.split(address)
        if address and _follows(self._before, parts):
            self._run.append(row)
            if len(self._run) >= RUN:
                self._sequence.update(self._run[-RUN:])
        else:
            self._run = [row]
        self._before = parts
        del self._run[:-RUN]

    def _text(self, cells: Mapping[int, Cell], column: str) -> str:
        cell = cells.get(self._columns.get(column, 0))
        return tidy(cell.text) if cell else ""

    def _address(self, cells: Mapping[int, Cell]) -> str:
        return self._text(cells, ADDRESS).lower().removeprefix("mailto:").strip()

    def _amount(self, cells: Mapping[int, Cell]) -> int | str:
        cell = cells.get(self._columns.get(AMOUNT, 0))
        if cell is None:
            return 0
        try:
            return cents(tidy(cell.text), number=cell.kind == "number")
        except WrongAmount:
            return cell.text
