"""The QR code as vector graphics: encoded by zint (in C; a pure Python encoder costs thirty times as much)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import zint

from shared.printing import POINTS_PER_MM

VERSION: Final = 4
MODULES: Final = 33
LEVEL_M: Final = 2
PAGE_HEIGHT_MM: Final = 297.0


def qr_rows(payload: str) -> list[int]:
    """The code's rows, bit 0 the leftmost module: version 4 (33x33), level M, whatever the payload's length (guide 3.5).

    Raises `ValueError` where the payload does not fit.
    """
    symbol = zint.Symbol()
    symbol.symbology = zint.Symbology.QRCODE
    symbol.option_1, symbol.option_2 = LEVEL_M, VERSION
    try:
        symbol.encode(payload)
    except RuntimeError as error:
        raise ValueError("the payload does not fit the QR code") from error
    if (symbol.rows, symbol.width) != (MODULES, MODULES):
        raise ValueError(f"QR code of {symbol.width} modules")
    bits = bytes(symbol.encoded_data)
    stride = len(bits) // len(symbol.encoded_data)
    return [int.from_bytes(bits[y * stride : y * stride + 5], "little") for y in range(MODULES)]


def qr_operators(payload: str, box: tuple[float, float, float]) -> bytes:
    """The code as operators of a PDF page (A4, origin at its lower left), filling `box`: left, top and side in mm.

    An artifact of the page: what it says is the alternative text of the figure that keeps its place. Filled rectangles,
    for viewers snap the edges of strokes to pixels; a dark run and the same runs right below it are one rectangle.
    """
    left, top, side = box
    module = side * POINTS_PER_MM / MODULES
    x, y = left * POINTS_PER_MM, (PAGE_HEIGHT_MM - top) * POINTS_PER_MM
    place = f"{module:.5f} 0 0 {-module:.5f} {x:.4f} {y:.4f} cm"
    rectangles = "\n".join(f"{a} {b} {c} {d} re" for a, b, c, d in sorted(_rectangles(qr_rows(payload))))
    return f"/Artifact BMC q 0 g {place}\n{rectangles}\nf Q EMC".encode()


def _rectangles(rows: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height in modules."""
    standing: dict[tuple[int, int], int] = {}
    for y, bits in enumerate([*rows, 0]):
        runs = set(_runs(bits))
        for start, end in [run for run in standing if run not in runs]:
            top = standing.pop((start, end))
            yield start, top, end - start, y - top
        for run in runs - standing.keys():
            standing[run] = y


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    x = 0
    while x < MODULES:
        start = x
        while x < MODULES and bits >> x & 1:
            x += 1
        if x > start:
            yield start, x
        x += 1
