"""A notice as boxes on pages: what the pages are drawn from, and what the read-back looks into. All in millimetres from the
upper left corner of an A4 page; font sizes and leadings in points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from shared.printing import POINTS_PER_MM

LEFT, RIGHT, TOP, BOTTOM = 10.0, 200.0, 10.0, 287.0
"""The margins of the guide: 10 mm all round. Only the grey bands cross them."""
Region = tuple[float, float, float, float]
"""Left, top, right and bottom."""
CodeKind = Literal["qr", "matrix"]
QUIET: Final = 2.0


@dataclass(frozen=True, slots=True)
class Text:
    """Lines of one size, one below the other. `slot`: `lines` are names of values, all of this field; empty: words."""

    left: float
    top: float
    width: float
    size: float
    leading: float
    lines: tuple[str, ...]
    slot: str = ""
    tag: str = "p"
    look: str = ""
    """Classes of the style sheet: bold, mono, upper, grey, right."""
    lang: str = ""

    @property
    def region(self) -> Region:
        """The whole box."""
        height = len(self.lines) * self.leading / POINTS_PER_MM
        return self.left, self.top, self.left + self.width, self.top + height


@dataclass(frozen=True, slots=True)
class Code:
    """A square code. `slot` names its payload, `alt` says what it is."""

    kind: CodeKind
    left: float
    top: float
    side: float
    slot: str
    alt: str

    @property
    def region(self) -> Region:
        """The code with its quiet zone."""
        return self.left - QUIET, self.top - QUIET, self.left + self.side + QUIET, self.top + self.side + QUIET


@dataclass(frozen=True, slots=True)
class Picture:
    """An asset. Without `alt` it says nothing that a screen reader should."""

    asset: str
    left: float
    top: float
    width: float
    height: float
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """A strip of light grey."""

    left: float
    top: float
    width: float
    height: float = 8.0


Box = Text | Code | Picture | Band


@dataclass(frozen=True, slots=True)
class Sheet:
    """The pages of a notice, each a list of boxes in reading order."""

    pages: list[list[Box]] = field(default_factory=list)

    def regions(self, slot: str) -> Iterator[tuple[int, Region]]:
        """Where the field `slot` stands: number of the page, from zero, and region."""
        for number, page in enumerate(self.pages):
            for box in page:
                if isinstance(box, Text | Code) and box.slot == slot:
                    yield number, box.region

    def codes(self) -> Iterator[tuple[int, Code]]:
        """All codes, with the number of their page."""
        for number, page in enumerate(self.pages):
            yield from ((number, box) for box in page if isinstance(box, Code))
