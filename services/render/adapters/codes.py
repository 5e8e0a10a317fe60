"""QR code and Data Matrix as vector graphics: encoded by zint (in C; pure Python encoders cost thirty times as much)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import zint

from shared.printing import POINTS_PER_MM

QR_MODULES: Final = 33
MATRIX_MODULES: Final = 48
PAGE_HEIGHT_MM: Final = 297.0
_VERSION_4, _LEVEL_M, _SIZE_48 = 4, 2, 14


def qr_rows(payload: str) -> list[int]:
    """The code's rows, bit 0 the leftmost module: version 4 (33x33), level M, whatever the payload's length (guide 3.5).

    Raises `ValueError` where the payload does not fit.
    """
    return _rows(zint.Symbology.QRCODE, payload, QR_MODULES, option_1=_LEVEL_M, option_2=_VERSION_4)


def matrix_rows(payload: str) -> list[int]:
    """The same for a Data Matrix of 48x48 modules. Raises `ValueError` where the payload does not fit."""
    return _rows(zint.Symbology.DATAMATRIX, payload, MATRIX_MODULES, option_2=_SIZE_48)


def _rows(symbology: zint.Symbology, payload: str, modules: int, **options: int) -> list[int]:
    symbol = zint.Symbol()
    symbol.symbology = symbology
    for name, value in options.items():
        setattr(symbol, name, value)
    try:
        symbol.encode(payload)
    except RuntimeError as error:
        raise ValueError("the payload does not fit the code") from error
    if (symbol.rows, symbol.width) != (modules, modules):
        raise ValueError(f"a code of {symbol.width} modules")
    bits = bytes(symbol.encoded_data)
    stride, used = len(bits) // len(symbol.encoded_data), -(-modules // 8)
    return [int.from_bytes(bits[y * stride : y * stride + used], "little") for y in range(modules)]


def operators(rows: list[int], box: tuple[float, float, float]) -> bytes:
    """The code as operators of a PDF page (A4, origin at its lower left), filling `box`: left, top and side in mm.

    An artifact of the page: what it says is the alternative text of the figure that keeps its place. Filled rectangles,
    for viewers snap the edges of strokes to pixels; a dark run and the same runs right below it are one rectangle.
    """
    left, top, side = box
    module = side * POINTS_PER_MM / len(rows)
    x, y = left * POINTS_PER_MM, (PAGE_HEIGHT_MM - top) * POINTS_PER_MM
    place = f"{module:.5f} 0 0 {-module:.5f} {x:.4f} {y:.4f} cm"
    rectangles = "\n".join(f"{a} {b} {c} {d} re" for a, b, c, d in sorted(_rectangles(rows)))
    return f"/Artifact BMC q 0 g {place}\n{rectangles}\nf Q EMC".encode()


def _rectangles(rows: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height in modules."""
    standing: dict[tuple[int, int], int] = {}
    runs_of = partial(_runs, width=len(rows))
    for y, bits in enumerate([*rows, 0]):
        runs = set(runs_of(bits))
        for start, end in [run for run in standing if run not in runs]:
            top = standing.pop((start, end))
            yield start, top, end - start, y - top
        for run in runs - standing.keys():
            standing[run] = y


def _runs(bits: int, width: int) -> Iterator[tuple[int, int]]:
    x = 0
    while x < width:
        start = x
        while x < width and bits >> x & 1:
            x += 1
        if x > start:
            yield start, x
        x += 1
