"""What a notice says: a record turned into the values of its slots, and the shape that its layout follows. Pure; raises
`Unprintable`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.render.adapters.payloads import MOST_POSTAL_CENTS, Slip, matrix_payload, qr_payload
from services.render.model import SPECIMEN, UNKNOWN_CODE, Unprintable, day
from shared.contracts.record import Record
from shared.creditors import Creditor
from shared.italian import euros, in_fours
from shared.printing import (
    ADDRESS,
    AMOUNT,
    AUTHORISATION,
    CONTACTS,
    CREDITOR,
    DATA_NAME,
    DATA_SUBJECT,
    HALF_NAME,
    HALF_SUBJECT,
    NAME,
    OFFICE,
    SLIP_NAME,
    SLIP_SUBJECT,
    SUBJECT,
    THIRD_NAME,
    THIRD_SUBJECT,
    UNPRINTABLE,
    Box,
    Fitted,
    address_lines,
    fit,
    printable,
)

WIDE: Final = 13
"""Characters of an amount that leave a QR code of 25 mm its place, three instalments in a row."""
_SWAPPED: Final = str.maketrans(".,", ",.")
MANY: Final = 9
"""From so many instalments on the full amount has no place (guide, *avviso con molte rate*)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """All that the layout depends on: two notices of one shape differ in nothing but the values of their slots."""

    languages: tuple[str, ...]
    dated: bool
    instalments: int
    full: bool
    slips: bool
    cbill: bool
    logo: bool
    fields: tuple[tuple[str, float, int], ...]
    """Field, font size in points, lines."""
    amounts: tuple[tuple[str, int], ...]
    """Amounts with a word before them, and how many characters they have."""
    wide: bool = False
    """An instalment's amount is too long for the usual size."""

    def set_as(self, field: str) -> tuple[float, int]:
        """Font size and number of lines."""
        return next((size, lines) for name, size, lines in self.fields if name == field)

    def length(self, amount: str) -> int:
        """Characters of an amount."""
        return dict(self.amounts)[amount]


@dataclass(frozen=True, slots=True)
class Notice:
    """The values of a shape's slots, and the payloads of its codes."""

    shape: Shape
    values: dict[str, str]
    codes: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Due:
    """One thing to pay: the whole, or an instalment."""

    prefix: str
    notice_code: str
    cents: int
    date: str


def notice_of(record: Record, creditor: Creditor, *, logo: bool = False) -> Notice:
    """The notice of a record whose position is open. `Unprintable` names the field that does not fit its box."""
    languages = creditor.languages_of(record.payment.payment_type)
    dues = list(_dues(record))
    postal = creditor.postal_for(record.payment.payment_type)
    slips = postal is not None and all(due.cents <= MOST_POSTAL_CENTS for due in dues)
    values = _plain_values(record, creditor, languages[0])
    codes: dict[str, str] = {}
    for due in dues:
        values |= _due_values(due, languages[0])
        if due.notice_code == UNKNOWN_CODE:
            codes |= {f"{due.prefix}{kind}": SPECIMEN for kind in ("qr", "matrix")}
            continue
        codes[f"{due.prefix}qr"] = qr_payload(due.notice_code, creditor.tax_code, due.cents)
        if postal and slips:
            slip = Slip(
                due.notice_code, postal.account, due.cents, creditor.tax_code, record.debtor.fiscal_code,
                record.debtor.name, record.payment.reason,
            )  # fmt: skip
            codes[f"{due.prefix}matrix"] = matrix_payload(slip)
    fields = dict(_fields(record, creditor, slips=slips, amount=values["sum"]))
    for name, fitted in fields.items():
        values |= {f"{name}_{number}": line for number, line in enumerate(fitted.lines, 1)}
    lengths = {name: len(value) for name, value in values.items() if name.endswith("figures")}
    shape = Shape(
        languages=languages,
        dated=record.payment.due_date_printed,
        instalments=len(record.payment.instalments),
        full=dues[0].prefix == "",
        slips=slips,
        cbill=creditor.cbill is not None,
        logo=logo,
        fields=tuple((name, fitted.size, len(fitted.lines)) for name, fitted in fields.items()),
        amounts=tuple(lengths.items()) if slips else tuple(lengths.items())[:1],
        wide=any(length > WIDE for length in lengths.values()),
    )
    return Notice(shape, values, codes)


