"""What the finished documents say, read with libraries that took no part in making them, against the record.

pdfium reads text and draws, zxing reads the code. A difference is a bug of ours: the document is not given out.
"""

from __future__ import annotations

import unicodedata

import pypdfium2

from services.render.adapters.sheet import Region
from services.render.model import FACSIMILE, Unprintable
from shared.contracts.record import Record
from shared.creditors.letters import Stamp
from shared.printing import POINTS_PER_MM


class Misread(Exception):
    """A document says something else. `code` starts with `read-back-`; no value is told."""

    def __init__(self, what: str) -> None:
        super().__init__(f"read-back-{what}")
        self.code = f"read-back-{what}"


def read_letter(pdf: bytes, record: Record, stamp: Stamp | None = None, *, facsimile: bool) -> None:
    """Raises `Misread` unless the letter names its recipient, shows no markup, and says FAC-SIMILE where it must;
    `Unprintable` where it prints into the place of the stamp."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        pages = [page.get_textpage().get_text_range() for page in document]
        covered = plain(_said(document[0], document[0].get_textpage(), _region(stamp))) if stamp else ""
    finally:
        document.close()
    if covered.strip(plain(FACSIMILE) if facsimile else ""):
        raise Unprintable(
            "letter-stamp-covered",
            "La lettera scrive dove il suo modello vuole lo spazio per il timbro: va corretto da chi gestisce il modello.",
        )
    if plain(record.debtor.name) not in plain("".join(pages)):
        raise Misread("letter-name")
    given = " ".join((*record.columns.values(), record.debtor.name, record.payment.reason))
    if any(sign in text and sign not in given for sign in ("{{", "}}", "{%", "</") for text in pages):
        raise Misread("letter-markup")
    if facsimile and not all(plain(FACSIMILE) in plain(text) for text in pages):
        raise Misread("letter-facsimile")


def _region(stamp: Stamp) -> Region:
    return stamp.left, stamp.top, stamp.left + stamp.width, stamp.top + stamp.height


def _said(page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage, region: Region) -> str:
    left, top, right, bottom = region
    height = page.get_height()
    edges = (left * POINTS_PER_MM, height - bottom * POINTS_PER_MM, right * POINTS_PER_MM, height - top * POINTS_PER_MM)
    said: str = text.get_text_bounded(*edges)
    return said


def plain(text: str) -> str:
    """Letters, figures and what parts figures: blanks and hyphens come and go where lines end, case with styles."""
    return "".join(char for char in unicodedata.normalize("NFC", text).casefold() if char.isalnum() or char in ",./")
