"""*Importo*: a number, or Italian text, as integer cents."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

MAXIMUM: Final = 99_999_999_999
CURRENCY: Final = re.compile(r"^(?:€|euro|eur)\s*|\s*(?:€|euro|eur)$", re.IGNORECASE)
PLAIN: Final = re.compile(r"([0-9]{1,15})(?:,([0-9]+))?")
GROUPED: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3})+),([0-9]+)|([0-9]{1,3}(?:\.[0-9]{3}){2,})")
POINT: Final = re.compile(r"([0-9]{1,15})\.([0-9]{1,2})")
AMBIGUOUS: Final = re.compile(r"[0-9]{1,3}[.,][0-9]{3}")
ENGLISH: Final = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]{1,2}")


class WrongAmount(Exception):
    """`code` of `problems.py`, and a value to put instead, if there is one."""

    def __init__(self, code: str, proposal: str = "") -> None:
        super().__init__(code)
        self.code, self.proposal = code, proposal


def _split(text: str, *, number: bool) -> tuple[str, str]:
    """Digits of euros and of decimals."""
    if not number and AMBIGUOUS.fullmatch(text) and not text.startswith("0"):
        raise WrongAmount("ambiguous-amount")
    if found := PLAIN.fullmatch(text):
        return found[1], found[2] or ""
    if number:
        raise WrongAmount("amount-too-large" if re.fullmatch(r"[0-9,]+(E\+?[0-9]+)?", text) else "not-an-amount")
    if found := GROUPED.fullmatch(text):
        return (found[1] or found[3]).replace(".", ""), found[2] or ""
    if found := POINT.fullmatch(text):  # no thousands have two digits: 12.50 can be read in one way only
        return found[1], found[2]
    if ENGLISH.fullmatch(text):
        raise WrongAmount("not-an-amount", text.replace(",", "").replace(".", ","))
    raise WrongAmount("amount-too-large" if re.fullmatch(r"[0-9.]{16,}(,[0-9]+)?", text) else "not-an-amount")


def cents(text: str, *, number: bool = False) -> int:
    """The amount in cents, 1 to 99,999,999,999. `number`: the cell is one, so a comma is a decimal comma.

    Raises `WrongAmount`.
    """
    bare = text if number else CURRENCY.sub("", text.strip()).strip()
    negative = bare[:1] in {"-", "\u2212"}
    if negative or bare[:1] == "+":
        bare = bare[1:].strip()
    bare = bare if number else CURRENCY.sub("", bare)
    if number and re.fullmatch(r"[0-9,]+E-[0-9]+", bare):
        raise WrongAmount("too-many-decimals")
    euros, decimals = _split(bare, number=number)
    decimals = decimals.rstrip("0")
    if len(decimals) > 2:
        raise WrongAmount("too-many-decimals")
    value = int(Decimal(f"{euros}.{decimals or '0'}").scaleb(2))
    if value == 0:
        raise WrongAmount("zero-amount")
    if negative:
        raise WrongAmount("negative-amount")
    if value > MAXIMUM:
        raise WrongAmount("amount-too-large")
    return value
