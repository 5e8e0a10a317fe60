"""The documents of a record that has none yet: made as FAC-SIMILE when somebody looks."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import UUID

from services.status.api.context import Context
from services.status.api.problems import ApiProblem, missing
from services.status.api.record_queries import record_row
from services.status.api.wording import explained
from services.status.tables import RecordRow
from shared.contracts.commands import PreviewRecord
from shared.contracts.envelope import Envelope
from shared.contracts.record import DocumentRef, Orders, Record

POLL_SECONDS: Final = 0.05


def previewed(context: Context, record_id: UUID, kind: str) -> DocumentRef:
    """The notice or letter as FAC-SIMILE; asked for, and awaited, where it is not there. Raises 404 where there will be
    none, 409 where it cannot be made, 503 where it takes too long."""
    with context.database.read() as session:
        row = record_row(session, record_id)
    record = row.record
    if record is None:
        raise missing("document")
    if (found := _standing(row, kind)) is None:
        if kind == "letter" and not record.letter:
            raise missing("document")
        _ask(context, row, record)
        deadline = time.monotonic() + context.settings.preview_seconds
        while found is None:
            if time.monotonic() > deadline:
                raise ApiProblem(
                    503, "preview-late", "L'anteprima è ancora in preparazione: riprovare fra qualche secondo."
                )
            time.sleep(POLL_SECONDS)
            with context.database.read() as session:
                found = _standing(record_row(session, record_id), kind)
    return found


def _standing(row: RecordRow, kind: str) -> DocumentRef | None:
    """What a preview of the row's present values showed; `None`: there was none."""
    preview: dict[str, Any] = row.preview or {}
    if row.preview_revision != row.row_revision:
        return None
    if kind in preview:
        return DocumentRef.model_validate(preview[kind])
    if preview.get("code"):
        raise ApiProblem(409, "preview-failed", explained(preview["code"], preview.get("detail", "")))
    return None


def _ask(context: Context, row: RecordRow, record: Record) -> None:
    orders = Orders.model_validate(row.orders)
    command = PreviewRecord(record=record, orders=orders, revision=row.row_revision)
    try:
        context.publisher.publish([Envelope.of(command, source="status", correlation=row.batch_id)])
    except Exception as error:
        raise ApiProblem(503, "preview-late", "L'anteprima non si può chiedere ora: riprovare fra poco.") from error
