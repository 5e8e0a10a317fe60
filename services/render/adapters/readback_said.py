"""What a notice must say, and where it must not be silent: worked out from the record and its creditor anew, not from the
values that were printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from anyascii import anyascii

from services.render.model import SPECIMEN, UNKNOWN_CODE, day
from shared.contracts.record import Record
from shared.creditors import Creditor
from shared.italian import euros
from shared.printing import address_lines

MANY: Final = 9
"""From so many instalments on the full amount has no place."""
TEN_DIGITS: Final = 10**10
"""From so many cents on no slip can be printed."""


@dataclass(frozen=True, slots=True)
class Said:
    """A field of the sheet and what it must say. `place`: whether it must have one; `None`: that is the layout's choice."""

    field: str
    value: str
    place: bool | None = True

    @property
    def name(self) -> str:
        """The check that the field goes by: `i2_notice_code` is a `notice-code`."""
        return re.sub(r"^(i\d+_)?((data|half|third|slip)_)?", "", self.field).replace("_", "-")


@dataclass(frozen=True, slots=True)
class _Due:
    prefix: str
    notice_code: str
    cents: int
    date: date


def said(record: Record, creditor: Creditor) -> Iterator[Said]:
    """Every field of the notice of this record."""
    debtor, payment = record.debtor, record.payment
    english = creditor.languages_of(payment.payment_type)[0] == "en"
    dues, postal = list(_dues(record)), creditor.postal_for(payment.payment_type)
    slips = postal is not None and all(due.cents < TEN_DIGITS for due in dues)
    address = "".join(address_lines(debtor.address))
    yield Said("subject", payment.reason)
    yield Said("creditor", creditor.name)
    yield Said("creditor_tax_code", creditor.tax_code)
    yield Said("name", debtor.name)
    yield Said("fiscal_code", debtor.fiscal_code)
    yield Said("address", address, bool(address))
    yield Said("cbill", creditor.cbill or "", creditor.cbill is not None)
    yield Said("sum", f"{_money(payment.amount_cents, english=english)} Euro")
    for where in ("data_", "half_", "third_"):
        yield Said(f"{where}name", debtor.name, None)
        yield Said(f"{where}creditor", creditor.name, None)
        yield Said(f"{where}subject", payment.reason, None)
    yield Said("slip_name", debtor.name, slips)
    yield Said("slip_subject", payment.reason, slips)
    yield Said("slip_holder", postal.holder if postal else "", slips)
    yield Said("account", postal.account if postal else "", slips)
    yield Said("authorisation", postal.authorisation if postal else "", slips)
    for due in dues:
        yield Said(f"{due.prefix}notice_code", due.notice_code)
        yield Said(f"{due.prefix}figures", _money(due.cents, english=english))
        yield Said(f"{due.prefix}due_date", day(due.date), payment.due_date_printed)
        yield Said(f"{due.prefix}slip_figures", euros(due.cents), slips)


def codes(record: Record, creditor: Creditor) -> Iterator[Said]:
    """Every code of the notice of this record."""
    dues, postal = list(_dues(record)), creditor.postal_for(record.payment.payment_type)
    slips = postal is not None and all(due.cents < TEN_DIGITS for due in dues)
    for due in dues:
        unknown = SPECIMEN if due.notice_code == UNKNOWN_CODE else ""
        yield Said(f"{due.prefix}qr", unknown or f"PAGOPA|002|{due.notice_code}|{creditor.tax_code}|{due.cents:0>2}")
        account = postal.account if postal else ""
        yield Said(f"{due.prefix}matrix", unknown or _matrix(record, due, creditor.tax_code, account), slips)


def comparable(code: str) -> str:
    """What a code says, without the signs of a slip's name and reason, which its maker may write as blanks."""
    return code[:93] + _letters(code[93:133]) + _letters(code[133:243]) + code[243:] if len(code) == 256 else code


def _matrix(record: Record, due: _Due, creditor: str, account: str) -> str:
    """The 256 characters of a postal slip's code."""
    line = f"codfase=NBPA;18{due.notice_code}12{account}10{due.cents:010}38961P1"
    name, reason = (anyascii(text).upper() for text in (record.debtor.name, record.payment.reason))
    return f"{line}{creditor}{record.debtor.fiscal_code:16}{name:40.40}{reason:110.110}{'':12}A"


def _letters(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", " ", text)


def _dues(record: Record) -> Iterator[_Due]:
    payment, position = record.payment, record.position
    assert position is not None
    if payment.in_full and len(payment.instalments) < MANY:
        yield _Due("", position.notice_code, payment.amount_cents, payment.due_date)
    for each, code in zip(payment.instalments, position.instalments, strict=True):
        yield _Due(f"i{each.number}_", code.notice_code, each.amount_cents, each.due_date)


def _money(cents: int, *, english: bool) -> str:
    return f"{cents // 100:,}.{cents % 100:02}" if english else euros(cents)
