"""What fits on a payment notice: the boxes of the layout and the rule that wraps text into them.

Ingest asks before a debt is opened, render wraps with the same function, so that no debt is ever opened for a notice that
cannot be printed; whatever variant of the notice a record takes, its texts fit. Widths are the fonts' own advances
(`printing_widths.json`, made from Titillium Web and Noto Sans by `services.render.adapters.fonts`); kerning only ever narrows a line, so leaving it out errs on the safe side.

Source of sizes and limits: pagoPA, guide to the payment notice 3.5.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from shared.contracts.record import Address

Weight = Literal["regular", "bold"]
WIDTHS_FILE: Final = Path(__file__).with_name("printing_widths.json")
POINTS_PER_MM: Final = 72 / 25.4

DOES_NOT_FIT: Final = "does-not-fit"
UNPRINTABLE: Final = "unprintable-character"


@dataclass(frozen=True, slots=True)
class Step:
    """One way to set a text: font size in points, and how many lines of it the box has room for."""

    size: float
    lines: int


@dataclass(frozen=True, slots=True)
class Box:
    """A box of the layout: its width in millimetres and the ways to set a text in it, the preferred one first."""

    weight: Weight
    width: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A text as it is printed: font size in points and its lines."""

    size: float
    lines: tuple[str, ...]


SUBJECT: Final = Box("bold", 150, (Step(16, 3), Step(13, 4)))
"""The reason, as the heading of the notice: 90 characters in the guide; longer ones wrap and step down."""
NAME: Final = Box("bold", 86, (Step(14, 2), Step(11, 3)))
ADDRESS: Final = Box("regular", 86, (Step(12, 2), Step(10.5, 3), Step(9, 4)))
CREDITOR: Final = Box("bold", 88, (Step(14, 2), Step(11, 3)))
OFFICE: Final = Box("regular", 88, (Step(12, 1), Step(10, 2)))
CONTACTS: Final = Box("regular", 88, (Step(8, 2), Step(7, 3)))
AMOUNT: Final = Box("bold", 56, (Step(16, 1), Step(14, 1), Step(12, 1)))
DATA_NAME: Final = Box("bold", 92, (Step(8, 2),))
"""Addressee and creditor again, beside the QR code."""
DATA_SUBJECT: Final = Box("bold", 92, (Step(8, 3), Step(7, 4)))
HALF_NAME: Final = Box("bold", 86, (Step(8, 1), Step(7, 2)))
"""Once more in each instalment, two of them in a row."""
HALF_SUBJECT: Final = Box("bold", 86, (Step(8, 2), Step(7, 4)))
THIRD_NAME: Final = Box("bold", 55, (Step(8, 1), Step(7, 2), Step(6, 4)))
"""The creditor's alone: three instalments in a row leave the addressee out (guide, *rate multiple*)."""
THIRD_SUBJECT: Final = Box("bold", 55, (Step(8, 2), Step(7, 3), Step(6, 6)))
SLIP_NAME: Final = Box("bold", 86, (Step(8, 1), Step(7, 2)))
"""On the postal slip, addressee and account holder."""
AUTHORISATION: Final = Box("regular", 48, (Step(7, 1), Step(6, 1), Step(7, 2), Step(6, 3)))
SLIP_SUBJECT: Final = Box("bold", 86, (Step(8, 2), Step(7, 4)))


@cache
def _widths() -> dict[Weight, dict[str, float]]:
    """Advance widths by character, in em."""
    tables = json.loads(WIDTHS_FILE.read_text("utf-8"))
    return {
        weight: {char: width / table["units"] for char, width in zip(table["characters"], table["widths"], strict=True)}
        for weight, table in tables.items()
    }


def printable(text: str) -> bool:
    """Whether every character (composed, NFC) has a glyph in the notice's fonts."""
    tables = _widths()
    return all(char in tables["regular"] and char in tables["bold"] for char in unicodedata.normalize("NFC", text))


def width_of(text: str, weight: Weight, size: float) -> float:
    """Millimetres that a printable text takes in one line."""
    table = _widths()[weight]
    return sum(table[char] for char in unicodedata.normalize("NFC", text)) * size / POINTS_PER_MM


def wrap(text: str, weight: Weight, points: float, size: float) -> list[str]:
    """The lines of one printable paragraph in a box `points` wide: at spaces; a word wider than the box, anywhere."""
    table = _widths()[weight]
    room = points / size
    lines: list[str] = []
    line, used = "", 0.0
    for word in unicodedata.normalize("NFC", text).split(" "):
        width = sum(table[char] for char in word)
        gap = table[" "] if line else 0.0
        if used + gap + width <= room:
            line, used = f"{line} {word}" if line else word, used + gap + width
            continue
        if line:
            lines.append(line)
        line, used = "", 0.0
        for char in word:
            if used + table[char] > room:
                lines.append(line)
                line, used = "", 0.0
            line, used = line + char, used + table[char]
    return [*lines, line] if line else lines


def fit(paragraphs: Sequence[str], box: Box) -> Fitted | None:
    """`paragraphs` set in `box`, by the first step that has the lines; `None`: they do not fit.

    Raises `KeyError` for a character that is not `printable`.
    """
    for step in box.steps:
        lines = [line for text in paragraphs for line in wrap(text, box.weight, box.width * POINTS_PER_MM, step.size)]
        if len(lines) <= step.lines:
            return Fitted(step.size, tuple(lines))
    return None


def _problem(paragraphs: Sequence[str], *boxes: Box) -> str | None:
    if not all(map(printable, paragraphs)):
        return UNPRINTABLE
    return None if all(fit(paragraphs, box) for box in boxes) else DOES_NOT_FIT


def reason_problem(text: str) -> str | None:
    """Why a reason (*causale*, up to 140 characters) cannot be printed: `DOES_NOT_FIT`, `UNPRINTABLE`, or `None`.

    The postal code, where a creditor has one, carries the first 110 characters: that is its format, not a problem.
    """
    return _problem((text,), SUBJECT, DATA_SUBJECT, HALF_SUBJECT, THIRD_SUBJECT, SLIP_SUBJECT)


def name_problem(text: str) -> str | None:
    """The same for a debtor's name (up to 70 characters)."""
    return _problem((text,), NAME, DATA_NAME, HALF_NAME, SLIP_NAME)


def address_problem(address: Address | str) -> str | None:
    """The same for a debtor's address; as text, its lines are parted by line feeds."""
    return _problem(address.split("\n") if isinstance(address, str) else address_lines(address), ADDRESS)


def address_lines(address: Address) -> tuple[str, ...]:
    """`Via Roma 1` and `00100 Roma (RM)`, without what is empty."""
    street = f"{address.street} {address.number}".strip()
    province = f"({address.province})" if address.province else ""
    town = " ".join(part for part in (address.postal_code, address.city, province) if part)
    return tuple(line for line in (street, town) if line)


def creditor_problem(name: str, office: str, contacts: str) -> str | None:
    """The same for what the configuration prints of a creditor."""
    checks = (
        ((name,), (CREDITOR, DATA_NAME, HALF_NAME, THIRD_NAME, SLIP_NAME)),
        ((office,), (OFFICE,)),
        ((contacts,), (CONTACTS,)),
    )
    return next((code for texts, boxes in checks if (code := _problem(texts, *boxes))), None)


def postal_problem(holder: str, authorisation: str) -> str | None:
    """The same for what the configuration prints on a postal slip."""
    return _problem((holder,), SLIP_NAME) or _problem((authorisation,), AUTHORISATION)
