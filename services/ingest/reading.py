"""A stored spreadsheet as rows of ours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from services.ingest.asking import WholeRequest
from services.ingest.model import RowState, content_hash, duplicate_key
from services.ingest.refusals import Refusal
from services.ingest.tables import Row
from services.ingest.tracciato import CheckedRow, Listing, Reading, read_tracciato, to_record
from shared.contracts.record import DocumentRef, Record
from shared.creditors import Creditors
from shared.creditors.letters import ARCHIVE, LetterWrong, manifest_of, pack, read_folder
from shared.documents import DocumentCorrupt, DocumentMissing, DocumentStore
from shared.ids import record_id

CHUNK = 200


@contextmanager
def opened(request: WholeRequest, documents: DocumentStore, creditors: Creditors) -> Iterator[Reading]:
    """The reading of the request's spreadsheet, over a temporary file that ends with it. Raises `Refusal` and
    `StructureError`."""
    try:
        content = documents.get(request.sheet)
    except (DocumentMissing, DocumentCorrupt):
        raise Refusal("sheet-missing") from None
    with tempfile.TemporaryDirectory(prefix="staffetta-") as folder:
        path = Path(folder) / "tracciato.xlsx"
        path.write_bytes(content)
        with read_tracciato(path, request.options, creditors.creditors[request.creditor]) as reading:
            yield reading


def chunks(rows: Iterable[CheckedRow]) -> Iterator[list[CheckedRow]]:
    """As many as go into one transaction and one message."""
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


def template_of(request: WholeRequest, documents: DocumentStore, creditors: Creditors) -> DocumentRef | None:
    """The letter's template as it is now, put into the store: the rows that are read now keep it, whatever becomes of the
    folder. Raises `Refusal` for one that changed its columns since we started, or that cannot be read."""
    options = request.options
    payment_type = creditors.creditors[request.creditor].payment_types.get(options.payment_type)
    letter = payment_type.letters.get(options.letter or "") if payment_type else None
    if letter is None:
        return None
    try:
        files = read_folder(letter.template)
        columns = manifest_of(files).columns
    except (OSError, LetterWrong):
        raise Refusal("letter-unreadable") from None
    if columns != letter.columns:
        raise Refusal("letter-columns-changed")
    return documents.put(pack(files), ARCHIVE)


def record_of(request: WholeRequest, checked: CheckedRow, template: DocumentRef | None = None) -> Record | None:
    """The record of a row that can go on."""
    if not checked.accepted:
        return None
    options = request.options
    return to_record(
        checked, request.batch_id, request.creditor, options.letter, template,
        merged=options.merged and options.letter is not None,
    )  # fmt: skip


def row_of(
    request: WholeRequest, checked: CheckedRow, revision: int, reference: str = "", *, template: DocumentRef | None
) -> Row:
    """A row that was never issued. `reference`: another system's, that wants to hear of it."""
    row = Row(
        id=record_id(request.batch_id, checked.row), batch_id=request.batch_id, number=checked.row,
        creditor=request.creditor, state=RowState.REJECTED.value, revision=revision,
        preview="" if checked.accepted and request.options.letter else "none",
        problems=[problem.model_dump(mode="json") for problem in checked.problems],
        warnings=[warning.model_dump(mode="json") for warning in checked.warnings],
    )  # fmt: skip
    record = record_of(request, checked, template)
    if record is not None and reference:
        record, row.news, row.told = record.model_copy(update={"reference": reference}), 1, 1
    if record is None:
        row.cells = checked.cells
        return row
    row.hold(record)
    row.state = RowState.READY.value
    row.sheet_hash, row.duplicate = content_hash(record), duplicate_key(record)
    return row


def counted(reading: Reading | Listing, removed: list[int]) -> dict[str, Any]:
    """What a whole reading came to."""
    return {
        "rows": reading.accepted + reading.rejected,
        "accepted": reading.accepted,
        "rejected": reading.rejected,
        "total_cents": reading.total_cents,
        "hidden_rows": reading.hidden_rows,
        "hidden_sheets": reading.hidden_sheets,
        "blank_rows": reading.blank_rows,
        "ignored_columns": reading.ignored_columns,
        "warnings": [warning.model_dump() for warning in reading.warnings],
        "removed_rows": removed,
        "sheet_name": reading.sheet_name,
    }
