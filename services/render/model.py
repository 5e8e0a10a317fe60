"""What is printed: a record, turned into the lines of a notice and the variables of a letter. Pure; raises `Unprintable`."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.contracts.record import InstalmentCode, Position, Record, SectionState
from shared.creditors import Creditor
from shared.italian import euros, in_fours
from shared.printing import (
    ADDRESS,
    AMOUNT,
    CONTACTS,
    CREDITOR,
    DATA_NAME,
    DATA_SUBJECT,
    NAME,
    OFFICE,
    SUBJECT,
    UNPRINTABLE,
    Box,
    Fitted,
    address_lines,
    fit,
    printable,
)

FACSIMILE: Final = "FAC-SIMILE"
UNKNOWN_CODE: Final = "X" * 18
"""Stands for the notice code in a preview: no number has been reserved yet."""
SPECIMEN: Final = "FAC-SIMILE: QUESTO AVVISO NON SI PAGA"
"""What the codes of a preview say instead."""
MONTHS: Final = (
    "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno",
    "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre",
)  # fmt: skip


class Unprintable(Exception):
    """The documents cannot be made. `code` stable; `detail` Italian, for the clerk, without personal data."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def day(when: date) -> str:
    """`31/12/2026`."""
    return f"{when:%d/%m/%Y}"


def long_day(when: date) -> str:
    """`1º dicembre 2026`."""
    return f"{'1º' if when.day == 1 else when.day} {MONTHS[when.month - 1]} {when.year}"


def qr_payload(notice_code: str, creditor_tax_code: str, cents: int) -> str:
    """Guide 3.5, *codice QR*: five fields; the amount in cents, at least two digits. In a preview, words that no app takes
    for a payment."""
    if notice_code == UNKNOWN_CODE:
        return SPECIMEN
    return f"PAGOPA|002|{notice_code}|{creditor_tax_code}|{cents:02d}"


def stand_in(record: Record) -> Record:
    """The record as a preview shows it: whatever numbers it has, none of them is shown."""
    unknown = Position(
        order=1, state=SectionState.DONE, iuv=UNKNOWN_CODE[1:], notice_code=UNKNOWN_CODE,
        instalments=[
            InstalmentCode(number=each.number, iuv=UNKNOWN_CODE[1:], notice_code=UNKNOWN_CODE)
            for each in record.payment.instalments
        ],
    )  # fmt: skip
    return record.model_copy(update={"position": unknown})


@dataclass(frozen=True, slots=True)
class Notice:
    """The single-payment notice, every text already set in its box."""

    subject: Fitted
    creditor: Fitted
    creditor_tax_code: str
    office: Fitted
    contacts: Fitted
    name: Fitted
    fiscal_code: str
    address: Fitted
    amount: Fitted
    figures: str
    due_date: str
    data_name: Fitted
    data_creditor: Fitted
    data_subject: Fitted
    cbill: str | None
    notice_code: str
    qr: str


def notice_of(record: Record, creditor: Creditor) -> Notice:
    """The notice of a record that has a position. `Unprintable` names the field that does not fit its box."""
    debtor, payment = record.debtor, record.payment
    assert record.position is not None
    code, figures = record.position.notice_code, euros(payment.amount_cents)
    contacts = creditor.contacts
    line = " · ".join(part for part in (contacts.phone, contacts.email, contacts.website) if part)
    return Notice(
        subject=_set("causale", (payment.reason,), SUBJECT),
        creditor=_set("nome dell’ente", (creditor.name,), CREDITOR),
        creditor_tax_code=creditor.tax_code,
        office=_set("ufficio dell’ente", (contacts.office,), OFFICE),
        contacts=_without_loose_dots(_set("recapiti dell’ente", (line,), CONTACTS)),
        name=_set("intestazione", (debtor.name,), NAME),
        fiscal_code=debtor.fiscal_code,
        address=_set("indirizzo", address_lines(debtor.address), ADDRESS),
        amount=_set("importo", (f"{figures} Euro",), AMOUNT),
        figures=figures,
        due_date=day(payment.due_date),
        data_name=_set("intestazione", (debtor.name,), DATA_NAME),
        data_creditor=_set("nome dell’ente", (creditor.name,), DATA_NAME),
        data_subject=_set("causale", (payment.reason,), DATA_SUBJECT),
        cbill=creditor.cbill,
        notice_code=code,
        qr=qr_payload(code, creditor.tax_code, payment.amount_cents),
    )


def _set(field: str, paragraphs: tuple[str, ...], box: Box) -> Fitted:
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


# -- letters

RECORD_VARIABLES: Final = (
    "intestazione", "codice_fiscale", "partita_iva", "via", "localita", "indirizzo", "civico", "cap", "comune", "provincia",
    "importo", "scadenza", "scadenza_estesa", "causale", "codice_avviso", "iuv", "tipologia", "data", "data_estesa",
    "ente", "ente_codice_fiscale", "ente_ufficio", "ente_telefono", "ente_email", "ente_sito", "ente_cbill",
)  # fmt: skip
"""What every letter may name, all plain text; and the letter's own columns, each as `variable(heading)`."""


def variable(heading: str) -> str:
    """The name of a spreadsheet column in a letter: `Importo già pagato` → `importo_gia_pagato`."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().lower()
    return "_".join("".join(char if char.isalnum() else " " for char in plain).split())


def folded(heading: str) -> str:
    """A heading as the spreadsheet matches it: without case, accents, spaces, hyphens and underscores."""
    return variable(heading).replace("_", "")


def letter_variables(record: Record, creditor: Creditor, dated: date) -> dict[str, str]:
    """The values of `RECORD_VARIABLES`, and of every column that travels on the record under its folded heading."""
    debtor, payment, address, contacts = record.debtor, record.payment, record.debtor.address, creditor.contacts
    position = record.position
    values = (
        debtor.name, debtor.fiscal_code, debtor.vat_code,
        f"{address.street} {address.number}".strip(), _town(address.postal_code, address.city, address.province),
        address.street, address.number, address.postal_code, address.city, address.province,
        euros(payment.amount_cents), day(payment.due_date), long_day(payment.due_date), payment.reason,
        in_fours(position.notice_code if position else UNKNOWN_CODE), position.iuv if position else UNKNOWN_CODE[1:],
        creditor.payment_types[payment.payment_type].name, day(dated), long_day(dated),
        creditor.name, creditor.tax_code, contacts.office, contacts.phone, contacts.email, contacts.website,
        creditor.cbill or "",
    )  # fmt: skip
    return dict(zip(RECORD_VARIABLES, values, strict=True))


def letter_columns(columns: Mapping[str, str], headings: list[str]) -> dict[str, str]:
    """The values of a letter's own columns, by variable. A column that the record does not carry is left out."""
    carried = {folded(heading): value for heading, value in columns.items()}
    return {variable(heading): carried[folded(heading)] for heading in headings if folded(heading) in carried}


def _town(postal_code: str, city: str, province: str) -> str:
    return " ".join(part for part in (postal_code, city, f"({province})" if province else "") if part)
