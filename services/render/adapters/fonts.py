"""The fonts of the notice, from their PyPI packages (both SIL OFL 1.1, free to embed).

Roboto Mono is packaged as a variable font; a notice needs figures and capitals of two weights, so static instances are cut
from a subset of it (the whole font would take a second for each).
"""

from __future__ import annotations

import io
import json
from functools import cache
from importlib.resources import files
from string import ascii_letters, digits
from typing import Any, Final

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

from shared.printing import WIDTHS_FILE

MONO_CHARACTERS: Final = digits + ascii_letters + " .,/-€"
_TITILLIUM: Final = {"titillium-regular.ttf": "TitilliumWeb-Regular.ttf", "titillium-bold.ttf": "TitilliumWeb-Bold.ttf"}
_MONO: Final = {"mono-regular.ttf": 400, "mono-bold.ttf": 700}
NAMES: Final = (*_TITILLIUM, *_MONO)


@cache
def font(name: str) -> bytes:
    """The TrueType bytes of one of `NAMES`."""
    if name in _TITILLIUM:
        return files("fontpkg_titillium_web").joinpath("files", _TITILLIUM[name]).read_bytes()
    source = TTFont(io.BytesIO(files("fontpkg_roboto_mono").joinpath("files", "RobotoMono[wght].ttf").read_bytes()))
    subsetter = Subsetter(Options(layout_features=[], notdef_outline=True))
    subsetter.populate(text=MONO_CHARACTERS)
    subsetter.subset(source)
    static = instantiateVariableFont(source, {"wght": _MONO[name]}, updateFontNames=True)
    out = io.BytesIO()
    static.save(out)
    return out.getvalue()


def width_tables() -> dict[str, dict[str, Any]]:
    """What `shared/printing_widths.json` must hold: for each weight, the characters and their advances in font units."""
    tables: dict[str, dict[str, Any]] = {}
    for weight in ("regular", "bold"):
        source = TTFont(io.BytesIO(font(f"titillium-{weight}.ttf")))
        glyphs, metrics = source.getBestCmap(), source["hmtx"]
        characters = [code for code in sorted(glyphs) if chr(code).isprintable() or chr(code) == "\N{NO-BREAK SPACE}"]
        tables[weight] = {
            "units": source["head"].unitsPerEm,
            "characters": "".join(map(chr, characters)),
            "widths": [metrics[glyphs[code]][0] for code in characters],
        }
    return tables


if __name__ == "__main__":
    WIDTHS_FILE.write_text(json.dumps(width_tables(), ensure_ascii=False) + "\n", "utf-8")
