"""The closed door: a document may load what we put in the table, under the scheme `asset:`, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from markupsafe import Markup
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from services.render.adapters.fonts import NAMES, font

SCHEME: Final = "asset:"
BASE_URL: Final = "asset:page"
_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "ttf": "font/ttf"}


class Forbidden(FatalURLFetchingError):
    """The document asked for something that is not in the table. Fatal: a letter that tries is not printed without it."""


class Assets(URLFetcher):  # type: ignore[misc]
    """A URL fetcher over a table of names (`logo.png`, the type by its ending)."""

    def __init__(self, table: Mapping[str, bytes]) -> None:
        super().__init__(allowed_protocols=("asset",), allow_redirects=False)
        self.table = dict(table)

    def fetch(self, url: str, headers: Any = None) -> URLFetcherResponse:
        """The named bytes. Raises `Forbidden` for every other URL."""
        name = url.removeprefix(SCHEME)
        if not url.startswith(SCHEME) or name not in self.table:
            raise Forbidden("outside the table of assets")
        return URLFetcherResponse(url, self.table[name], {"Content-Type": _TYPES[name.rpartition(".")[2]]})

    def open(self, url: Any, data: Any = None, timeout: Any = None) -> URLFetcherResponse:
        """Never the inherited opener, which would go out."""
        return self.fetch(url if isinstance(url, str) else url.full_url)


@cache
def template(name: str) -> str:
    """One of our own templates."""
    return files("services.render.adapters").joinpath("templates", name).read_text("utf-8")


@cache
def watermark() -> Markup:
    """FAC-SIMILE across every page, in a style that no other style sheet overrides."""
    return Markup(template("watermark.html"))  # noqa: S704 - a constant of ours


@cache
def house() -> dict[str, bytes]:
    """What every document may use: the fonts and our icons."""
    icons = {name: template(name).encode() for name in ("info.svg", "online.svg", "places.svg")}
    return {**{name: font(name) for name in NAMES}, **icons}
