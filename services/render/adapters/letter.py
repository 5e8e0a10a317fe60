"""The letter: an administrator's template, which is not trusted, laid out with its own folder's files and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Template, TemplateError, UndefinedError
from jinja2.exceptions import SecurityError
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcherResponse

from services.render.adapters.assets import (
    BASE_URL,
    EMPTY,
    SCHEME,
    Asset,
    Assets,
    Forbidden,
    font_configuration,
    house,
    template,
    watermark,
)
from services.render.adapters.sandbox import LetterTemplate, broken, check_letter, environment, line_in_page, unsafe
from services.render.model import Unprintable
from shared.creditors.letters import PAGE

PDF_VARIANT: Final = "pdf/a-3a"
KEPT: Final = 8
"""Compiled templates, each with fonts of its own."""


class Folder(Assets):
    """The template's files and ours; `asked` is what else it asked for."""

    def __init__(self, letter: LetterTemplate, logo: Asset = EMPTY) -> None:
        own = {name: asset for name, asset in letter.assets.items() if name not in house()}
        super().__init__(**own, logo=logo)
        self.asked: list[str] = []

    def fetch(self, url: str, headers: Any = None) -> URLFetcherResponse:
        """See `Assets.fetch`."""
        try:
            return super().fetch(url, headers)
        except Forbidden:
            self.asked.append(url)
            raise

    def refusal(self, letter: LetterTemplate) -> Unprintable:
        """Why what was asked for is not there. A name is told only as the template spells it: what a record's data made of
        it is nobody's business."""
        spelt = [url for url in self.asked if url in letter.page or url in letter.style]
        outside = [url for url in self.asked if not url.startswith(SCHEME)]
        if outside:
            return unsafe(letter.name, next((url for url in outside if url in spelt), ""))
        what = f"«{spelt[0]}»" if spelt else "un file"
        return Unprintable(
            "letter-asset-missing",
            f"Il modello di lettera «{letter.name}» chiede {what}, che nella sua cartella non c’è.",
        )


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template ready to be filled."""

    page: Template
    named: frozenset[str]
    fonts: FontConfiguration
    styles: tuple[CSS, ...]


class LetterPress:
    """Makes letters; keeps fonts and style sheets for the life of the process."""

    def __init__(self, html_bytes: int, pages: int) -> None:
        self._html_bytes, self._pages = html_bytes, pages
        self._known: dict[str, Compiled] = {}

    def pdf(self, letter: LetterTemplate, values: Mapping[str, str], logo: Asset | None, *, facsimile: bool) -> bytes:
        """The finished letter. Raises `Unprintable` whatever the template does, short of taking the process down."""
        assets = Folder(letter, logo or EMPTY)
        try:
            compiled = self._compiled(letter)
            _require(letter, compiled.named, values)
            page = self._html(compiled.page, values) + (str(watermark()) if facsimile else "")
            return self._pdf(letter, compiled, page, assets)
        except Unprintable:
            raise
        except (Forbidden, SecurityError) as error:
            raise (assets.refusal(letter) if assets.asked else unsafe(letter.name)) from error
        except MemoryError as error:
            raise Unprintable(
                "letter-too-large", f"La lettera «{letter.name}» produce un testo troppo grande."
            ) from error
        except Exception as error:  # whatever a template makes the libraries raise is the template's fault
            raise (assets.refusal(letter) if assets.asked else broken(letter.name, _why(error))) from error

    def _pdf(self, letter: LetterTemplate, compiled: Compiled, page: str, assets: Folder) -> bytes:
        html = HTML(string=page, url_fetcher=assets, base_url=BASE_URL)
        html.etree_element.set("lang", letter.language)
        document = html.render(
            stylesheets=compiled.styles, font_config=compiled.fonts, pdf_variant=PDF_VARIANT, pdf_tags=True
        )
        count = len(document.pages)
        if count > self._pages:
            raise Unprintable(
                "letter-too-long", f"La lettera «{letter.name}» è di {count} pagine: al massimo {self._pages}."
            )
        pdf: bytes = document.write_pdf(pdf_variant=PDF_VARIANT, pdf_tags=True)
        if assets.asked:
            raise assets.refusal(letter)
        return pdf

    def _compiled(self, letter: LetterTemplate) -> Compiled:
        known = self._known.get(letter.version)
        if known is not None:
            return known
        named = check_letter(letter)
        try:
            page = environment().from_string(letter.page)
        except (TemplateError, RecursionError, SyntaxError, MemoryError) as error:
            raise broken(letter.name, type(error).__name__) from error
        fonts, assets = font_configuration(), Folder(letter)
        try:
            styles = tuple(
                CSS(string=text, font_config=fonts, url_fetcher=assets, base_url=BASE_URL)
                for text in (template("fonts.css"), template("letter.css"), letter.style)
            )
        except Exception as error:
            raise (assets.refusal(letter) if assets.asked else broken(letter.name, "stili non validi")) from error
        if assets.asked:
            raise assets.refusal(letter)
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[letter.version] = Compiled(page, frozenset(named), fonts, styles)
        return self._known[letter.version]

    def _html(self, compiled: Template, values: Mapping[str, str]) -> str:
        pieces, size = [], 0
        for piece in compiled.generate(values):
            size += len(piece)
            if size > self._html_bytes:
                raise MemoryError
            pieces.append(piece)
        return "".join(pieces)


def _require(letter: LetterTemplate, named: frozenset[str], values: Mapping[str, str]) -> None:
    missing = [letter.variables.get(each, each) for each in sorted(named - values.keys())]
    if missing:
        which = ("la colonna " if len(missing) == 1 else "le colonne ") + ", ".join(f"«{each}»" for each in missing)
        raise Unprintable(
            "letter-variable-missing",
            f"La lettera chiede {which}, che il foglio non ha: aggiungere e caricarlo di nuovo.",
        )


def _why(error: Exception) -> str:
    line = line_in_page(error)
    what = "chiede un dato che non c’è" if isinstance(error, UndefinedError) else type(error).__name__
    return f"{PAGE}, riga {line}: {what}" if line else what
