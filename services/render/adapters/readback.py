"""What the finished documents say, read with libraries that took no part in making them, against the record.

pdfium reads text and draws, zxing reads the code. A difference is a bug of ours: the document is not given out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

import pypdfium2
import zxingcpp

from services.render.model import FACSIMILE, day, euros
from shared.contracts.record import Record
from shared.creditors import Creditor
from shared.printing import POINTS_PER_MM, address_lines

DOTS_PER_INCH: Final = 150
QUIET_MM: Final = 2.0


class Misread(Exception):
    """A document says something else. `code` starts with `read-back-`; no value is told."""

    def __init__(self, what: str) -> None:
        super().__init__(f"read-back-{what}")
        self.code = f"read-back-{what}"


def read_notice(
    pdf: bytes, record: Record, creditor: Creditor, qr_box: tuple[float, float, float], *, facsimile: bool
) -> None:
    """Raises `Misread` unless the page says what the record says. `qr_box`: left, top and side, in mm."""
    assert record.position is not None
    code, cents = record.position.notice_code, record.payment.amount_cents
    document = pypdfium2.PdfDocument(pdf)
    try:
        if len(document) != 1:
            raise Misread("pages")
        page = document[0]
        if _codes(page, qr_box) != [f"PAGOPA|002|{code}|{creditor.tax_code}|{cents:0>2}"]:
            raise Misread("qr")
        said = _plain(page.get_textpage().get_text_range())
    finally:
        document.close()
    _compare(said, facsimile, (
        ("notice-code", code), ("amount", euros(cents)), ("due-date", day(record.payment.due_date)),
        ("name", record.debtor.name), ("fiscal-code", record.debtor.fiscal_code), ("reason", record.payment.reason),
        ("creditor", creditor.name), ("creditor-tax-code", creditor.tax_code), ("cbill", creditor.cbill or ""),
        *(("address", line) for line in address_lines(record.debtor.address)),
    ))  # fmt: skip


def read_letter(pdf: bytes, record: Record, *, facsimile: bool) -> None:
    """Raises `Misread` unless the letter names its recipient, shows no markup, and says FAC-SIMILE where it must."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        pages = [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()
    _compare(_plain("".join(pages)), False, (("letter-name", record.debtor.name),))
    given = " ".join((*record.columns.values(), record.debtor.name, record.payment.reason))
    if any(sign in text and sign not in given for sign in ("{{", "}}", "{%", "</") for text in pages):
        raise Misread("letter-markup")
    if facsimile and not all(_plain(FACSIMILE) in _plain(text) for text in pages):
        raise Misread("letter-facsimile")


def _compare(said: str, facsimile: bool, expected: Iterable[tuple[str, str]]) -> None:
    for what, value in expected:
        if _plain(value) not in said:
            raise Misread(what)
    if facsimile and _plain(FACSIMILE) not in said:
        raise Misread("facsimile")


def _plain(text: str) -> str:
    """Letters, figures and what parts figures: blanks and hyphens come and go where lines end, case with styles."""
    return "".join(char for char in unicodedata.normalize("NFC", text).casefold() if char.isalnum() or char in ",./")


def _codes(page: pypdfium2.PdfPage, box: tuple[float, float, float]) -> list[str]:
    """What the codes in the box say; only the box is drawn, which takes a tenth of the time of a page."""
    left, top, side = box
    width, height = page.get_size()
    edges = (left - QUIET_MM, 0.0, 0.0, top - QUIET_MM)
    right, bottom = (left + side + QUIET_MM) * POINTS_PER_MM, (top + side + QUIET_MM) * POINTS_PER_MM
    crop = (edges[0] * POINTS_PER_MM, height - bottom, width - right, edges[3] * POINTS_PER_MM)
    image = page.render(scale=DOTS_PER_INCH / 72, crop=crop, grayscale=True).to_pil()
    return [found.text for found in zxingcpp.read_barcodes(image, formats=zxingcpp.barcode_formats_from_str("QRCode"))]
