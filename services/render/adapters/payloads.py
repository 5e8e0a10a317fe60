"""What the codes of a notice say. Every field is checked: a code that a counter cannot read is worth less than none.

Sources: pagoPA, guide to the payment notice 3.5, *codice QR*; for the postal code the layout that pagoPA's generator, GovPay
and GPST agree on, and Poste's set of characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from anyascii import anyascii

from services.render.adapters.codes import matrix_rows

QR: Final = re.compile(r"PAGOPA\|002\|[0-3][0-9]{17}\|[0-9]{11}\|[0-9]{2,11}")
MOST_POSTAL_CENTS: Final = 9_999_999_999
"""What ten digits hold: a slip for more cannot be read."""
_ALLOWED: Final = re.compile(r"[^A-Z0-9 '\-&,.:_]")
_PUNCTUATION: Final = re.compile(r"[^A-Z0-9 ]")


def qr_payload(notice_code: str, creditor_tax_code: str, cents: int) -> str:
    """Five fields; the amount in cents, at least two digits. Raises `ValueError` for what no reader would accept."""
    payload = f"PAGOPA|002|{notice_code}|{creditor_tax_code}|{cents:02d}"
    if not QR.fullmatch(payload):
        raise ValueError("not a payload that readers accept")
    return payload


@dataclass(frozen=True, slots=True)
class Slip:
    """A postal slip. `account`: 12 digits."""

    notice_code: str
    account: str
    cents: int
    creditor_tax_code: str
    debtor_tax_code: str
    debtor_name: str
    reason: str


def matrix_payload(slip: Slip) -> str:
    """The 256 characters of the Data Matrix, in capitals, which take less room in it.

    Where its 48x48 modules still do not hold them, the reason's punctuation gives way, then the name's: a person reads
    both beside it. Raises `ValueError` for a field that has not its length.
    """
    name, reason = plain(slip.debtor_name), plain(slip.reason)
    bare = _PUNCTUATION.sub(" ", name), _PUNCTUATION.sub(" ", reason)
    for each in ((name, reason), (name, bare[1])):
        payload = _laid_out(slip, *each)
        try:
            matrix_rows(payload)
        except ValueError:
            continue
        return payload
    return _laid_out(slip, *bare)


def _laid_out(slip: Slip, name: str, reason: str) -> str:
    fields = (
        ("codfase=NBPA;", 13),
        ("18", 2), (slip.notice_code, 18),
        ("12", 2), (slip.account, 12),
        ("10", 2), (f"{slip.cents:010d}", 10),
        ("3", 1), ("896", 3), ("1", 1), ("P1", 2),
        (slip.creditor_tax_code, 11),
        (f"{slip.debtor_tax_code:16}", 16),
        (f"{name[:40]:40}", 40),
        (f"{reason[:110]:110}", 110),
        (" " * 12, 12), ("A", 1),
    )  # fmt: skip
    if any(len(text) != length for text, length in fields):
        raise ValueError("a field of the postal code has not its length")
    return "".join(text for text, _ in fields)


def plain(text: str) -> str:
    """Capitals that Poste's readers know: written in Latin letters first, then what is left over becomes a blank; cutting and
    padding come after, for a letter may become two."""
    return _ALLOWED.sub(" ", anyascii(text).upper())
