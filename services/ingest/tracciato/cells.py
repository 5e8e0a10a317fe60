"""The rows of a sheet, streamed from its XML: memory stays flat whatever the sheet holds.

Own code rather than openpyxl's read-only mode, for four reasons: that mode does not tell hidden rows and formulas without
a value, makes floats of numbers (so `0.1 + 0.2` and 16 digits are lost before one can judge them), keeps an object per
row, and takes more than twice the time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import InvalidOperation
from functools import cache
from math import inf
from typing import Final, Literal, NamedTuple
from xml.parsers import expat

from openpyxl.utils.datetime import from_excel
from openpyxl.xml.constants import SHEET_MAIN_NS

from services.ingest.tracciato.limits import CELL_CHARACTERS, Limits
from services.ingest.tracciato.package import Package, parse_chunks
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.shown import shown_date, shown_number
from services.ingest.tracciato.strings import unescape
from services.ingest.tracciato.workbook import Sheet, Workbook

Kind = Literal["text", "number", "date", "bool", "error", "formula"]
"""`formula` is one without a cached value."""
COORDINATE: Final = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
TAGS: Final = {f"{SHEET_MAIN_NS}}}{tag}": tag for tag in ("c", "v", "is", "t", "row", "f")}
"""What nearly every event is about; other namespaces (strict files) and tags take the longer way."""
END: Final = object()
LAST_ROW: Final = 1_048_576
STRINGS: Final = frozenset({"s", "str", "inlineStr"})


class Cell(NamedTuple):
    """One cell with content: `text` is as Excel shows it, a number with a decimal comma and without thousands."""

    kind: Kind
    text: str


class Row(NamedTuple):
    """A row with its number in Excel; cells by column (A is 1)."""

    number: int
    hidden: bool
    cells: dict[int, Cell]


class Merged(NamedTuple):
    """A merged range, ends included."""

    left: int
    top: int
    right: int
    bottom: int


@cache
def column_number(letters: str) -> int:
    """`A` is 1, `XFD` 16384."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


