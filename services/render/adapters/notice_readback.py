"""What a finished notice says, field by field where the layout put it, read with libraries that took no part in making it.

pdfium reads text and draws, zxing reads the codes. What must be said is worked out from the record anew, not taken from the
values that were printed. A difference is a bug of ours: the document is not given out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pypdfium2
import zxingcpp

from services.render.adapters.readback import Misread, plain
from services.render.adapters.sheet import Region, Sheet
from services.render.model import FACSIMILE, SPECIMEN, UNKNOWN_CODE, day
from shared.contracts.record import Record
from shared.creditors import Creditor
from shared.italian import euros
from shared.printing import POINTS_PER_MM, address_lines

DOTS_PER_INCH: Final = 150
MANY: Final = 9
"""From so many instalments on the full amount has no place."""
_FIELDS: Final = ("subject", "creditor", "creditor_tax_code", "name", "fiscal_code", "sum")
_EACH: Final = ("notice_code", "figures", "qr")


def read_notice(pdf: bytes, sheet: Sheet, record: Record, creditor: Creditor, *, facsimile: bool) -> None:
    """Raises `Misread` unless the pages say what the record says, wherever `sheet` has a place for it."""
    said = dict(_said(record, creditor))
    document = pypdfium2.PdfDocument(pdf)
    try:
        if len(document) != len(sheet.pages):
            raise Misread("pages")
        texts = [page.get_textpage() for page in document]
        for field, value in said.items():
            places = list(sheet.regions(field))
            if not places and _needed(field):
                raise Misread(_named(field))
            for number, region in places:
                _compare(field, value, document[number], texts[number], region)
        if facsimile and not all(plain(FACSIMILE) in plain(text.get_text_range()) for text in texts):
            raise Misread("facsimile")
    finally:
        document.close()


def _said(record: Record, creditor: Creditor) -> Iterator[tuple[str, str]]:
    """What each field must say."""
    debtor, payment, position = record.debtor, record.payment, record.position
    assert position is not None
    english = creditor.languages_of(payment.payment_type)[0] == "en"
    yield "subject", payment.reason
    yield "creditor_tax_code", creditor.tax_code
    yield "fiscal_code", debtor.fiscal_code
    yield "address", "".join(address_lines(debtor.address))
    yield "cbill", creditor.cbill or ""
    yield "sum", _money(payment.amount_cents, english=english)
    for where in ("", "data_", "half_", "third_", "slip_"):
        yield f"{where}name", debtor.name
        yield f"{where}creditor", creditor.name
        yield f"{where}subject", payment.reason
    if postal := creditor.postal_for(payment.payment_type):
        yield "account", postal.account
        yield "slip_holder", postal.holder
    dues = [("", position.notice_code, payment.amount_cents, payment.due_date)]
    if not payment.in_full or len(payment.instalments) >= MANY:
        dues = []
    for each, code in zip(payment.instalments, position.instalments, strict=True):
        dues.append((f"i{each.number}_", code.notice_code, each.amount_cents, each.due_date))
    for prefix, code_of, cents, due in dues:
        yield f"{prefix}notice_code", code_of
        yield f"{prefix}figures", _money(cents, english=english)
        yield f"{prefix}slip_figures", euros(cents)
        yield f"{prefix}due_date", day(due)
        unknown = SPECIMEN if code_of == UNKNOWN_CODE else ""
        yield f"{prefix}qr", unknown or f"PAGOPA|002|{code_of}|{creditor.tax_code}|{cents:0>2}"
        yield f"{prefix}matrix", unknown or f"{code_of}{cents:010}{creditor.tax_code}{debtor.fiscal_code:16}"


def _money(cents: int, *, english: bool) -> str:
    return f"{cents // 100:,}.{cents % 100:02}" if english else euros(cents)


def _needed(field: str) -> bool:
    return field in _FIELDS or (field.endswith(_EACH) and "slip" not in field)


def _named(field: str) -> str:
    return re.sub(r"^i\d+_|^(data|half|third|slip)_", "", field).replace("_", "-")


def _compare(field: str, value: str, page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage, region: Region) -> None:
    if field.endswith(("qr", "matrix")):
        if _code(page, region, matrix=field.endswith("matrix")) != value:
            raise Misread(_named(field))
        return
    left, top, right, bottom = (edge * POINTS_PER_MM for edge in region)
    height = page.get_height()
    said = plain(text.get_text_bounded(left - 1, height - bottom - 0.5, right + 1, height - top + 0.5))
    # 185,05 holds 85,05: an amount must also begin where it begins
    if not re.search(("(?<![0-9.,])" if field.endswith(("figures", "sum")) else "") + re.escape(plain(value)), said):
        raise Misread(_named(field))


def _code(page: pypdfium2.PdfPage, region: Region, *, matrix: bool) -> str:
    """What the code in the region says, of a Data Matrix what the record has a say in; only the region is drawn, which takes a
    tenth of the time of a page."""
    width, height = page.get_size()
    left, top, right, bottom = (edge * POINTS_PER_MM for edge in region)
    crop = (left, height - bottom, width - right, top)
    image = page.render(scale=DOTS_PER_INCH / 72, crop=crop, grayscale=True).to_pil()
    formats = zxingcpp.barcode_formats_from_str("DataMatrix" if matrix else "QRCode")
    found = zxingcpp.read_barcodes(image, formats=formats)
    if len(found) != 1:
        return ""
    said = str(found[0].text)
    return said[15:33] + said[49:59] + said[66:93] if matrix and said != SPECIMEN else said
