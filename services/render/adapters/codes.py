"""The QR code as vector graphics: drawn by zint (in C; a pure Python encoder costs thirty times as much)."""

from __future__ import annotations

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
    symbol.encode(payload)
    if (symbol.rows, symbol.width) != (MODULES, MODULES):
        raise ValueError(f"QR code of {symbol.width} modules")
    bits = bytes(symbol.encoded_data)
    stride = len(bits) // len(symbol.encoded_data)
    path = "".join(_row(y, int.from_bytes(bits[y * stride : y * stride + 5], "little")) for y in range(MODULES))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {MODULES} {MODULES}" width="{MODULES}" height="{MODULES}">'
        f'<path d="{path}"/></svg>'
    ).encode()


def _row(y: int, bits: int) -> str:
    """One path of the dark runs of a row; a hair taller than the row, so that no viewer shows seams."""
    runs, x = [], 0
    while x < MODULES:
        start = x
        while x < MODULES and bits >> x & 1:
            x += 1
        if x > start:
            runs.append(f"M{start} {y}h{x - start}v1h{start - x}z")
        x += 1
    return "".join(runs)
