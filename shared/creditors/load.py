"""Reads the file (`STAFFETTA_CREDITORS`) and refuses a wrong one, telling every mistake with its key path."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.creditors import models
from shared.creditors.checks import Mistake, Place, SecretOf, mistakes
from shared.creditors.models import Creditors

VARIABLE = "STAFFETTA_CREDITORS"
# In a checkout and in an installation alike, `deploy` lies next to `shared`.
REHEARSAL_FILE = Path(__file__).resolve().parents[2] / "deploy" / "examples" / "creditors.toml"
EVERY_SECRET: frozenset[SecretOf] = frozenset({"pagopa", "mailboxes"})

SENTENCES = {
    "missing": "manca: è obbligatorio",
    "string_type": "deve essere un testo fra virgolette",
    "string_too_long": "ammette al massimo {max_length} caratteri",
    "string_too_short": "non può essere vuoto",
    "too_short": "non può essere vuoto",
    "int_type": "deve essere un numero intero",
    "int_parsing": "deve essere un numero intero",
    "int_from_float": "deve essere un numero intero",
    "bool_type": "deve essere true oppure false",
    "greater_than_equal": "deve essere almeno {ge}",
    "less_than_equal": "può essere al massimo {le}",
    "literal_error": "valori ammessi: {expected}",
    "enum": "valori ammessi: {expected}",
    "dict_type": "deve essere una tabella",
    "model_type": "deve essere una tabella",
    "list_type": "deve essere un elenco fra parentesi quadre",
    "path_type": "deve essere un percorso fra virgolette",
}
PATTERNS = {
    "taxonomy": "deve avere la forma 9/0107102SP/, barra finale compresa (tassonomia pagoPA)",
    "iban": "deve essere un IBAN italiano di 27 caratteri, senza spazi; quello di [postal] è di un conto di Poste (07601)",
    "tax_code": "deve avere 11 cifre",
    "segregation_code": "deve avere 2 cifre, fra virgolette",
    "ipa_code": "deve essere il codice IPA: da 2 a 20 lettere, cifre, _ o -",
    "aoo_code": "deve essere il codice dell'AOO: da 1 a 32 lettere, cifre, _, . o -",
    "code": "deve essere il codice del registro: da 1 a 16 lettere, cifre, _ o -",
    "cbill": "deve avere 5 lettere maiuscole o cifre",
    "address": "deve essere un indirizzo di posta",
    "base_url": "deve essere un indirizzo http(s):// senza credenziali né parametri",
    "host": "deve essere il nome o l'indirizzo di un server",
    "key": "deve essere un riferimento env:NOME o file:/percorso, mai il segreto stesso",
    "password": "deve essere un riferimento env:NOME o file:/percorso, mai il segreto stesso",
    "[key]": "il nome ammette da 1 a 40 fra lettere minuscole, cifre, _ e -",
}
DATES = "deve essere una data AAAA-MM-GG senza virgolette"


class CreditorsError(Exception):
    """The file cannot be used. `mistakes` are (key path as written in the TOML, Italian sentence); no values, for any
    of them may be a secret that was put in the wrong place."""

    def __init__(self, path: Path, found: list[tuple[str, str]]) -> None:
        self.path = path
        self.mistakes = found
        lines = [f"  {key}: {sentence}" if key else f"  {sentence}" for key, sentence in found]
        super().__init__("\n".join([f"Il file degli enti {path} non va bene:", *lines]))


def load_creditors(path: Path | None = None, *, secrets: Collection[SecretOf] = EVERY_SECRET) -> Creditors:
    """The creditors of `path`; of `STAFFETTA_CREDITORS` where it is `None`; of the rehearsal file without either.

    Relative paths in the file count from its folder, and come back absolute. `secrets` are those that must be there:
    all of them in one process, its own for a service that runs alone.

    Raises `CreditorsError`: first with every mistake of form, then with every contradiction.
    """
    if path is None:
        path = Path(os.environ.get(VARIABLE) or REHEARSAL_FILE)
    path = path.absolute()
    try:
        file = Creditors.model_validate(_read(path), context=path.parent)
    except ValidationError as invalid:
        details = invalid.errors(include_url=False, include_input=False)
        raise CreditorsError(path, [_spelt(_mistake(detail)) for detail in details]) from None
    found = [_spelt(mistake) for mistake in mistakes(file, secrets)]
    if found:
        raise CreditorsError(path, found)
    return file


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise CreditorsError(path, [("", f"non c'è o non si può leggere: controllare {VARIABLE}")]) from None
    except UnicodeDecodeError:
        raise CreditorsError(path, [("", "non è scritto in UTF-8: salvarlo di nuovo con quella codifica")]) from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+), column (\d+)", str(error))
        place = f"riga {where[1]}, colonna {where[2]}" if where else "fine del file"
        raise CreditorsError(path, [("", f"non è un TOML leggibile: {place}")]) from None


def _mistake(detail: Any) -> Mistake:
    place: Place = detail["loc"]
    kind: str = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    name = str(place[-1]) if place else ""
    if kind == "extra_forbidden":
        return place, "chiave sconosciuta" + _perhaps(name)
    if kind == "value_error":
        return place, str(context["error"])
    if kind == "string_pattern_mismatch":
        return place, PATTERNS.get(name, "non può contenere a capo né caratteri di controllo")
    if kind.startswith("date"):
        return place, DATES
    if "expected" in context:
        context = {"expected": str(context["expected"]).replace(" or ", " o ")}
    return place, SENTENCES.get(kind, "valore non valido").format_map(context)


def _perhaps(name: str) -> str:
    kinds = (item for item in vars(models).values() if isinstance(item, type) and issubclass(item, BaseModel))
    known = sorted({field for kind in kinds for field in kind.model_fields})
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f": forse {close[0]}?" if close and close[0] != name else ""


def _spelt(mistake: Mistake) -> tuple[str, str]:
    """The key path as TOML writes it: `a.b`, `a."c d"`, `a[0]`."""
    place, sentence = mistake
    key = ""
    for part in place:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part != "[key]":
            spelt = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + part.replace('"', '\\"') + '"'
            key += f".{spelt}" if key else spelt
    return key, sentence
