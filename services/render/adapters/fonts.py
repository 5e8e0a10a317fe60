"""The fonts of our documents, from their PyPI packages (all SIL OFL 1.1, free to embed).

Titillium Web is the notice's, Roboto Mono sets its codes, Noto Sans stands in for the letters of names that Titillium
lacks: Greek, Cyrillic, Vietnamese and the rest of Latin. The last two are packaged as variable fonts; static instances are
cut from a subset of each, for whole ones would take seconds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from string import ascii_letters, digits
from typing import Any, Final

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

from shared.printing import WIDTHS_FILE

MONO_CHARACTERS: Final = digits + ascii_letters + " .,/-€"
FALLBACK_BLOCKS: Final = (
    range(0x0100, 0x0250),  # Latin Extended-A and -B
    range(0x0370, 0x0400),  # Greek
    range(0x0400, 0x0483),  # Cyrillic, around its combining marks
    range(0x048A, 0x0530),
    range(0x1E00, 0x1F00),  # Latin Extended Additional: Vietnamese
)
"""Scripts that are written from left to right, a letter after a letter: what needs shaping is refused, not misprinted."""
BLANKS: Final = (0x20, 0xA0)
_TITILLIUM: Final = {"titillium-regular.ttf": "TitilliumWeb-Regular.ttf", "titillium-bold.ttf": "TitilliumWeb-Bold.ttf"}
_MONO: Final = {"mono-regular.ttf": 400, "mono-bold.ttf": 700}
_FALLBACK: Final = {"fallback-regular.ttf": 400, "fallback-bold.ttf": 700}
NAMES: Final = (*_TITILLIUM, *_MONO, *_FALLBACK)


@cache
def font(name: str) -> bytes:
    """The TrueType bytes of one of `NAMES`."""
    if name in _TITILLIUM:
        return _packaged("fontpkg_titillium_web", _TITILLIUM[name])
    if name in _MONO:
        return _saved(_instance(_mono(), wght=_MONO[name]))
    fallback, house = (
        _instance(_fallback(), wght=_FALLBACK[name], wdth=100),
        _opened(name.replace("fallback", "titillium")),
    )
    for (
        blank
    ) in BLANKS:  # Pango leaves a blank to the font of the letter before it: as wide as the rule of what fits says
        glyph, like = fallback.getBestCmap()[blank], house.getBestCmap()[blank]
        fallback["hmtx"][glyph] = house["hmtx"][like]
    return _saved(fallback)


def _packaged(package: str, file: str) -> bytes:
    return files(package).joinpath("files", file).read_bytes()


@cache
def _mono() -> TTFont:
    return _subset(_packaged("fontpkg_roboto_mono", "RobotoMono[wght].ttf"), [ord(char) for char in MONO_CHARACTERS])


@cache
def _fallback() -> TTFont:
    ours = _opened("titillium-regular.ttf").getBestCmap()
    lacking = [code for block in FALLBACK_BLOCKS for code in block if code not in ours]
    return _subset(_packaged("fontpkg_noto_sans", "NotoSans[wdth,wght].ttf"), [*BLANKS, *lacking])


def _subset(packaged: bytes, codes: Collection[int]) -> TTFont:
    font = TTFont(io.BytesIO(packaged), lazy=True)
    for table in ("GSUB", "GPOS", "GDEF"):  # kerning and ligatures, which take most of the time and print nothing here
        if table in font:
            del font[table]
    subsetter = Subsetter(Options(layout_features=[], notdef_outline=True))
    subsetter.populate(unicodes=codes)
    subsetter.subset(font)
    return font


def _instance(variable: TTFont, **at: float) -> TTFont:
    return instantiateVariableFont(variable, at, inplace=False, updateFontNames=True)


def _opened(name: str) -> TTFont:
    return TTFont(io.BytesIO(font(name)))


def _saved(font: TTFont) -> bytes:
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()


def width_tables() -> dict[str, dict[str, Any]]:
    """What `shared/printing_widths.json` must hold: for each weight, the characters and their advances in font units."""
    return {weight: _widths(weight) for weight in ("regular", "bold")}


def _widths(weight: str) -> dict[str, Any]:
    advances: dict[int, int] = {}
    units = set()
    for name in ("fallback", "titillium"):  # the later wins, as in the pages
        source = _opened(f"{name}-{weight}.ttf")
        metrics = source["hmtx"]
        advances |= {code: metrics[glyph][0] for code, glyph in source.getBestCmap().items()}
        units.add(source["head"].unitsPerEm)
    (unit,) = units
    characters = [code for code in sorted(advances) if chr(code).isprintable() or chr(code) == "\N{NO-BREAK SPACE}"]
    return {
        "units": unit,
        "characters": "".join(map(chr, characters)),
        "widths": [advances[code] for code in characters],
    }


if __name__ == "__main__":
    WIDTHS_FILE.write_text(json.dumps(width_tables(), ensure_ascii=False) + "\n", "utf-8")
