"""The closed door: a document may load what we put in the table, under the scheme `asset:`, and nothing else."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final

from markupsafe import Markup
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from services.render.adapters.fonts import NAMES, font

SCHEME: Final = "asset:"
BASE_URL: Final = "asset:page"
SVG: Final = "image/svg+xml"
ICONS: Final = ("info.svg", "online.svg", "places.svg", "scissors.svg", "corners.svg", "euro.svg")
Asset = tuple[bytes, str]
"""Bytes and media type."""
EMPTY: Final[Asset] = (b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>', SVG)


class Forbidden(FatalURLFetchingError):  # type: ignore[misc]
    """The document asked for something that is not in the table. Fatal: a letter that tries is not printed without it."""


class Assets(URLFetcher):  # type: ignore[misc]
    """A URL fetcher over a table of names. `refused`: something else was asked for, whoever swallowed the error."""

    def __init__(self, **more: Asset) -> None:
        super().__init__(allowed_protocols=("asset",), allow_redirects=False)
        self._table = {**house(), **more}
        self.refused = False

    def fetch(self, url: str, _headers: Any = None) -> URLFetcherResponse:
        """The named bytes. Raises `Forbidden` for every other URL."""
        name = url.removeprefix(SCHEME)
        if not url.startswith(SCHEME) or name not in self._table:
            self.refused = True
            raise Forbidden("outside the table of assets")
        content, media_type = self._table[name]
        return URLFetcherResponse(url, content, {"Content-Type": media_type})

    def open(self, url: Any, _data: Any = None, _timeout: Any = None) -> URLFetcherResponse:
        """Never the inherited opener, which would go out."""
        return self.fetch(url if isinstance(url, str) else url.full_url)


def font_configuration() -> FontConfiguration:
    """One that knows the fonts of our style sheets alone: for a missing letter fontconfig takes any font of the machine's."""
    before = os.environ.get("FONTCONFIG_FILE")
    with as_file(files("services.render.adapters").joinpath("templates", "fonts.conf")) as no_fonts:
        os.environ["FONTCONFIG_FILE"] = str(no_fonts)
        try:
            return FontConfiguration()
        finally:
            del os.environ["FONTCONFIG_FILE"]
            if before is not None:
                os.environ["FONTCONFIG_FILE"] = before


@cache
def template(name: str) -> str:
    """One of our own templates."""
    return files("services.render.adapters").joinpath("templates", name).read_text("utf-8")


@cache
def watermark() -> Markup:
    """FAC-SIMILE across every page, in a style that no other style sheet overrides."""
    return Markup(template("watermark.html"))  # noqa: S704 - a constant of ours


@cache
def house() -> dict[str, Asset]:
    """What every document may use: the fonts and our icons."""
    icons = {name: (template(name).encode(), SVG) for name in ICONS}
    return {**{name: (font(name), "font/ttf") for name in NAMES}, **icons}
