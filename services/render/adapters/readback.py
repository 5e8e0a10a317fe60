"""What the finished documents say, read with libraries that took no part in making them, against the record.

pdfium reads text and draws, zxing reads the code. A difference is a bug of ours: the document is not given out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import pypdfium2
import zxingcpp

from services.render.model import FACSIMILE, SPECIMEN, UNKNOWN_CODE, Unprintable, day
from shared.contracts.record import Record
from shared.creditors import Creditor
from shared.creditors.letters import Stamp
from shared.italian import euros
from shared.printing import POINTS_PER_MM, address_lines

DOTS_PER_INCH: Final = 150
QUIET_MM: Final = 2.0
Region = tuple[float, float, float, float]
"""Left, top, right and bottom in mm from the page's upper left corner."""
HEADER: Final[Region] = (8, 17, 168, 44)
LEFT: Final[Region] = (8, 44, 105, 90)
RIGHT: Final[Region] = (105, 44, 205, 90)
HOW_MUCH: Final[Region] = (8, 98, 105, 117)
DATA: Final[Region] = (55, 141, 205, 225)


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
    code = record.position.notice_code
    expected = f"PAGOPA|002|{code}|{creditor.tax_code}|{record.payment.amount_cents:0>2}"
    if code == UNKNOWN_CODE:
        expected = SPECIMEN
    document = pypdfium2.PdfDocument(pdf)
    try:
        if len(document) != 1:
            raise Misread("pages")
        page = document[0]
        if _codes(page, qr_box) != [expected]:
            raise Misread("qr")
        _regions(page, _expected(record, creditor))
        if facsimile and _plain(FACSIMILE) not in _plain(page.get_textpage().get_text_range()):
            raise Misread("facsimile")
    finally:
        document.close()


def _expected(record: Record, creditor: Creditor) -> dict[Region, list[tuple[str, str]]]:
    """What each region of the page must say. A region, because a short reason is found somewhere on any page."""
    assert record.position is not None
    debtor, payment = record.debtor, record.payment
    figures, due, reason = euros(payment.amount_cents), day(payment.due_date), payment.reason
    return {
        HEADER: [("reason", reason)],
        LEFT: [("creditor", creditor.name), ("creditor-tax-code", creditor.tax_code)],
        RIGHT: [
            ("name", debtor.name),
            ("fiscal-code", debtor.fiscal_code),
            *(("address", line) for line in address_lines(debtor.address)),
        ],
        HOW_MUCH: [("amount", figures), ("due-date", due)],
        DATA: [
            ("due-date", due), ("amount", figures), ("name", debtor.name), ("creditor", creditor.name), ("reason", reason),
            ("notice-code", record.position.notice_code), ("cbill", creditor.cbill or ""),
            ("creditor-tax-code", creditor.tax_code),
        ],
    }  # fmt: skip


def _regions(page: pypdfium2.PdfPage, expected: dict[Region, list[tuple[str, str]]]) -> None:
    text = page.get_textpage()
    for region, values in expected.items():
        said = _plain(_said(page, text, region))
        for what, value in values:
            # 185,05 holds 85,05: an amount must also begin where it begins
            if not re.search(("(?<![0-9.,])" if what == "amount" else "") + re.escape(_plain(value)), said):
                raise Misread(what)


def read_letter(pdf: bytes, record: Record, stamp: Stamp | None = None, *, facsimile: bool) -> None:
    """Raises `Misread` unless the letter names its recipient, shows no markup, and says FAC-SIMILE where it must;
    `Unprintable` where it prints into the place of the stamp."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        pages = [page.get_textpage().get_text_range() for page in document]
        covered = _plain(_said(document[0], document[0].get_textpage(), _region(stamp))) if stamp else ""
    finally:
        document.close()
    if covered.strip(_plain(FACSIMILE) if facsimile else ""):
        raise Unprintable(
            "letter-stamp-covered",
            "La lettera scrive dove il suo modello vuole lo spazio per il timbro: va corretto da chi gestisce il modello.",
        )
    if _plain(record.debtor.name) not in _plain("".join(pages)):
        raise Misread("letter-name")
    given = " ".join((*record.columns.values(), record.debtor.name, record.payment.reason))
    if any(sign in text and sign not in given for sign in ("{{", "}}", "{%", "</") for text in pages):
        raise Misread("letter-markup")
    if facsimile and not all(_plain(FACSIMILE) in _plain(text) for text in pages):
        raise Misread("letter-facsimile")


def _region(stamp: Stamp) -> Region:
    return stamp.left, stamp.top, stamp.left + stamp.width, stamp.top + stamp.height


def _said(page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage, region: Region) -> str:
    left, top, right, bottom = region
    height = page.get_height()
    edges = (left * POINTS_PER_MM, height - bottom * POINTS_PER_MM, right * POINTS_PER_MM, height - top * POINTS_PER_MM)
    said: str = text.get_text_bounded(*edges)
    return said


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
