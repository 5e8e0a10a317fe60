"""What notice and letter have in common, and a record as the variables of a letter. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Final

from shared.contracts.record import InstalmentCode, Position, Record, SectionState
from shared.creditors import Creditor
from shared.italian import euros, in_fours

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
