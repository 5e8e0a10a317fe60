"""Puts boxes on the pages of a sheet: words in one language or two, values by the names of their slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict, Unpack

from services.render.adapters.content import Shape
from services.render.adapters.sheet import Box, Sheet, Text
from services.render.adapters.texts import TextsWrong, Words
from shared.printing import POINTS_PER_MM, Step, Weight, fit, width_of
from shared.printing import Box as Room

LABEL: Final = 8.0
"""The size of labels and of running text."""
MONO_EM: Final = 0.6001
"""What every character of Roboto Mono takes."""
_GAP: Final = 1.4
_BASE: Final = 0.35
"""How far below the middle of its line a base line stands, of the font size."""


class Style(TypedDict, total=False):
    """How words and values stand; see `Text`."""

    look: str
    tag: str
    lang: str
    leading: float


class Pen:
    """Writes on the last page of its sheet."""

    def __init__(self, shape: Shape, words: Words, slip: dict[str, str], marks: frozenset[str]) -> None:
        self.shape, self.words, self.slip, self.marks = shape, words, slip, marks
        self.sheet = Sheet()

    def scratch(self) -> Pen:
        """One that writes on a page of its own, to see how much room something takes."""
        pen = Pen(self.shape, self.words, self.slip, self.marks)
        pen.page()
        return pen

    def page(self) -> None:
        """A new page."""
        self.sheet.pages.append([])

    def put(self, *boxes: Box) -> None:
        """On the page."""
        self.sheet.pages[-1].extend(boxes)

    def say(self, at: tuple[float, float, float], text: str, size: float = LABEL, **style: Unpack[Style]) -> float:
        """One line of words at `left, top, width`, in a box of just its width. Returns where it ends."""
        left, top, width = at
        look = style.get("look", "")
        taken = width if "mono" in look else _line(text, size, look)
        if taken > width + 0.01:
            raise TextsWrong(f"«{text}» does not fit its place on the notice")
        return self._text((left + width - taken if "right" in look else left, top, taken), (text,), size, **style)

    def value(self, at: tuple[float, float, float], slot: str, size: float = LABEL, **style: Unpack[Style]) -> float:
        """A value of one line."""
        return self._text(at, (slot,), size, slot, **style)

    def field(self, at: tuple[float, float, float], name: str, **style: Unpack[Style]) -> float:
        """A value that was set in lines: its size and their number are the shape's."""
        size, count = self.shape.set_as(name)
        lines = tuple(f"{name}_{line}" for line in range(1, count + 1))
        return self._text(at, lines, size, name, **style) if count else at[1]

    def pair(
        self, at: tuple[float, float, float], said: Sequence[str], size: float = LABEL, **style: Unpack[Style]
    ) -> float:
        """A label, and in grey after it, or below where there is no room, the same in the second language."""
        left, top, width = at
        first, *second = said
        taken = _line(first, size, style.get("look", ""))
        end = self.say(at, first, size, **style)
        for other in second:
            if other == first:
                continue
            rest, small = width - taken - _GAP, min(size, LABEL)
            grey: Style = {"look": "grey", "lang": self.words.languages[1]}
            if _line(other, small, "") <= rest:
                grey["leading"] = (end - top) * POINTS_PER_MM
                lower = (size - small) * _BASE / POINTS_PER_MM  # smaller letters, on the same base line
                self.say((left + taken + _GAP, top + lower, rest), other, small, **grey)
            else:
                end = self.prose((left, end, width), (other,), ((small, 1), (7, 1), (7, 2), (6, 2)), first=1)
        return end

    def prose(
        self, at: tuple[float, float, float], said: Sequence[str], steps: Sequence[tuple[float, int]], first: int = 0
    ) -> float:
        """Running text, in grey in the second language."""
        left, top, width = at
        for index, text in enumerate(said, first):
            fitted = fit((text,), Room("regular", width, tuple(Step(size, lines) for size, lines in steps)))
            if fitted is None:
                raise TextsWrong(f"«{text}» does not fit its place on the notice")
            style = Style(leading=fitted.size * 1.33)
            if index:
                style |= {"look": "grey", "lang": self.words.languages[index]}
            top = self._text((left, top, width), fitted.lines, fitted.size, **style)
        return top

    def _text(
        self,
        at: tuple[float, float, float],
        lines: tuple[str, ...],
        size: float,
        slot: str = "",
        **style: Unpack[Style],
    ) -> float:
        style.setdefault("leading", size * 1.25)
        box = Text(*at, size, lines=lines, slot=slot, **style)
        self.put(box)
        return box.region[3]


def _line(text: str, size: float, look: str) -> float:
    weight: Weight = "bold" if "bold" in look else "regular"
    return width_of(text.upper() if "upper" in look else text, weight, size)
