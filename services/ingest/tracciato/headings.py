"""The columns of the tracciato, and how a sheet's headings are matched to them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.ingest.tracciato.problems import StructureError

NAME: Final = "Intestazione"
FISCAL_CODE: Final = "CodiceFiscale"
VAT_CODE: Final = "PartitaIva"
AMOUNT: Final = "Importo"
SUBJECT: Final = "OggettoProt"
REASON: Final = "CausaleBollettino"
ADDRESS: Final = "IndirizzoPec"
STREET: Final = "Indirizzo"
NUMBER: Final = "Civico"
POSTAL_CODE: Final = "Cap"
CITY: Final = "Comune"
PROVINCE: Final = "Provincia"
CHANNEL: Final = "TipoSpedizione"

MAIN: Final = (NAME, FISCAL_CODE, VAT_CODE, AMOUNT, SUBJECT, REASON, ADDRESS)
OPTIONAL: Final = (STREET, NUMBER, POSTAL_CODE, CITY, PROVINCE, CHANNEL)
STANDARD: Final = MAIN + OPTIONAL

HIDDEN_CHARACTERS: Final = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
"""Soft hyphen, zero width, byte order mark: nobody types them, they come with what is copied from elsewhere."""


@lru_cache(maxsize=1024)
def key(heading: str) -> str:
    """What two headings have in common that a clerk takes for the same: without case, blanks, hyphens, underscores, accents."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", heading) if not unicodedata.combining(char))
    return re.sub(r"[\s_\-\u2010-\u2015]", "", HIDDEN_CHARACTERS.sub("", bare)).casefold()


STANDARD_KEYS: Final = frozenset(map(key, STANDARD))


@dataclass(frozen=True, slots=True)
class Headings:
    """Where each column stands. `names` are the user's own headings by column number, made unique."""

    row: int
    names: Mapping[int, str]
    columns: Mapping[str, int]
    """By the name in this module, or of the letter's column."""
    ignored: tuple[str, ...]

    @property
    def last(self) -> int:
        """The last column with a heading."""
        return max(self.names)

    def own(self, column: str) -> str:
        """The user's own heading of a column, or its standard name where the sheet has none."""
        number = self.columns.get(column)
        return column if number is None else self.names[number]


def _unique(texts: Mapping[int, str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for column, text in texts.items():
        name, again = text, 2
        while name in names.values():
            name, again = f"{text} ({again})", again + 1
        names[column] = name
    return names


def match(row: int, texts: Mapping[int, str], required: Iterable[str], extra: Iterable[str], sheet: str) -> Headings:
    """The headings of a row: `required` columns must be there; `extra` are the letter's.

    Raises `StructureError` for a column that is missing or doubled.
    """
    places: dict[str, list[int]] = {}
    for column, text in texts.items():
        places.setdefault(key(text), []).append(column)
    wanted = {name: places.get(key(name), []) for name in (*STANDARD, *extra)}
    for name, found in wanted.items():
        if len(found) > 1:
            raise StructureError("column-doubled", sheet=sheet, column=name)
    if not wanted[FISCAL_CODE] and not wanted[VAT_CODE]:
        raise StructureError("column-missing", sheet=sheet, column=f"{FISCAL_CODE} (oppure {VAT_CODE})")
    for name in (*required, *extra):
        if not wanted[name]:
            raise StructureError("column-missing", sheet=sheet, column=name)
    columns = {name: found[0] for name, found in wanted.items() if found}
    names = _unique(texts)
    used = set(columns.values())
    return Headings(row, names, columns, tuple(name for column, name in names.items() if column not in used))
