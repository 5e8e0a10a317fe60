"""A letter template: a folder with a manifest, a page, a style sheet and the images and fonts that they show.

    letter.toml    columns, language, where a stamp may be put
    letter.html    the page, a Jinja2 template
    letter.css     its styles (may be missing)
    *.svg ...      what the page loads as `asset:NAME`

The folder is packed into one archive whose bytes depend on the files alone: its hash is the version of the template, and
its bytes in the document store are the template as a batch saw it.
"""

from __future__ import annotations

import io
import re
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MANIFEST: Final = "letter.toml"
PAGE: Final = "letter.html"
STYLE: Final = "letter.css"
TYPES: Final = {
    ".toml": "application/toml", ".html": "text/html", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".ttf": "font/ttf", ".otf": "font/otf",
}  # fmt: skip
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST_FILES: Final = 40
MOST_BYTES: Final = 4 << 20
ARCHIVE: Final = "application/zip"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
Files = Mapping[str, bytes]
Millimetres = Annotated[float, Field(ge=0, le=297)]


class LetterWrong(ValueError):
    """The folder is no letter template. The text is Italian, for whoever keeps it."""


class Stamp(BaseModel):
    """The box on the first page that stays free for a stamp, in mm from the page's upper left corner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left: Millimetres
    top: Millimetres
    width: Annotated[float, Field(gt=0, le=210)]
    height: Annotated[float, Field(gt=0, le=297)]


class Manifest(BaseModel):
    """`columns` are the spreadsheet columns that the page names: they travel on the record. `language` is the text's (BCP
    47)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: list[Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]] = []
    language: Annotated[str, Field(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "it"
    stamp: Stamp | None = None


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a template, by name. Raises `LetterWrong` for what can be no template, `OSError` as reading does."""
    if not folder.is_dir():
        raise LetterWrong(f"la cartella {folder} non c'è")
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if len(paths) > MOST_FILES:
        raise LetterWrong(f"la cartella ha {len(paths)} file: al massimo {MOST_FILES}")
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise LetterWrong(f"{path.name} non è un file: la cartella non può avere altre cartelle né collegamenti")
        if not NAME.fullmatch(path.name) or path.suffix not in TYPES:
            raise LetterWrong(
                f"{path.name}: i nomi hanno minuscole, cifre, punto, _ e -, e finiscono per {' '.join(TYPES)}"
            )
    if sum(path.stat().st_size for path in paths) > MOST_BYTES:
        raise LetterWrong(f"la cartella supera {MOST_BYTES >> 20} MB")
    return _whole({path.name: path.read_bytes() for path in paths})


def manifest_of(files: Files) -> Manifest:
    """Raises `LetterWrong` with the key and what is wrong about it."""
    try:
        return Manifest.model_validate(tomllib.loads(files[MANIFEST].decode()))
    except UnicodeDecodeError:
        raise LetterWrong(f"{MANIFEST} non è scritto in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise LetterWrong(f"{MANIFEST}, {f'riga {line[1]}' if line else 'fine del file'}: TOML non valido") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        why = "chiave sconosciuta" if first["type"] == "extra_forbidden" else "valore non valido"
        raise LetterWrong(f"{MANIFEST}: {key}: {why}") from None


def pack(files: Files) -> bytes:
    """The same files, the same bytes: no times, no compression, names in order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), files[name])
    return out.getvalue()


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files of an archive of `pack`. Raises `LetterWrong` for any other."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = opened.infolist()
            if any(each.compress_type != zipfile.ZIP_STORED for each in entries):
                raise LetterWrong("il modello archiviato non è di Staffetta")
            return _whole({each.filename: opened.read(each) for each in entries})
    except zipfile.BadZipFile:
        raise LetterWrong("il modello archiviato è rovinato") from None


def _whole(files: dict[str, bytes]) -> dict[str, bytes]:
    for name in (MANIFEST, PAGE):
        if name not in files:
            raise LetterWrong(f"nella cartella manca {name}")
    return files
