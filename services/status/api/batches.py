"""`/api/v1/batches`: ask for a batch, look at it, decide about it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Header, Query, Response, UploadFile

from services.status.api.asked import RecordSearch
from services.status.api.asking import BatchAsk, ask_for_batch, keep_sheet
from services.status.api.context import Context, Here
from services.status.api.deciding import Decision, decide, restate
from services.status.api.problems import declared
from services.status.api.queries import batch_detail, batch_page, batch_row
from services.status.api.record_queries import record_page
from services.status.api.schemas import BatchDetail, BatchPage, CommandAccepted, RecordPage
from services.status.tables import KeptCommand

router = APIRouter(prefix="/api/v1", tags=["Invii"])

Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key", max_length=200,
        description="La stessa chiave con la stessa richiesta dà la stessa risposta, e non fa nulla due volte.",
    ),
]  # fmt: skip


class BatchForm(BatchAsk):
    """The request's parts: the spreadsheet, and the data of the three screens."""

    file: UploadFile


def accepted(kept: KeptCommand, response: Response, href: str) -> CommandAccepted:
    """202 with the place where the outcome will show."""
    response.headers["location"] = href
    response.headers["retry-after"] = "1"
    return CommandAccepted(command_id=kept.id, batch_id=kept.batch_id, kind=kept.kind, href=href)


def batch_href(batch_id: UUID | None) -> str:
    """Where a batch is."""
    return f"/api/v1/batches/{batch_id}" if batch_id else "/api/v1/batches"


@router.post(
    "/batches", status_code=202, operation_id="requestBatch", summary="Chiede un invio massivo",
    responses=declared(403, 409, 413),
)  # fmt: skip
def request_batch(
    context: Here,
    form: Annotated[BatchForm, Form(media_type="multipart/form-data")],
    response: Response,
    key: Key = "",
) -> CommandAccepted:
    """Carica il foglio (al massimo 20 MB) con le sue opzioni. La lettura comincia subito dopo la risposta."""
    ask = BatchAsk(**form.model_dump(exclude={"file"}))
    sheet = keep_sheet(context, form.file.file.read(context.settings.upload_limit_bytes + 1))
    kept = ask_for_batch(context, ask, sheet, form.file.filename or "", key)
    return accepted(kept, response, batch_href(kept.batch_id))


@router.get("/batches", operation_id="listBatches", summary="Elenca gli invii, dal più recente", responses=declared())
def list_batches(context: Here, page: Annotated[int, Query(ge=1, le=10_000)] = 1) -> BatchPage:
    """Una pagina di invii con i conteggi per stato."""
    with context.database.read() as session:
        return batch_page(session, page)


@router.get("/batches/{batch_id}", operation_id="getBatch", summary="Legge un invio", responses=declared(404))
def get_batch(context: Here, batch_id: UUID) -> BatchDetail:
    """Stato, conteggi, problemi, comandi. Subito dopo la richiesta lo stato è `pending`."""
    with context.database.read() as session:
        return batch_detail(session, batch_id, context.resting)


@router.post(
    "/batches/{batch_id}/records/search", operation_id="searchRecords", summary="Cerca tra gli avvisi di un invio",
    responses=declared(403, 404),
)  # fmt: skip
def search_records(context: Here, batch_id: UUID, search: RecordSearch) -> RecordPage:
    """È una POST perché nomi e codici fiscali non stiano negli indirizzi."""
    with context.database.read() as session:
        batch_row(session, batch_id)
        return record_page(session, search, batch_id, context.resting)


def _decided(context: Context, batch_id: UUID, decision: Decision, response: Response, key: str) -> CommandAccepted:
    return accepted(decide(context, batch_id, decision, key), response, batch_href(batch_id))


@router.post(
    "/batches/{batch_id}/generate", status_code=202, operation_id="generateNotices", summary="Genera avvisi PagoPA",
    responses=declared(403, 404, 409),
)  # fmt: skip
def generate(context: Here, batch_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Per ogni riga senza problemi apre l'avviso su pagoPA e produce i documenti. Non invia nulla."""
    return _decided(context, batch_id, Decision.GENERATE, response, key)


@router.post(
    "/batches/{batch_id}/send", status_code=202, operation_id="sendNotices", summary="Esegui invio massivo",
    responses=declared(403, 404, 409),
)  # fmt: skip
def send(context: Here, batch_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Protocolla, dove chiesto, e invia ogni avviso generato."""
    return _decided(context, batch_id, Decision.SEND, response, key)


@router.post(
    "/batches/{batch_id}/pause", status_code=202, operation_id="pauseBatch", summary="Mette in pausa un invio",
    responses=declared(403, 404, 409),
)  # fmt: skip
def pause(context: Here, batch_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Ciò che è già in lavorazione finisce; altro non comincia."""
    return _decided(context, batch_id, Decision.PAUSE, response, key)


@router.post(
    "/batches/{batch_id}/resume", status_code=202, operation_id="resumeBatch", summary="Riprende un invio in pausa",
    responses=declared(403, 404, 409),
)  # fmt: skip
def resume(context: Here, batch_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Riprende da dove si era fermato."""
    return _decided(context, batch_id, Decision.RESUME, response, key)


@router.post(
    "/batches/{batch_id}/cancel", status_code=202, operation_id="cancelBatch", summary="Interrompe un invio per sempre",
    responses=declared(403, 404, 409),
)  # fmt: skip
def cancel(context: Here, batch_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Ritira da pagoPA gli avvisi che non sono partiti."""
    return _decided(context, batch_id, Decision.CANCEL, response, key)


@router.post(
    "/batches/{batch_id}/restate", status_code=202, operation_id="restateBatch", summary="Riallinea un invio",
    responses=declared(403, 404),
)  # fmt: skip
def restate_batch(context: Here, batch_id: UUID, response: Response, key: Key = "") -> CommandAccepted:
    """Ogni servizio ripete ciò che sa di questo invio. Non fa null'altro."""
    with context.database.read() as session:
        batch_row(session, batch_id)
    return accepted(restate(context, [batch_id], key), response, batch_href(batch_id))


@router.post("/restate", status_code=202, operation_id="restateAll", summary="Riallinea tutto", responses=declared(403))
def restate_all(context: Here, response: Response, key: Key = "") -> CommandAccepted:
    """Ogni servizio ripete ciò che sa di tutti gli invii. Non fa null'altro."""
    return accepted(restate(context, None, key), response, batch_href(None))
