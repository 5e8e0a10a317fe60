"""How people in Italy read money and codes: the same on the notice, in the message and on the pages."""

from __future__ import annotations


def euros(cents: int) -> str:
    """`123456` → `1.234,56`, from whole cents: no float, no rounding."""
    whole, rest = divmod(abs(cents), 100)
    return ("-" if cents < 0 else "") + f"{whole:,}".replace(",", ".") + f",{rest:02d}"


def in_fours(code: str) -> str:
    """A *codice avviso* as it stands on paper and is read out: groups of four, one space between."""
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))