def _dues(record: Record) -> Iterator[_Due]:
    """What the notice asks for: the whole first, where it has a place."""
    payment, position = record.payment, record.position
    assert position is not None
    if payment.in_full and len(payment.instalments) < MANY:
        yield _Due("", position.notice_code, payment.amount_cents, day(payment.due_date))
    codes = {each.number: each.notice_code for each in position.instalments}
    for each in payment.instalments:
        yield _Due(prefix(each.number), codes[each.number], each.amount_cents, day(each.due_date))


def prefix(number: int) -> str:
    """What the slots of an instalment begin with."""
    return f"i{number}_"


def money(cents: int, language: str) -> str:
    """`1.234,56`; in English `1,234.56` (guide, *importo e scadenza*; of French and Slovene it says nothing)."""
    return euros(cents).translate(_SWAPPED) if language == "en" else euros(cents)


def _due_values(due: _Due, language: str) -> dict[str, str]:
    figures = money(due.cents, language)
    return {
        f"{due.prefix}figures": figures,
        f"{due.prefix}slip_figures": euros(due.cents),
        f"{due.prefix}due_date": due.date,
        f"{due.prefix}notice_code": in_fours(due.notice_code),
    }


def _plain_values(record: Record, creditor: Creditor, language: str) -> dict[str, str]:
    postal = creditor.postal_for(record.payment.payment_type)
    return {
        "sum": f"{money(record.payment.amount_cents, language)} Euro",
        "due_date": day(record.payment.due_date),
        "creditor_tax_code": creditor.tax_code,
        "fiscal_code": record.debtor.fiscal_code,
        "cbill": creditor.cbill or "",
        **({"account": postal.account} if postal else {}),
    }


def _fields(record: Record, creditor: Creditor, *, slips: bool, amount: str) -> Iterator[tuple[str, Fitted]]:
    """What is set in lines, by field, in the boxes that this notice has."""
    debtor, payment, contacts = record.debtor, record.payment, creditor.contacts
    reason, name, body = ("causale", payment.reason), ("intestazione", debtor.name), ("nome dell’ente", creditor.name)
    line = " · ".join(part for part in (contacts.phone, contacts.email, contacts.website) if part)
    yield "subject", _set(*reason, SUBJECT)
    yield "creditor", _set(*body, CREDITOR)
    yield "office", _set("ufficio dell’ente", contacts.office, OFFICE)
    yield "contacts", _without_loose_dots(_set("recapiti dell’ente", line, CONTACTS))
    yield "name", _set(*name, NAME)
    yield "address", _set("indirizzo", address_lines(debtor.address), ADDRESS)
    yield "sum", _set("importo", amount, AMOUNT)
    yield "data_name", _set(*name, DATA_NAME)
    yield "data_creditor", _set(*body, DATA_NAME)
    yield "data_subject", _set(*reason, DATA_SUBJECT)
    if payment.instalments:
        yield "half_name", _set(*name, HALF_NAME)
        yield "half_creditor", _set(*body, HALF_NAME)
        yield "half_subject", _set(*reason, HALF_SUBJECT)
        yield "third_creditor", _set(*body, THIRD_NAME)
        yield "third_subject", _set(*reason, THIRD_SUBJECT)
    if slips:
        postal = creditor.postal_for(payment.payment_type)
        assert postal is not None
        yield "slip_holder", _set("intestatario del conto", postal.holder, SLIP_NAME)
        yield "authorisation", _set("autorizzazione di Poste", postal.authorisation, AUTHORISATION)
        yield "slip_name", _set(*name, SLIP_NAME)
        yield "slip_subject", _set(*reason, SLIP_SUBJECT)


def _set(field: str, text: str | tuple[str, ...], box: Box) -> Fitted:
    paragraphs = text if isinstance(text, tuple) else (text,)
    if not all(map(printable, paragraphs)):
        raise Unprintable(
            UNPRINTABLE, f"Il campo «{field}» ha un carattere che l’avviso non può stampare: correggerlo."
        )
    fitted = fit(paragraphs, box)
    if fitted is None:
        raise Unprintable("does-not-fit", f"Il campo «{field}» è troppo lungo per l’avviso: abbreviarlo.")
    return fitted


def _without_loose_dots(fitted: Fitted) -> Fitted:
    """A middle dot parts two items of a line; at the end of one it parts nothing."""
    return Fitted(fitted.size, tuple(line.removesuffix(" ·") for line in fitted.lines))
