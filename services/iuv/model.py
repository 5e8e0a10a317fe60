"""IUV and NAV (SACI 3.2.1), and what a debt position at pagoPA is.

    NAV (codice avviso, 18 digits) = aux digit 3 | segregation code (2) | base (13) | check (2)
    IUV (17 digits)                = the NAV without its aux digit
    check                          = (the first 16 digits of the NAV) mod 93, two digits

Aux digits 0, 1 and 2 must not be issued since SACI 3.1: they are read here, never made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Final, Literal
from zoneinfo import ZoneInfo

from shared.contracts.record import Address

AUX_DIGIT: Final = "3"
NAV_DIGITS: Final = 18
LAST_BASE: Final = 9_999_999_999_999
ROME: Final = ZoneInfo("Europe/Rome")


class InvalidNotice(ValueError):
    """This is no NAV. The text says why and never quotes it: it may end in a log."""


@dataclass(frozen=True, slots=True)
class NoticeCode:
    """A NAV, taken apart. `prefix` is segregation code (aux 3) or application code (aux 0), else empty; `check` is
    empty for aux 1, which has none."""

    aux: Literal["0", "1", "2", "3"]
    prefix: str
    base: str
    check: str

    @property
    def nav(self) -> str:
        """18 digits."""
        return self.aux + self.prefix + self.base + self.check

    @property
    def iuv(self) -> str:
        """17 digits; 15 for aux 0, whose application code is no part of the IUV."""
        return (self.prefix if self.aux == "3" else "") + self.base + self.check

    @classmethod
    def of(cls, segregation_code: str, number: int) -> NoticeCode:
        """The code for `number` (1 to 13 digits) under a segregation code. Raises `InvalidNotice`."""
        if not (_digits(segregation_code) and len(segregation_code) == 2):
            raise InvalidNotice("a segregation code has two digits")
        if not 0 <= number <= LAST_BASE:
            raise InvalidNotice("a number has at most 13 digits")
        base = f"{number:013d}"
        return cls("3", segregation_code, base, check_digits(f"{AUX_DIGIT}{segregation_code}{base}"))

    @classmethod
    def parse(cls, nav: str) -> NoticeCode:
        """Read a NAV of any aux digit, ours or another system's. Raises `InvalidNotice`."""
        if len(nav) != NAV_DIGITS or not _digits(nav):
            raise InvalidNotice("a notice code has 18 digits")
        if nav[0] == "1":
            return cls("1", "", nav[1:], "")
        if nav[0] not in "023":
            raise InvalidNotice("the aux digit is none of 0, 1, 2, 3")
        if nav[-2:] != check_digits(nav[:-2]):
            raise InvalidNotice("the check digits are wrong")
        if nav[0] == "2":
            return cls("2", "", nav[1:-2], nav[-2:])
        return cls("0" if nav[0] == "0" else "3", nav[1:3], nav[3:-2], nav[-2:])


def check_digits(first_sixteen: str) -> str:
    """The two check digits that follow the first 16 digits of a NAV."""
    return f"{int(first_sixteen) % 93:02d}"


def _digits(text: str) -> bool:
    # str.isdigit alone would let in the digits of other scripts, which int() reads too
    return text.isascii() and text.isdigit()


class PositionStatus(StrEnum):
    """GPD's statuses of a position (v1)."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    VALID = "VALID"
    INVALID = "INVALID"
    EXPIRED = "EXPIRED"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    REPORTED = "REPORTED"

    @property
    def paid(self) -> bool:
        """Money came in: pagoPA withdraws it no more."""
        return self in (PositionStatus.PARTIALLY_PAID, PositionStatus.PAID, PositionStatus.REPORTED)


@dataclass(frozen=True, slots=True)
class DebtPosition:
    """What pagoPA is asked to open. Amount in cents; `due` in UTC; `fingerprint` travels as metadata, because GPD
    tells everything back but the debtor."""

    iupd: str
    code: NoticeCode
    debtor_kind: Literal["F", "G"]
    debtor_fiscal_code: str
    debtor_name: str
    address: Address
    company_name: str
    office_name: str
    amount_cents: int
    reason: str
    due: datetime
    iban: str
    taxonomy: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What pagoPA says that it has. `fingerprint` is empty where the position carries none."""

    status: PositionStatus
    iuv: str
    amount_cents: int
    due: datetime | None
    fingerprint: str = ""

    def is_that(self, asked: DebtPosition) -> bool:
        """Whether this is the position that was asked for: number, amount, due date, and the debtor by fingerprint."""
        return (
            self.iuv == asked.code.iuv
            and self.amount_cents == asked.amount_cents
            and self.due is not None
            and self.due.replace(microsecond=0) == asked.due
            and self.fingerprint in ("", asked.fingerprint)
        )


def due_instant(day: date) -> datetime:
    """23:59:59 Europe/Rome of `day`, in UTC."""
    return datetime.combine(day, time(23, 59, 59), ROME).astimezone(UTC)
