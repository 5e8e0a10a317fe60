"""The codes of a finished notice: as its pages draw them, module by module, and as a picture of the page shows them.

pikepdf reads what the pages draw, pdfium makes the picture, zxing says what the codes say; none took part in making them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, Final

import pikepdf
import zxingcpp
from PIL import Image

from services.render.adapters.sheet import Code, Region
from shared.printing import POINTS_PER_MM

MODULES: Final = {"qr": 33, "matrix": 48}
FORMATS: Final = {
    kind: zxingcpp.barcode_formats_from_str(name) for kind, name in (("qr", "QRCode"), ("matrix", "DataMatrix"))
}
_BOTH: Final = zxingcpp.barcode_formats_from_str("QRCode,DataMatrix")
RASTER_DPI: Final = 200
_BORDER: Final = 4
"""Modules of light around a code."""
_SLACK: Final = 0.05
"""How far off the grid an edge may be, in modules, and how far something may reach into a code, in mm: roundings."""
_PAINTED: Final = frozenset({"f", "F", "f*", "B", "B*", "b", "b*"})
_COLOURED: Final = frozenset({"g", "rg", "k", "sc", "scn"})
_READ: Final = " ".join(("q", "Q", "cm", "re", "n", "S", "s", *sorted(_PAINTED), *sorted(_COLOURED)))
_INK: Final = bytes.maketrans(b"01", b"\xff\x00")


@dataclass(frozen=True, slots=True)
class Fill:
    """Rectangles (x, y, width, height) that are painted at once, and where their page has them: `scale` and `shift` make
    millimetres from its upper left corner of them."""

    black: bool
    scale: tuple[float, float]
    shift: tuple[float, float]
    rectangles: Sequence[Sequence[float]]

    def touches(self, region: Region) -> bool:
        """Whether they reach into the region, taken together."""
        xs, ys, widths, heights = zip(*self.rectangles, strict=True)
        for at, (starts, sizes) in enumerate(((xs, widths), (ys, heights))):
            ends = list(map(add, starts, sizes))
            low, high = min(*starts, *ends), max(*starts, *ends)
            edges = sorted(edge * self.scale[at] + self.shift[at] for edge in (low, high))
            if edges[0] >= region[at + 2] or edges[1] <= region[at]:
                return False
        return True


def fills(page: pikepdf.Page) -> Iterator[Fill]:
    """All rectangles that the page paints, in the order in which it does."""
    height = float(page.mediabox[3])
    held: list[tuple[tuple[float, ...], bool]] = []
    here: tuple[float, ...] = (1, 0, 0, 1, 0, 0)
    black, path = True, list[list[float]]()
    instructions: Any = pikepdf.parse_content_stream(page, _READ)
    for operands, operator in instructions:
        does = str(operator)
        if does == "re":
            path.append([*map(float, operands)])
        elif does == "q":
            held.append((here, black))
        elif does == "Q":
            here, black = held.pop()
        elif does == "cm":
            here = _joined([*map(float, operands)], here)
        elif does in _COLOURED:
            black = does == "g" and float(operands[0]) == 0
        else:
            if does in _PAINTED and path:
                a, _, _, d, e, f = (each / POINTS_PER_MM for each in here)
                yield Fill(black, (a, -d), (e, height / POINTS_PER_MM - f), path)
            path = []


def _joined(new: list[float], here: tuple[float, ...]) -> tuple[float, ...]:
    """The transformation `new` within `here`."""
    a, b, c, d, e, f = new
    g, h, i, j, k, m = here
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m


def drawn(code: Code, painted: Sequence[Fill]) -> str:
    """What the code says as it is drawn; nothing where its place is empty, or holds anything but black modules on its grid."""
    count = MODULES[code.kind]
    module = code.side / count
    rows = [0] * count
    right, low = code.left + code.side, code.top + code.side
    for fill in painted:
        if not fill.touches((code.left + _SLACK, code.top + _SLACK, right - _SLACK, low - _SLACK)):
            continue
        if not fill.black:
            return ""
        (a, d), (e, f) = fill.scale, fill.shift
        for x, y, width, height in fill.rectangles:
            edges = (a * x + e - code.left, d * y + f - code.top, a * width, d * height)
            on = [round(edge / module) for edge in edges]
            if any(abs(edge / module - step) > _SLACK for edge, step in zip(edges, on, strict=True)):
                return ""
            column, row, across, down = on
            if min(on) < 0 or column + across > count or row + down > count:
                return ""
            run = ((1 << across) - 1) << column
            for line in range(row, row + down):
                rows[line] |= run
    return _decoded(rows, code) if any(rows) else ""


def _decoded(rows: list[int], code: Code) -> str:
    count = len(rows)
    side, edge = count + 2 * _BORDER, b"\xff" * _BORDER
    margin = b"\xff" * (side * _BORDER)
    lines = [edge + f"{bits:0{count}b}"[::-1].encode().translate(_INK) + edge for bits in rows]
    image = Image.frombytes("L", (side, side), margin + b"".join(lines) + margin)
    found = zxingcpp.read_barcodes(image, formats=FORMATS[code.kind], is_pure=True, try_rotate=False)
    return str(found[0].text) if len(found) == 1 else ""


def picture(page: Any) -> Image.Image:
    """A page of pdfium's as a picture of 200 dpi."""
    image: Image.Image = page.render(scale=RASTER_DPI / 72, grayscale=True).to_pil()
    return image


def shown(code: Code, image: Image.Image) -> str:
    """What the code says in the picture of its page."""
    corner = tuple(round(edge * RASTER_DPI / 25.4) for edge in code.region)
    found = zxingcpp.read_barcodes(image.crop(corner), formats=FORMATS[code.kind])  # type: ignore[arg-type]
    return str(found[0].text) if len(found) == 1 else ""


def all_shown(image: Image.Image) -> list[str]:
    """What the codes say that are found anywhere in the picture."""
    return [str(found.text) for found in zxingcpp.read_barcodes(image, formats=_BOTH)]
