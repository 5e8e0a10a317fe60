"""`/api/v1/records`: one notice, its documents, and what a person can do with it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Response

from services.status.api import deciding
from services.status.api.asked import Correct, SettleVerdict
from services.status.api.batches import Key, accepted
from services.status.api.context import Here
from services.status.api.previewing import previewed
from services.status.api.problems import ApiProblem, declared, produces
from services.status.api.record_queries import document_of, record_detail, record_row
from services.status.api.schemas import CommandAccepted, RecordDetail
from shared.contracts.record import DocumentRef
from shared.documents import DocumentCorrupt, DocumentMissing

log = structlog.get_logger()

router = APIRouter(prefix="/api/v1/records", tags=["Avvisi"])

FILE_NAMES = {"notice": "avviso", "letter": "lettera"}
# Viewers inside browsers style themselves; a PDF runs no script in our origin. Only framing stays forbidden.
PDF_HEADERS = {"content-security-policy": "frame-ancestors 'none'"}


def record_href(record_id: UUID) -> str:
    """Where a record is."""
    return f"/api/v1/records/{record_id}"


@router.get("/{record_id}", operation_id="getRecord", summary="Legge un avviso", responses=declared(404))
def get_record(context: Here, record_id: UUID) -> RecordDetail:
    """Dati, sezioni con le loro versioni, problemi e cronologia."""
    with context.database.read() as session:
        return record_detail(session, record_id, context.resting)


@router.get(
    "/{record_id}/documents/{kind}", operation_id="getDocument", summary="Scarica l'avviso o la lettera",
    response_class=Response,
    responses=produces("application/pdf", "binary") | declared(404, 409, 500, 503),
)  # fmt: skip
def get_document(context: Here, record_id: UUID, kind: Literal["notice", "letter"]) -> Response:
    """Il PDF, con l'impronta verificata. Prima della generazione è l'anteprima (FAC-SIMILE, senza codici da pagare), preparata
    in quel momento se non c'è ancora."""
    with context.database.read() as session:
        row = record_row(session, record_id)
        ref, number = document_of(row, kind), row.row
    ref = ref or previewed(context, record_id, kind)
    try:
        content = context.documents.get(ref)
    except (DocumentMissing, DocumentCorrupt) as error:
        raise _unusable(ref, error) from None
    name = f"{FILE_NAMES[kind]}-riga-{number}.pdf"
    headers = PDF_HEADERS | {"content-disposition": f'inline; filename="{name}"', "etag": f'"{ref.sha256}"'}
    return Response(content, media_type="application/pdf", headers=headers)


def _unusable(ref: DocumentRef, error: Exception) -> ApiProblem:
    log.error("document-unusable", sha256=ref.sha256, error=type(error).__name__)
    if isinstance(error, DocumentMissing):
        return ApiProblem(
            503, "document-missing", "Il documento non è nell'archivio: avvisare chi gestisce il servizio."
        )
    return ApiProblem(500, "document-corrupt", "Il documento nell'archivio è alterato e non viene mostrato.")


@router.post(
    "/{record_id}/retry", status_code=202, operation_id="retryRecord", summary="Riprova un avviso fermo",
    responses=declared(403, 404, 409),
)  # fmt: skip
def retry(context: Here, record_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Rimette in lavorazione un avviso fermo, senza cambiarlo."""
    return accepted(deciding.retry(context, record_id, key), response, record_href(record_id))


@router.post(
    "/{record_id}/correct", status_code=202, operation_id="correctRecord", summary="Correggi e rimanda",
    responses=declared(403, 404, 409),
)  # fmt: skip
def correct(context: Here, record_id: UUID, wanted: Correct, response: Response, key: Key = "") -> CommandAccepted:
    """Rifà l'avviso con i valori corretti; se nessun valore cambia, lo rimanda così com'è."""
    return accepted(deciding.correct(context, record_id, wanted, key), response, record_href(record_id))


@router.post(
    "/{record_id}/settle", status_code=202, operation_id="settleRecord", summary="Dice com'è andata",
    responses=declared(403, 404, 409),
)  # fmt: skip
def settle(
    context: Here, record_id: UUID, verdict: SettleVerdict, response: Response, key: Key = ""
) -> CommandAccepted:
    """Per un invio o una registrazione da verificare: `done` se è avvenuto; `not-done` se no, e si rifà."""
    return accepted(deciding.settle(context, record_id, verdict, key), response, record_href(record_id))
