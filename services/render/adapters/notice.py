"""The notice as a PDF: one A4 page of absolute boxes, tagged, PDF/A-3a."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydyf
from jinja2 import Environment, StrictUndefined
from weasyprint import CSS, HTML

from services.render.adapters.assets import BASE_URL, EMPTY, Asset, Assets, font_configuration, template, watermark
from services.render.adapters.codes import operators, qr_rows
from services.render.model import Notice
from shared.italian import in_fours
from shared.printing import POINTS_PER_MM, Fitted

PDF_VARIANT = "pdf/a-3a"
QR_BOX_MM = (10.0, 154.0, 25.0)
"""Left, top and side of the QR code (notice.css); the read-back looks there."""
_DATA_TOP, _LABEL, _GAP, _CODES_TOP = 153.3, 10 / POINTS_PER_MM, 2.0, 181.6


class NoticePress:
    """Makes notices; keeps fonts and style sheets for the life of the process."""

    def __init__(self, texts: dict[str, Any], lang: str = "it") -> None:
        self._texts, self._lang = texts, lang
        self._fonts = font_configuration()
        fetcher = Assets()
        self._styles = [
            CSS(string=template(name), font_config=self._fonts, url_fetcher=fetcher, base_url=BASE_URL)
            for name in ("fonts.css", "notice.css")
        ]
        environment = Environment(autoescape=True, undefined=StrictUndefined)
        self._page = environment.from_string(template("notice.html.j2"))

    def pdf(self, notice: Notice, logo: Asset | None, *, facsimile: bool) -> bytes:
        """The finished page."""
        page = self._page.render(
            notice=notice,
            texts=self._texts,
            lang=self._lang,
            cta=self._texts["avviso"]["dovePagare"]["cta"],
            logo=logo is not None,
            in_fours=in_fours(notice.notice_code),
            codes_top=_codes_top(notice),
            watermark=watermark() if facsimile else "",
        )
        assets = Assets(empty=EMPTY, logo=logo or EMPTY)
        document = HTML(string=page, url_fetcher=assets, base_url=BASE_URL)
        pdf: bytes = document.write_pdf(
            finisher=_drawing(operators(qr_rows(notice.qr), QR_BOX_MM)),
            stylesheets=self._styles,
            font_config=self._fonts,
            pdf_variant=PDF_VARIANT,
            pdf_tags=True,
        )
        return pdf


def _drawing(operators: bytes) -> Callable[[Any, pydyf.PDF], None]:
    """A finisher that draws on the page what would take WeasyPrint a seventh of its time to read as an SVG path."""

    def draw(_document: Any, pdf: pydyf.PDF) -> None:
        stream = pydyf.Stream([operators], compress=True)
        pdf.add_object(stream)
        page = pdf.objects[pdf.pages["Kids"][0]]
        page["Contents"] = pydyf.Array([stream.reference, page["Contents"]])

    return draw


def _codes_top(notice: Notice) -> float:
    """Where the row of codes stands, in mm: beside the text under the QR code, lower where the data above are long."""
    blocks = (notice.data_name, notice.data_creditor, notice.data_subject)
    below = _DATA_TOP + sum(_LABEL + _height(block) for block in blocks) + _GAP * (len(blocks) + 1)
    return round(max(_CODES_TOP, below), 2)


def _height(block: Fitted) -> float:
    return len(block.lines) * block.size * 1.25 / POINTS_PER_MM
