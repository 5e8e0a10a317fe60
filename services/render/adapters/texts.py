"""The wording of the notice: a JSON file per language, in the format and by the keys of the guide's string files.

A municipality drops the official files into the folder of `STAFFETTA_NOTICE_TEXTS`; without it the wording is ours. What the
guide has no string for (the postal slip, alternative texts) stands in our files under `staffetta`, and always comes from them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

_PAYMENT: Final = "avviso.datiPagamento."
_WHERE: Final = "avviso.dovePagare."
_HOW_MUCH: Final = "avviso.importoScadenza."
USED: Final = (
    "avviso.intestazione.titolo",
    "avviso.infoEnteCreditore.titolo",
    "avviso.infoDestinatario.titolo",
    *(
        _HOW_MUCH + key
        for key in (
            "titolo", "euro", "importo.importo", "scadenza.scadenza", "disclaimer.legal", "disclaimer.rate.rate",
            "disclaimer.rate.soloRate", "disclaimer.rate.molteRate",
        )
    ),
    _WHERE + "titolo",
    _WHERE + "cta",
    *(
        _PAYMENT + key
        for key in (
            "titolo", "destinatario", "enteCreditore", "oggettoDelPagamento", "rataUnica", "scadenza", "numRata",
            "istruzioni.qrCode.rataUnica", "istruzioni.qrCode.rate", "avviso.breve", "avviso.esteso", "cbill.breve",
            "cbill.esteso", "codiceFiscaleEnte.breve", "codiceFiscaleEnte.esteso",
        )
    ),
)  # fmt: skip
"""Every key that each language needs; besides, `PLACES` of one of the two kinds."""
PLACES: Final = ("online.titolo", "online.descrizione.noEnte", "territorio.titolo", "territorio.descrizione")
NUMBER: Final = re.compile(r"\{\{\s*Numero\s*\}\}|\[n\]|\[avviso\.rate\.totali\]")
"""How the official files write the number of an instalment, or of all: not all in the same way."""
PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\[[A-Za-z.]+\]")
OURS: Final = "staffetta."


class TextsWrong(ValueError):
    """The file cannot serve; the message names it and the key."""


@dataclass(frozen=True, slots=True)
class Words:
    """The wording of a notice in its language, or in its two. Built by `load_words`, which checks it."""

    languages: tuple[str, ...]
    texts: tuple[dict[str, str], ...]
    """By key, one table a language."""

    def said(self, key: str, number: int | None = None) -> tuple[str, ...]:
        """What stands under `key`, in each language."""
        return tuple(NUMBER.sub(str(number), texts[key]) for texts in self.texts)

    def place(self, key: str) -> tuple[str, ...]:
        """The same for one of `PLACES`: whoever gets a notice in another language alone may not live in Italy (guide,
        *avviso in altra lingua*)."""
        return self.said(f"{_WHERE}{'italia' if self.languages[0] == 'it' else 'estero'}.{key}")

    def ours(self, key: str) -> str:
        """A text of our own, in the first language."""
        return self.texts[0][OURS + key]


def load_words(folder: Path | None, languages: tuple[str, ...]) -> Words:
    """The wording of `languages`, every string that the notice uses checked. Raises `TextsWrong`."""
    place = "italia." if languages[0] == "it" else "estero."
    needed = (*USED, *(_WHERE + place + key for key in PLACES))
    return Words(languages, tuple(_load(folder, language, needed) for language in languages))


def load_slip_words() -> dict[str, str]:
    """The texts of the postal slip, which is Italian whatever the notice is."""
    prefix = OURS + "bollettino."
    return {key.removeprefix(prefix): text for key, text in _read(None, "it").items() if key.startswith(prefix)}


def _load(folder: Path | None, language: str, needed: tuple[str, ...]) -> dict[str, str]:
    ours, name = _read(None, language), f"{language}.json"
    given = _read(folder, language) if folder else ours
    texts = {key: text for key, text in ours.items() if key.startswith(OURS)}
    for key in needed:
        text = given.get(key, "").strip() or given.get(_brief(key), "").strip()
        if not text:
            raise TextsWrong(f"{name}: {key} is missing: no notice can be printed in this language")
        if PLACEHOLDER.search(NUMBER.sub("", text)) or (NUMBER.search(text) and not _numbered(key)):
            raise TextsWrong(f"{name}: {key} has a placeholder that the notice does not fill")
        texts[key] = text
    return texts


def _brief(key: str) -> str:
    return key.removesuffix("esteso") + "breve" if key.endswith(".esteso") else key


def _numbered(key: str) -> bool:
    return key.endswith((".numRata", ".rate.rate", ".rate.soloRate"))


def _read(folder: Path | None, language: str) -> dict[str, str]:
    name = f"{language}.json"
    try:
        raw = (folder / name if folder else files("services.render").joinpath("texts", name)).read_text("utf-8")
        return dict(_flat(json.loads(raw)))
    except (OSError, ValueError) as error:
        raise TextsWrong(f"{name}: {error}") from error


def _flat(tree: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, dict):
        return [pair for key, node in tree.items() for pair in _flat(node, f"{path}.{key}" if path else key)]
    return [(path, tree)] if isinstance(tree, str) else []
