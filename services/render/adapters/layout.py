"""Which module stands on which page (guide 3.5, and the pagination of the official templates)."""

from __future__ import annotations

from services.render.adapters.content import Shape, prefix
from services.render.adapters.modules import PAYMENT, data, data_title, header, how, parties
from services.render.adapters.pen import Pen
from services.render.adapters.row import row
from services.render.adapters.sheet import BOTTOM, Sheet
from services.render.adapters.slip import FULL, slip
from services.render.adapters.texts import Words

FIRST = 44.0
"""Where the modules begin, below the header."""


def lay_out(shape: Shape, words: Words, slip_words: dict[str, str], marks: frozenset[str]) -> Sheet:
    """The pages of a shape. Raises `TextsWrong` for wording that does not fit its place."""
    pen = Pen(shape, words, slip_words, marks)
    end = _page(pen)
    numbers = list(range(1, shape.instalments + 1))
    if shape.full:
        end = data(pen, end, "", words.said(PAYMENT + "rataUnica"))
    elif shape.slips:  # there would be nothing on the rest of the page
        end = data(pen, end, prefix(1), words.said(PAYMENT + "numRata", 1))
    if shape.slips:
        first = "" if shape.full else prefix(1)
        label = slip_words["rataUnica"] if shape.full else _instalment(slip_words, 1)
        slip(pen, end + 6.6, first, label, dense=end + 6.6 + FULL > BOTTOM)
        _rows_with_slips(pen, numbers if shape.full else numbers[1:])
    elif numbers:
        _rows(pen, end, numbers)
    return pen.sheet


def listed(count: int, *, slips: bool) -> list[int]:
    """How many instalments stand side by side, row by row, as the official templates list them."""
    if count <= 3:
        return [count]
    if count in (6, 10) and slips:
        return [3, 3] if count == 6 else [3, 3, 2, 2]
    known = {4: [2, 2], 5: [2, 3], 6: [2, 2, 2], 7: [3, 2, 2], 8: [2, 3, 3]}
    whole, rest = divmod(count, 3)
    return known.get(count) or [3] * whole + [rest] * (rest > 0)


def _page(pen: Pen) -> float:
    """The first page down to what is to be paid."""
    pen.page()
    header(pen)
    return how(pen, parties(pen, FIRST))


def _next(pen: Pen) -> float:
    pen.page()
    header(pen)
    return FIRST


def _rows(pen: Pen, top: float, numbers: list[int]) -> None:
    """The first row below what stands on the page already, the others on the next pages; one page never mixes rows of two
    with rows of three."""
    if not pen.shape.full:
        top = data_title(pen, top) - 2.4
    columns = 0
    for group in listed(len(numbers), slips=False):
        here, numbers = numbers[:group], numbers[group:]
        start = top + 3.0
        mixed = columns and group > columns
        if mixed or start + row(pen.scratch(), 0.0, here, columns or max(group, 2)) > BOTTOM or columns == -1:
            start, columns = _next(pen), 0
        columns = columns or max(group, 2)
        top = row(pen, start, here, columns)
        if len(pen.sheet.pages) == 1:
            columns = -1


def _rows_with_slips(pen: Pen, numbers: list[int]) -> None:
    """A page for each row, and below it a slip for each of its instalments; fewer a page where texts are long."""
    groups = listed(len(numbers), slips=True) if numbers else []
    most = max(groups, default=1)
    while most > 1 and _row_and_slips(pen.scratch(), FIRST, numbers[:most]) > BOTTOM:
        most -= 1
    if groups and most < max(groups):
        whole, rest = divmod(len(numbers), most)
        groups = [most] * whole + [rest] * (rest > 0)
    for group in groups:
        here, numbers = numbers[:group], numbers[group:]
        _row_and_slips(pen, _next(pen), here)


def _row_and_slips(pen: Pen, top: float, here: list[int]) -> float:
    end = row(pen, top, here, max(len(here), 2))
    for number in here:
        end = slip(pen, end + 3.2, prefix(number), _instalment(pen.slip, number), dense=True)
    return end


def _instalment(slip_words: dict[str, str], number: int) -> str:
    return slip_words["rata"].replace("{{Numero}}", str(number))
