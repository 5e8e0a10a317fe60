"""The records that a letter is tried with: two invented ones, or those rows of a spreadsheet that try it hardest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid5

from services.ingest.tracciato import read_tracciato, to_record
from services.ingest.tracciato.headings import key
from shared.contracts.base import Channel
from shared.contracts.commands import BatchOptions
from shared.contracts.record import Address, Debtor, Delivery, Payment, Record
from shared.creditors import Creditor, Letter

BATCH = UUID("00000000-0000-5000-8000-000000000000")
FIRST_ROWS = 3
FULL = Address(
    street="Via dell’Esempio Lunghissimo", number="123/bis", postal_code="00999", city="Borgo Esempio", province="EX"
)
LONG_NAME = "Associazione di Esempio Dal Nome Molto Lungo e di Più Parole"


class ColumnsMissing(Exception):
    """The spreadsheet lacks columns that the letter names: `names`, as the manifest spells them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def invented(creditor: str, payment_type: str, letter: Letter) -> list[Record]:
    """One with all that a record can have, one with no more than it must have; rows 1 and 2."""

    def record(row: int, debtor: Debtor, value: Callable[[str], str]) -> Record:
        payment = Payment(payment_type=payment_type, amount_cents=123_456, due_date=_due(), reason="Causale di esempio")
        return Record(
            id=uuid5(BATCH, str(row)), batch_id=BATCH, row=row, creditor=creditor, debtor=debtor, payment=payment,
            delivery=Delivery(channel=Channel.EMAIL), letter=letter.title,
            columns={each: value(each) for each in letter.columns},
        )  # fmt: skip

    return [
        record(
            1, Debtor(name=LONG_NAME, fiscal_code="X" * 16, address=FULL), lambda column: f"{column}: esempio lungo"
        ),
        record(2, Debtor(name="Li Wu", fiscal_code="X" * 16), lambda _column: ""),
    ]


def of_sheet(path: Path, code: str, creditor: Creditor, payment_type: str, letter: Letter) -> tuple[list[Record], int]:
    """The first rows, and those with the longest text in each field; and how many rows are to be corrected first.

    Raises `ColumnsMissing` and the spreadsheet's `StructureError`.
    """
    kind, name = creditor.payment_types[payment_type], letter.title
    creditor = with_letters(creditor, payment_type, {name: letter})
    options = BatchOptions(
        channel=Channel.AUTO, payment_type=payment_type, due_date=_due(), reason=kind.reason or "Causale di esempio"
    )
    with read_tracciato(path, options, creditor) as reading:
        there = set(map(key, reading.headings.names.values()))
    if missing := [column for column in letter.columns if key(column) not in there]:
        raise ColumnsMissing(missing)
    hardest: dict[str, tuple[int, Record]] = {}
    with read_tracciato(path, options.model_copy(update={"letter": name}), creditor) as reading:
        for number, checked in enumerate(row for row in reading if row.accepted):
            record = to_record(checked, BATCH, code, name)
            if number < FIRST_ROWS:
                hardest[f"row {number}"] = 0, record
            for field, text in _texts(record).items():
                if len(text) > hardest.get(field, (0, record))[0]:
                    hardest[field] = len(text), record
        rejected = reading.rejected
    chosen = {record.row: record for _, record in hardest.values()}
    return [chosen[row] for row in sorted(chosen)], rejected


def with_letters(creditor: Creditor, payment_type: str, letters: dict[str, Letter]) -> Creditor:
    """The creditor with this payment type alone, and these letters of it."""
    kind = creditor.payment_types[payment_type].model_copy(update={"letters": letters})
    return creditor.model_copy(update={"payment_types": {payment_type: kind}})


def _texts(record: Record) -> dict[str, str]:
    address = record.debtor.address
    return {
        "name": record.debtor.name, "reason": record.payment.reason, "street": f"{address.street} {address.number}",
        "city": address.city, **{f"column {name}": text for name, text in record.columns.items()},
    }  # fmt: skip


def _due() -> date:
    return date.today() + timedelta(days=30)  # noqa: DTZ011 - any day to come
