"""Builders of what travels: whole and valid, with the parts that a test is about given by name."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any
from uuid import UUID

from shared.contracts.base import Channel
from shared.contracts.record import (
    Debtor,
    Delivery,
    DocumentRef,
    Documents,
    Payment,
    Position,
    ProtocolRequest,
    Record,
    SectionState,
)
from shared.documents import PDF
from shared.ids import record_id

BATCH = UUID("0191e0c0-0000-7000-8000-000000000001")


def a_document(content: bytes = b"%PDF-1.7 notice") -> DocumentRef:
    """A reference to a PDF with this content."""
    return DocumentRef(sha256=hashlib.sha256(content).hexdigest(), media_type=PDF, size=len(content))


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