@dataclass(slots=True)
class _Parser:
    """Expat's handlers, and the rows that are complete. `last` is the last column looked at."""

    book: Workbook
    sheet: Sheet
    limits: Limits
    last: int
    rows: list[Row] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    number: int = 0
    hidden: bool = False
    hides: bool = False
    cells: dict[int, Cell] = field(default_factory=dict)
    column: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    formula: bool = False
    valued: bool = False
    inside: bool = False
    phonetic: bool = False
    pieces: list[str] = field(default_factory=list)
    characters: int = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        local = TAGS.get(name) or name.rpartition("}")[2]
        if local == "c":
            self._cell(attributes)
        elif local in {"v", "t"}:
            self.inside = 0 < self.column <= self.last and not self.phonetic
            self.valued = True
        elif local != "is":
            self._rare(local, attributes)

    def _rare(self, local: str, attributes: dict[str, str]) -> None:
        if local == "row":
            self._row(attributes)
        elif local == "f":
            self.formula = True
        elif local == "rPh":
            self.phonetic = True
        elif local == "sheetFormatPr":
            self.hides = attributes.get("zeroHeight") in {"1", "true"}
        elif local == "mergeCell":
            self._merge(attributes.get("ref", ""))

    def end(self, name: str) -> None:
        local = TAGS.get(name) or name.rpartition("}")[2]
        if local in {"v", "t"}:
            self.inside = False
        elif local == "c":
            if self.column <= self.last and (cell := self._value()):
                self.cells[self.column] = cell
        elif local == "row":
            self.rows.append(Row(self.number, self.hidden, self.cells))
        elif local == "rPh":
            self.phonetic = False

    def text(self, data: str) -> None:
        if self.inside:
            self.characters += len(data)
            self.pieces.append(data)
            if len(self.pieces) > CELL_CHARACTERS:
                raise StructureError("inflates-too-much")

    def _row(self, attributes: dict[str, str]) -> None:
        given = attributes.get("r")
        number = self.number + 1 if given is None else int(given)
        if not self.number < number <= LAST_ROW:  # a row number names a record: it must not come twice
            raise StructureError("damaged")
        self.number, self.cells, self.column = number, {}, 0
        flat = attributes.get("ht") in {"0", "0.0"}
        self.hidden = flat or attributes.get("hidden", "1" if self.hides else "0") in {"1", "true"}

    def _cell(self, attributes: dict[str, str]) -> None:
        given = attributes.get("r")
        if given is None:
            self.column += 1
        elif found := COORDINATE.fullmatch(given):
            self.column = column_number(found[1])
        else:
            raise StructureError("damaged")
        self.attributes, self.formula, self.valued = attributes, False, False
        self.pieces.clear()

    def _merge(self, ref: str) -> None:
        first, _, second = ref.partition(":")
        one, two = COORDINATE.fullmatch(first), COORDINATE.fullmatch(second)
        if one and two and column_number(one[1]) <= self.last:
            self.merged.append(Merged(column_number(one[1]), int(one[2]), column_number(two[1]), int(two[2])))
            if len(self.merged) > self.limits.merged_ranges:
                raise StructureError("too-many-merged", sheet=self.sheet.name, limit=self.limits.merged_ranges)

    def _value(self) -> Cell | None:
        text, kind = "".join(self.pieces), self.attributes.get("t", "n")
        if self.formula and not text and not (kind == "str" and self.valued):
            return Cell("formula", "")
        if not text:
            return None
        if kind not in STRINGS:
            return self._typed(kind, text.strip())
        if kind == "s":
            text = self.book.strings[int(text)]
            self.characters += len(text)
        else:
            text = unescape(text)
        if self.characters > self.limits.text_characters or len(text) > CELL_CHARACTERS:
            raise StructureError("inflates-too-much")
        return Cell("text", text) if text else None

    def _typed(self, kind: str, text: str) -> Cell:
        if kind == "n":
            return self._number(text)
        if kind == "d":
            return Cell("date", shown_date(datetime.fromisoformat(text)))
        return Cell("bool", "VERO" if text == "1" else "FALSO") if kind == "b" else Cell("error", text)

    def _number(self, raw: str) -> Cell:
        style = int(self.attributes.get("s", "0"))
        shown = shown_number(raw)
        if style in self.book.zeros and shown.isdecimal():
            return Cell("number", shown.zfill(self.book.zeros[style]))
        if style not in self.book.dates:
            return Cell("number", shown)
        try:
            return Cell("date", shown_date(from_excel(float(raw), self.book.epoch)))
        except (ValueError, OverflowError):
            return Cell("error", "#VALORE!")


@dataclass(slots=True)
class Grid:
    """One pass over a sheet's rows. `merged` is complete after the last row, where a sheet keeps it."""

    package: Package
    book: Workbook
    sheet: Sheet
    last: int
    seconds: float = inf
    """Of this thread's own processor time: a busy machine is nobody's fault."""
    merged: list[Merged] = field(default_factory=list)

    def __iter__(self) -> Iterator[Row]:
        """Rows that are in the file, in order. Raises `StructureError`."""
        state = _Parser(self.book, self.sheet, self.package.limits, self.last, merged=self.merged)
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = state.start, state.end
        parser.CharacterDataHandler = state.text
        deadline = time.thread_time() + self.seconds
        with self.package.open(self.sheet.part) as stream:
            steps = parse_chunks(stream, parser)
            while True:
                try:
                    if next(steps, END) is END:
                        return
                except (expat.ExpatError, ValueError, IndexError, InvalidOperation) as wrong:
                    raise StructureError("damaged") from wrong
                if time.thread_time() > deadline:
                    raise StructureError("too-slow")
                yield from state.rows
                state.rows.clear()
