"""Secret references: the file names where a secret is, never the secret."""

from __future__ import annotations

import os
from pathlib import Path


class SecretMissing(Exception):
    """A reference leads to nothing. The text (Italian) names the place, never a value."""


def resolve_secret(reference: str) -> str:
    """The secret that `env:NAME` or `file:/path` names (of a file: its content without the last line break), or the
    value after `rehearsal:`, a password of a simulator, which the loader allows in a rehearsal file only.

    Raises `SecretMissing` where it isn't there, is empty, or the reference has none of these forms.
    """
    kind, _, where = reference.partition(":")
    if kind == "env" and where:
        secret, missing = os.environ.get(where, ""), f"la variabile d'ambiente {where} manca o è vuota"
    elif kind == "file" and where:
        secret, missing = _read(Path(where)), f"il file del segreto {where} manca, è vuoto o non si può leggere"
    elif kind == "rehearsal":
        secret, missing = where, "il riferimento rehearsal: è vuoto"
    else:
        # Whoever wrote the secret itself into the file must not find it in a log.
        secret, missing = "", "non è un riferimento a un segreto (env:NOME oppure file:/percorso)"
    if not secret:
        raise SecretMissing(missing)
    return secret


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError):
        return ""
