"""Asking for a batch: the three screens' data (S12 to S14) checked against the creditors' file, and the command made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from uuid import UUID

import uuid6
from pydantic import Field
from sqlmodel import Session

from services.status.api.asked import Asked
from services.status.api.context import Context
from services.status.api.problems import ApiProblem, FieldProblem, conflict
from services.status.api.wording import ROME
from services.status.tables import BatchRow, KeptCommand
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import BatchOptions, RegisterOptions, RequestBatch
from shared.contracts.record import DocumentRef
from shared.creditors import Creditor, Creditors, PaymentType
from shared.documents import XLSX

CLIENT = "dashboard"
OPERATOR = "operatore"
"""Who asked, until there are accounts."""


class BatchAsk(Asked):
    """What a batch is asked with, next to its spreadsheet. Where empty, `reason`, `subject`, `classification` and
    `office` are the payment type's. `batch_id`: of a batch whose corrected spreadsheet this is."""

    creditor: str
    payment_type: str
    channel: Channel
    due_date: date
    reason: str = Field(default="", max_length=140)
    letter: str = ""
    merged: bool = False
    registration: bool = False
    subject: str = Field(default="", max_length=500)
    classification: str = Field(default="", max_length=50)
    office: str = Field(default="", max_length=100)
    dossier: str = Field(default="", max_length=100)
    document_type: str = Field(default="", max_length=100)
    until: Phase = Phase.PREVIEW
    batch_id: UUID | None = None


def options_of(ask: BatchAsk, creditors: Creditors) -> BatchOptions:
    """The options, whole. Raises `ApiProblem` 422 with every field that is wrong."""
    creditor, kind = _known(ask, creditors)
    today = datetime.now(UTC).astimezone(ROME).date()
    registration = _registration(ask, kind) if ask.registration else None
    asked: Mapping[str, tuple[bool, str]] = {
        "due_date": (ask.due_date >= today, "La scadenza è già passata."),
        "letter": (not ask.letter or ask.letter in kind.letters, "Questa tipologia non ha questa lettera."),
        "channel": (_has_mailbox(creditor, ask.channel), "L'ente non ha una casella per questo tipo di spedizione."),
        "classification": (not registration or bool(registration.classification), "Serve la classificazione."),
        "office": (not registration or bool(registration.office), "Serve l'ufficio mittente."),
    }
    wrong = [
        FieldProblem(field=name, code="not-allowed", detail=text) for name, (fine, text) in asked.items() if not fine
    ]
    if wrong:
        raise ApiProblem(422, "invalid-request", "Alcuni dati sono da correggere.", wrong)
    return BatchOptions(
        channel=ask.channel, payment_type=ask.payment_type, due_date=ask.due_date, reason=ask.reason or kind.reason,
        letter=ask.letter or None, merged=ask.merged and bool(ask.letter), register_options=registration,
    )  # fmt: skip


def keep_sheet(context: Context, content: bytes) -> DocumentRef:
    """The spreadsheet, in the store. Whether it can be read is ingest's to say; that it is one is seen at once."""
    if not content:
        raise sheet_problem("empty-file", "Il file è vuoto: scegliere il foglio Excel compilato.")
    if len(content) > context.settings.upload_limit_bytes:
        size = context.settings.upload_limit_bytes // (1024 * 1024)
        raise ApiProblem(413, "too-large", f"Il file è troppo grande: al massimo {size} MB.")
    return context.documents.put(content, XLSX)


def sheet_problem(code: str, detail: str) -> ApiProblem:
    """422 about the file."""
    return ApiProblem(422, "invalid-request", detail, [FieldProblem(field="file", code=code, detail=detail)])


def ask_for_batch(context: Context, ask: BatchAsk, sheet: DocumentRef, file_name: str, key: str = "") -> KeptCommand:
    """Keep and publish `RequestBatch`; the batch shows as pending from now on."""
    options = options_of(ask, context.creditors)
    batch_id = ask.batch_id or UUID(str(uuid6.uuid7()))
    command = RequestBatch(
        command_id=UUID(str(uuid6.uuid7())), batch_id=batch_id, request_id=str(batch_id), client=CLIENT, by=OPERATOR,
        creditor=ask.creditor, options=options, sheet=sheet, file_name=_plain_name(file_name), until=ask.until,
    )  # fmt: skip

    def begin(session: Session) -> None:
        row = session.get(BatchRow, batch_id)
        if ask.batch_id is not None and (row is None or row.cancelled):
            raise conflict("batch-not-open", "Questo invio non c'è o è stato interrotto: cominciarne uno nuovo.")
        if row is not None and row.client:
            raise conflict(
                "client-batch", "Questo invio è stato chiesto da un altro sistema: un foglio non lo può cambiare."
            )
        row = row or BatchRow(id=batch_id, created_at=datetime.now(UTC))
        row.refusal = None
        if not row.ingested_revision:
            row.creditor, row.payment_type, row.file_name = ask.creditor, ask.payment_type, command.file_name
            row.options = options.model_dump(mode="json")
        session.add(row)

    return context.desk.submit(command, key=key, about=ask.batch_id, before=begin)


def _known(ask: BatchAsk, creditors: Creditors) -> tuple[Creditor, PaymentType]:
    creditor = creditors.creditors.get(ask.creditor)
    kind = creditor.payment_types.get(ask.payment_type) if creditor else None
    if creditor is not None and kind is not None:
        return creditor, kind
    field, detail = (
        ("payment_type", "Questa tipologia di pagamento non è configurata.") if creditor
        else ("creditor", "Questo ente non è configurato.")
    )  # fmt: skip
    raise ApiProblem(422, "invalid-request", detail, [FieldProblem(field=field, code="not-allowed", detail=detail)])


def _registration(ask: BatchAsk, kind: PaymentType) -> RegisterOptions:
    return RegisterOptions(
        subject=ask.subject or kind.subject, classification=ask.classification or kind.classification,
        office=ask.office or kind.office, dossier=ask.dossier, document_type=ask.document_type,
    )  # fmt: skip


def _has_mailbox(creditor: Creditor, channel: Channel) -> bool:
    if channel is Channel.AUTO:
        return bool(creditor.mailboxes)
    return creditor.mailbox(channel) is not None


def _plain_name(name: str) -> str:
    """The file's own name without the folders that some browsers put before it."""
    return PurePosixPath(name.replace("\\", "/")).name[:200] or "elenco.xlsx"
