"""What a finished notice says, field by field where the layout put it, read with libraries that took no part in making it.

A difference is a bug of ours: the document is not given out.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import pikepdf
import pypdfium2

from services.render.adapters.readback import Misread, plain
from services.render.adapters.readback_codes import all_shown, drawn, fills, picture, shown
from services.render.adapters.readback_said import Said, codes, comparable, said
from services.render.adapters.sheet import Code, Region, Sheet
from services.render.model import FACSIMILE
from shared.contracts.record import Record
from shared.creditors import Creditor
from shared.printing import POINTS_PER_MM

_INSET: Final = 1.5
"""Points from the edges of a field into which letters above and below may reach; its own reach further in."""


def read_notice(
    pdf: bytes, sheet: Sheet, record: Record, creditor: Creditor, *, facsimile: bool, raster: bool = False
) -> None:
    """Raises `Misread` unless the pages say what the record says. `raster`: the codes are read from pictures of the pages as
    well."""
    for what in differences(pdf, sheet, record, creditor, facsimile=facsimile, raster=raster):
        raise Misread(what)


def differences(
    pdf: bytes, sheet: Sheet, record: Record, creditor: Creditor, *, facsimile: bool, raster: bool = False
) -> Iterator[str]:
    """The name of every check that finds the pages wrong; some more than once."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        if len(document) != len(sheet.pages):
            yield "pages"
            return
        yield from _texts(document, sheet, list(said(record, creditor)), facsimile=facsimile)
        expected = list(codes(record, creditor))
        yield from _misplaced(sheet, expected)
        yield from _drawn(pdf, sheet, expected)
        if raster:
            yield from _shown(document, sheet, expected)
    finally:
        document.close()


def _misplaced(sheet: Sheet, expected: Sequence[Said]) -> Iterator[str]:
    """What has no place and must have one, or has one and must not."""
    for each in expected:
        if each.place is not None and each.place != any(True for _ in sheet.regions(each.field)):
            yield each.name


def _texts(
    document: pypdfium2.PdfDocument, sheet: Sheet, expected: Sequence[Said], *, facsimile: bool
) -> Iterator[str]:
    yield from _misplaced(sheet, expected)
    texts = [(page.get_height(), page.get_textpage()) for page in document]
    for each in expected:
        if each.place is False:
            continue
        for number, region in sheet.regions(each.field):
            height, text = texts[number]
            if not _says(_within(text, region, height), plain(each.value), facsimile=facsimile):
                yield each.name
    if facsimile and not all(plain(FACSIMILE) in plain(text.get_text_range()) for _, text in texts):
        yield "facsimile"


def _says(read: str, value: str, *, facsimile: bool) -> bool:
    """Nothing but the value; in a facsimile, whose mark lies across the fields, the value with no figures next to it."""
    if not facsimile:
        return read == value
    return re.search(rf"(?<![0-9.,/]){re.escape(value)}(?![0-9.,/])", read) is not None


def _within(text: pypdfium2.PdfTextPage, region: Region, height: float) -> str:
    left, top, right, bottom = (edge * POINTS_PER_MM for edge in region)
    return plain(text.get_text_bounded(left - 1, height - bottom + _INSET, right + 1, height - top - _INSET))


def _drawn(pdf: bytes, sheet: Sheet, expected: Sequence[Said]) -> Iterator[str]:
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        for number, page in enumerate(opened.pages):
            painted = list(fills(page))
            for code, must in _codes(sheet, number, expected):
                if comparable(drawn(code, painted)) != comparable(must.value):
                    yield must.name


def _shown(document: pypdfium2.PdfDocument, sheet: Sheet, expected: Sequence[Said]) -> Iterator[str]:
    for number, page in enumerate(document):
        image = picture(page)
        here = list(_codes(sheet, number, expected))
        found = Counter(map(comparable, all_shown(image)))
        right = all(comparable(shown(code, image)) == comparable(must.value) for code, must in here)
        if not right or found - Counter(comparable(must.value) for _, must in here):
            yield "raster"


def _codes(sheet: Sheet, number: int, expected: Sequence[Said]) -> Iterator[tuple[Code, Said]]:
    by_field = {each.field: each for each in expected}
    for on, code in sheet.codes():
        if on == number:
            yield code, by_field[code.slot]
