"""The wording of the notice: a JSON file per language, in the format of the guide's string files.

A municipality drops the official `it.json` into the folder of `STAFFETTA_NOTICE_TEXTS`; without it the wording is ours.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

USED: Final = (
    "avviso.intestazione.titolo",
    "avviso.infoEnteCreditore.titolo",
    "avviso.infoDestinatario.titolo",
    "avviso.importoScadenza.titolo",
    "avviso.importoScadenza.euro",
    "avviso.importoScadenza.importo.importo",
    "avviso.importoScadenza.scadenza.scadenza",
    "avviso.importoScadenza.disclaimer.legal",
    "avviso.dovePagare.titolo",
    "avviso.dovePagare.cta",
    "avviso.dovePagare.italia.online.titolo",
    "avviso.dovePagare.italia.online.descrizione.noEnte",
    "avviso.dovePagare.italia.territorio.titolo",
    "avviso.dovePagare.italia.territorio.descrizione",
    "avviso.datiPagamento.titolo",
    "avviso.datiPagamento.destinatario",
    "avviso.datiPagamento.enteCreditore",
    "avviso.datiPagamento.oggettoDelPagamento",
    "avviso.datiPagamento.rataUnica",
    "avviso.datiPagamento.scadenza",
    "avviso.datiPagamento.istruzioni.qrCode.rataUnica",
    "avviso.datiPagamento.avviso.breve",
    "avviso.datiPagamento.cbill.breve",
    "avviso.datiPagamento.codiceFiscaleEnte.breve",
)
PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\[[A-Za-z.]+\]")


class TextsWrong(ValueError):
    """The file cannot serve; the message names it and the key."""


def load_texts(folder: Path | None, lang: str = "it") -> dict[str, Any]:
    """The strings of a language, every one that the notice uses checked. Raises `TextsWrong`."""
    name = f"{lang}.json"
    try:
        raw = (folder / name if folder else files("services.render").joinpath("texts", name)).read_text("utf-8")
        texts: dict[str, Any] = json.loads(raw)
    except (OSError, ValueError) as error:
        raise TextsWrong(f"{name}: {error}") from error
    for key in USED:
        value: Any = texts
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not isinstance(value, str) or not value.strip():
            raise TextsWrong(f"{name}: {key} is missing")
        if PLACEHOLDER.search(value):
            raise TextsWrong(f"{name}: {key} has a placeholder that the notice does not fill")
    return texts
