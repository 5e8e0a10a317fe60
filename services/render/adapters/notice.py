"""The notice as a PDF: pages of absolute boxes, tagged, PDF/A-3a.

The page is written once a shape, as a template whose values are bare `{{ name }}` slots, and filled record by record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import pydyf
from jinja2 import Environment, StrictUndefined, Template
from weasyprint import CSS, HTML

from services.render.adapters.assets import BASE_URL, EMPTY, Asset, Assets, font_configuration, template, watermark
from services.render.adapters.codes import matrix_rows, operators, qr_rows
from services.render.adapters.content import Notice, Shape
from services.render.adapters.layout import lay_out
from services.render.adapters.sheet import Band, Code, Picture, Sheet, Text
from services.render.adapters.texts import Words

PDF_VARIANT: Final = "pdf/a-3a"
SHAPES: Final = 256
"""Pages kept ready; a batch has a handful of shapes."""


class NoticePress:
    """Makes notices; keeps fonts, style sheets and pages for the life of the process."""

    def __init__(
        self, words: Mapping[tuple[str, ...], Words], slip_words: dict[str, str], marks: Mapping[str, Asset]
    ) -> None:
        self._words, self._slip_words = words, slip_words
        self._marks = {f"mark-{name}": mark for name, mark in marks.items()}
        self._names = frozenset(marks)
        self._fonts = font_configuration()
        fetcher = Assets()
        self._styles = [
            CSS(string=template(name), font_config=self._fonts, url_fetcher=fetcher, base_url=BASE_URL)
            for name in ("fonts.css", "notice.css")
        ]
        self._environment = Environment(autoescape=True, undefined=StrictUndefined)
        self._writer = self._environment.from_string(template("notice.html.j2"))
        self._page = lru_cache(SHAPES)(self._compiled)

    def sheet(self, shape: Shape) -> Sheet:
        """Where everything stands in a notice of this shape."""
        return self._page(shape)[0]

    def source(self, shape: Shape) -> str:
        """The page of a shape, its values bare slots."""
        return self._writer.render(
            sheet=lay_out(shape, self._words[shape.languages], self._slip_words, self._names),
            words=self._words[shape.languages],
            kind=_kind,
        )

    def pdf(self, notice: Notice, logo: Asset | None, *, facsimile: bool) -> bytes:
        """The finished pages."""
        sheet, page = self._page(notice.shape)
        html = page.render(notice.values, watermark=watermark() if facsimile else "")
        assets = Assets(empty=EMPTY, logo=logo or EMPTY, **self._marks)
        document = HTML(string=html, url_fetcher=assets, base_url=BASE_URL)
        pdf: bytes = document.write_pdf(
            finisher=_drawing(sheet, notice.codes),
            stylesheets=self._styles,
            font_config=self._fonts,
            pdf_variant=PDF_VARIANT,
            pdf_tags=True,
        )
        return pdf

    def _compiled(self, shape: Shape) -> tuple[Sheet, Template]:
        sheet = lay_out(shape, self._words[shape.languages], self._slip_words, self._names)
        return sheet, self._environment.from_string(self.source(shape))


def _kind(box: object) -> str:
    """What the template writes for a box."""
    return {Text: "text", Code: "code", Picture: "picture", Band: "band"}[type(box)]


def _drawing(sheet: Sheet, payloads: Mapping[str, str]) -> Callable[[Any, pydyf.PDF], None]:
    """A finisher that draws on the pages what would take WeasyPrint a seventh of its time to read as an SVG path."""

    def draw(_document: Any, pdf: pydyf.PDF) -> None:
        for number, code in sheet.codes():
            rows = (qr_rows if code.kind == "qr" else matrix_rows)(payloads[code.slot])
            stream = pydyf.Stream([operators(rows, (code.left, code.top, code.side))], compress=True)
            pdf.add_object(stream)
            page = pdf.objects[pdf.pages["Kids"][3 * number]]
            contents = page["Contents"]
            before = contents if isinstance(contents, list) else [contents]
            page["Contents"] = pydyf.Array([stream.reference, *before])

    return draw
