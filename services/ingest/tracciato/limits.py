"""The bounds of one spreadsheet: what is beyond them is refused before anything is done with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, time in seconds. Tests make them small; nobody should need to make them larger."""

    file_bytes: int = 20_000_000
    inflated_bytes: int = 200_000_000
    """All parts together, as the zip directory declares them: `zipfile` never inflates a part beyond its declaration."""
    small_part_bytes: int = 4_000_000
    """workbook, styles, relationships: the parts that are read whole."""
    members: int = 2_000
    rows: int = 100_000
    columns: int = 256
    """With a heading. Cells beyond are not looked at."""
    strings: int = 3_000_000
    text_characters: int = 300_000_000
    """Of all cells that are looked at: one long shared string may be named by every cell."""
    merged_ranges: int = 5_000
    seconds: float = 120.0
    """Of the first pass over the sheet; the second one reads the same again, at the pace of whoever takes the rows."""


CELL_CHARACTERS = 32_767
"""Excel's own limit."""
