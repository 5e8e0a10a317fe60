"""Builders of what travels: whole and valid, with the parts that a test is about given by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

from shared.contracts.base import Channel
from shared.contracts.record import (
    Debtor,
    Delivery,
    DocumentRef,
    Documents,
    Instalment,
    InstalmentCode,
    Payment,
    Position,
    ProtocolRequest,
    Record,
    SectionState,
)
from shared.creditors.letters import pack
from shared.documents import PDF
from shared.ids import record_id

BATCH = UUID("0191e0c0-0000-7000-8000-000000000001")


def a_document(content: bytes = b"%PDF-1.7 notice") -> DocumentRef:
    """A reference to a PDF with this content."""
    return DocumentRef(sha256=hashlib.sha256(content).hexdigest(), media_type=PDF, size=len(content))


def a_letter_folder(folder: Path, page: str, columns: Sequence[str] = (), **files: str) -> Path:
    """A letter's folder: this page, these columns, and `files` (`letter_css` is `letter.css`)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "letter.html").write_text(page, "utf-8")
    (folder / "letter.toml").write_text(f"columns = {json.dumps(list(columns), ensure_ascii=False)}\n", "utf-8")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, "utf-8")
    return folder


def a_letter_archive(page: str, columns: Sequence[str] = (), manifest: str = "", **files: str) -> bytes:
    """The same, packed."""
    first = f"columns = {json.dumps(list(columns), ensure_ascii=False)}\n{manifest}"
    texts = {"letter.toml": first, "letter.html": page} | {name.replace("_", "."): text for name, text in files.items()}
    return pack({name: text.encode() for name, text in texts.items()})


def a_record(row: int = 2, **parts: Any) -> Record:
    """Row `row` of `BATCH`, to be registered and sent by PEC, with nothing done yet."""
    record = Record(
        id=record_id(BATCH, row),
        batch_id=BATCH,
        row=row,
        creditor="c_x999",
        debtor=Debtor(name="Rossi Maria", fiscal_code="RSSMRA85T50H501S"),
        payment=Payment(
            payment_type="scuolabus", amount_cents=8505, due_date=date(2027, 1, 23), reason="Trasporto scolastico"
        ),
        delivery=Delivery(channel=Channel.PEC, address="maria.rossi@pec.example"),
        protocol=ProtocolRequest(subject="Avviso di pagamento", classification="7.1", office="scuola"),
    )
    return record.model_copy(update=parts)


def a_rendered_record(row: int = 2, **parts: Any) -> Record:
    """The same with its position open and its notice made."""
    position = Position(
        order=1, state=SectionState.DONE, iupd=f"STF-{row}", iuv="12000000000004260", notice_code="312000000000004260"
    )
    documents = Documents(order=1, state=SectionState.DONE, notice=a_document(f"%PDF-1.7 notice {row}".encode()))
    return a_record(row, **{"position": position, "documents": documents, **parts})


def a_record_in_instalments(count: int, row: int = 2, *, in_full: bool = True, **parts: Any) -> Record:
    """A rendered record to be paid in `count` instalments, each with a notice code of its own, or in full as well."""
    record = a_rendered_record(row)
    assert record.position is not None
    numbers = range(1, count + 1)
    payment = record.payment.model_copy(
        update={
            "instalments": [
                Instalment(number=n, amount_cents=8505 + n, due_date=date(2027 + n // 12, 1 + n % 12, 15))
                for n in numbers
            ],
            "in_full": in_full,
        }
    )
    position = record.position.model_copy(
        update={
            "instalments": [
                InstalmentCode(number=n, iuv=f"120000000000{n:05}", notice_code=f"3120000000000{n:05}") for n in numbers
            ],
            **({} if in_full else {"iuv": "", "notice_code": ""}),
        }
    )
    return record.model_copy(update={"payment": payment, "position": position, **parts})
