"""Records that another system lists, checked by the same rules as the rows of a sheet: each is laid out as a row with the
standard headings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final

from services.ingest.tracciato.across import Across
from services.ingest.tracciato.cells import Cell
from services.ingest.tracciato.findings import Findings
from services.ingest.tracciato.headings import (
    ADDRESS,
    AMOUNT,
    CHANNEL,
    CITY,
    FISCAL_CODE,
    NAME,
    NUMBER,
    POSTAL_CODE,
    PROVINCE,
    REASON,
    STANDARD,
    STANDARD_KEYS,
    STREET,
    SUBJECT,
    VAT_CODE,
    Headings,
    key,
    match,
)
from services.ingest.tracciato.reader import standards_of
from services.ingest.tracciato.rows import CheckedRow, check_row
from services.ingest.tracciato.tally import Tally
from shared.contracts.base import Channel
from shared.contracts.commands import BatchOptions, ListedRecord
from shared.creditors import Creditor

FIELDS: Final[Mapping[str, str]] = MappingProxyType({
    NAME: "name", FISCAL_CODE: "fiscal_code", VAT_CODE: "vat_code", AMOUNT: "amount_cents", SUBJECT: "subject",
    REASON: "reason", ADDRESS: "address", CHANNEL: "channel", STREET: "postal.street", NUMBER: "postal.number",
    POSTAL_CODE: "postal.postal_code", CITY: "postal.city", PROVINCE: "postal.province",
})  # fmt: skip
"""The contract's name of each column."""
CHANNELS: Final = {Channel.PEC: "PEC", Channel.EMAIL: "E-mail", Channel.AUTO: "In base all'indirizzo"}


def field_of(column: str) -> str:
    """The contract's name of a column, as a problem names it."""
    return FIELDS.get(column, f"columns.{column}")


class Listing(Tally):
    """Checked rows, in order, numbered from 1. Counts as `Reading` does; there is nothing hidden in a list."""

    sheet_name = ""
    hidden_rows = hidden_sheets = blank_rows = 0

    def __init__(
        self, records: Sequence[ListedRecord], options: BatchOptions, creditor: Creditor, today: date | None = None
    ) -> None:
        """`today` is Rome's date unless given. Raises `StructureError` for options that cannot be."""
        self._records = records
        self._standards = standards_of(options, creditor, today)
        self._headings = _headings(self._standards.letter_columns)
        self.ignored_columns: list[str] = []
        super().__init__()

    def __iter__(self) -> Iterator[CheckedRow]:
        """The rows; all are looked at before the first comes, for what only several together tell."""
        laid_out = [_cells(record, self._headings) for record in self._records]
        across = Across(self._headings)
        for number, cells in enumerate(laid_out, start=1):
            across.see(number, cells)
        self.begin()
        for number, cells in enumerate(laid_out, start=1):
            findings = Findings(number, self._headings, cells)
            across.warn(findings)
            yield self.counted(check_row(findings, self._standards))


def _headings(letter_columns: Sequence[str]) -> Headings:
    own = [column for column in letter_columns if key(column) not in STANDARD_KEYS]
    return match(0, dict(enumerate((*STANDARD, *own), start=1)), (), letter_columns, "")


def _cells(record: ListedRecord, headings: Headings) -> dict[int, Cell]:
    """The record's values where the sheet would have them; the amount as a number, so that it can be read in one way."""
    postal = record.postal
    values = {
        NAME: record.name, FISCAL_CODE: record.fiscal_code, VAT_CODE: record.vat_code, SUBJECT: record.subject,
        REASON: record.reason, ADDRESS: record.address, STREET: postal.street, NUMBER: postal.number,
        POSTAL_CODE: postal.postal_code, CITY: postal.city, PROVINCE: postal.province,
        CHANNEL: CHANNELS[record.channel] if record.channel else "",
    }  # fmt: skip
    others = {column: record.columns.get(column, "") for column in headings.columns if column not in STANDARD}
    cells = {headings.columns[column]: Cell("text", text) for column, text in {**others, **values}.items() if text}
    return cells | {headings.columns[AMOUNT]: Cell("number", _euros(record.amount_cents))}


def _euros(cents: int) -> str:
    sign, (euros, rest) = "-" if cents < 0 else "", divmod(abs(cents), 100)
    return f"{sign}{euros},{rest:02}"
