"""One row while it is checked: its cells by the columns' names, and what was found wrong or suspicious."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from services.ingest.tracciato.cells import Cell
from services.ingest.tracciato.headings import HIDDEN_CHARACTERS, Headings
from services.ingest.tracciato.problems import PROBLEMS, WARNINGS
from shared.contracts.facts import Problem

CONTROLS: Final = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)
"""C0 and C1 without line ends, the marks that turn writing round, non-characters."""
STOPS: Final = {"error": "error-cell", "formula": "formula-without-value"}


def tidy(text: str) -> str:
    """Composed (NFC), every run of blanks one space, ends trimmed, characters without width dropped."""
    if text.isascii():
        return " ".join(text.split())
    return " ".join(unicodedata.normalize("NFC", HIDDEN_CHARACTERS.sub("", text)).split())


@dataclass(slots=True)
class Findings:
    """All of a row's problems and warnings. `covered` are columns where a merged range hides the cell."""

    row: int
    headings: Headings
    cells: Mapping[int, Cell]
    covered: frozenset[int] = frozenset()
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def problem(self, column: str, code: str, proposal: str = "", **values: object) -> None:
        """Something that stops the row."""
        own = self.headings.own(column)
        message = PROBLEMS[code].format_map({"column": column, **values})
        self.problems.append(Problem(row=self.row, column=own, code=code, message=message, proposal=proposal))

    def warn(self, column: str, code: str, proposal: str = "", **values: object) -> None:
        """Something to look at."""
        own, message = self.headings.own(column), WARNINGS[code].format_map(values)
        self.warnings.append(
            Problem(row=self.row, column=own, code=code, message=message, warning=True, proposal=proposal)
        )

    def cell(self, column: str) -> Cell | None:
        """The cell with its text tidied; `None`: empty, no such column, or a problem that was told."""
        number = self.headings.columns.get(column)
        if number is None:
            return None
        if number in self.covered:
            self.problem(column, "merged-cell")
            return None
        cell = self.cells.get(number)
        if cell is None:
            return None
        if stop := STOPS.get(cell.kind):
            self.problem(column, stop)
            return None
        if CONTROLS.search(cell.text):
            self.problem(column, "control-character")
            return None
        text = tidy(cell.text)
        return Cell(cell.kind, text) if text else None

    def text(self, column: str, limit: int, *, required: bool = False, dates: bool = False) -> str:
        """A text column's value, at most `limit` characters; empty where a problem was told."""
        before = len(self.problems)
        cell = self.cell(column)
        if cell is None:
            if required and len(self.problems) == before:
                self.problem(column, "missing-value")
            return ""
        if cell.kind == "date" and not dates:
            self.problem(column, "date-in-text")
        elif cell.kind == "number" and (len(cell.text) > 15 or "E" in cell.text):
            self.problem(column, "digits-lost")
        elif len(cell.text) > limit:
            self.problem(column, "too-long", limit=limit)
        return cell.text if len(self.problems) == before else ""
