"""The shared strings, in one block of UTF-8: 100,000 rows may hold a million of them, and most are wanted once."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from services.ingest.tracciato.limits import CELL_CHARACTERS
from services.ingest.tracciato.package import Package, parse_chunks
from services.ingest.tracciato.problems import StructureError

NO_CHARACTER: Final = 0xFFFE
ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


def unescape(text: str) -> str:
    """`_x0007_` as the character that it stands for (ECMA-376 ST_Xstring); halves of a pair are left as they are, and NUL, which
    no database holds, becomes a non-character: as wrong as it was, and it can be told."""
    if "_x" not in text:
        return text

    def char(found: re.Match[str]) -> str:
        code = int(found[1], 16)
        return found[0] if 0xD800 <= code <= 0xDFFF else chr(code or NO_CHARACTER)

    return ESCAPED.sub(char, text)


class SharedStrings:
    """Strings by index, decoded when asked for. Raises `IndexError`."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._ends = array("I")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, text: str) -> None:
        """Keep one more."""
        self._block += text.encode()
        self._ends.append(len(self._block))

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self._ends):
            raise IndexError(index)
        start = self._ends[index - 1] if index else 0
        return self._block[start : self._ends[index]].decode()


@dataclass(slots=True)
class _Parser:
    """Expat's handlers. Phonetic readings (`rPh`) are not part of a text."""

    strings: SharedStrings
    limit: int
    pieces: list[str] = field(default_factory=list)
    size: int = 0
    inside: bool = False
    phonetic: bool = False

    def start(self, name: str, _: dict[str, str]) -> None:
        local = name.rpartition("}")[2]
        if local == "si":
            self.pieces.clear()
            self.size = 0
        elif local == "rPh":
            self.phonetic = True
        elif local == "t":
            self.inside = not self.phonetic

    def end(self, name: str) -> None:
        local = name.rpartition("}")[2]
        if local == "t":
            self.inside = False
        elif local == "rPh":
            self.phonetic = False
        elif local == "si":
            self.strings.append(unescape("".join(self.pieces)))
            if len(self.strings) > self.limit:
                raise StructureError("inflates-too-much")

    def text(self, data: str) -> None:
        if self.inside:
            self.size += len(data)
            if self.size > CELL_CHARACTERS:
                raise StructureError("inflates-too-much")
            self.pieces.append(data)


def read_strings(package: Package, part: str) -> SharedStrings:
    """All strings of a part. Raises `StructureError` where it is not XML, or holds too much."""
    state = _Parser(SharedStrings(), package.limits.strings)
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = state.start, state.end
    parser.CharacterDataHandler = state.text
    with package.open(part) as stream:
        try:
            for _ in parse_chunks(stream, parser):
                pass
        except expat.ExpatError as wrong:
            raise StructureError("damaged") from wrong
    return state.strings
