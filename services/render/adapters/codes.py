"""The QR code as vector graphics: drawn by zint (in C; a pure Python encoder costs thirty times as much)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import zint

VERSION: Final = 4
MODULES: Final = 33
LEVEL_M: Final = 2


def qr_svg(payload: str) -> bytes:
    """Version 4 (33x33), level M, whatever the length of the payload (guide 3.5); without quiet zone, black on nothing.

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
    rows = [int.from_bytes(bits[y * stride : y * stride + 5], "little") for y in range(MODULES)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {MODULES} {MODULES}" width="{MODULES}" height="{MODULES}">'
        f'<path d="{_path(rows)}"/></svg>'
    ).encode()


def _path(rows: list[int]) -> str:
    """Filled rectangles: a dark run and the same runs right below it are one, for WeasyPrint reads each command in
    Python. (Strokes would need fewer, but viewers snap their edges to pixels, and modules come out unequal.)"""
    path: list[str] = []
    standing: dict[tuple[int, int], int] = {}
    for y, bits in enumerate([*rows, 0]):
        runs = set(_runs(bits))
        for start, end in [run for run in standing if run not in runs]:
            top = standing.pop((start, end))
            path.append(f"M{start} {top}h{end - start}v{y - top}h{start - end}z")
        for run in runs - standing.keys():
            standing[run] = y
    return "".join(sorted(path))


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    x = 0
    while x < MODULES:
        start = x
        while x < MODULES and bits >> x & 1:
            x += 1
        if x > start:
            yield start, x
        x += 1
