"""For those who keep it running: health, readiness, metrics."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import text

from services.status.api.context import Here
from services.status.api.problems import produces
from services.status.api.schemas import Health
from shared.metrics import text as metrics_text

log = structlog.get_logger()

router = APIRouter(tags=["Esercizio"])


@router.get("/healthz", operation_id="health", summary="Il processo risponde")
def healthz() -> Health:
    """Non guarda altro che sé stesso."""
    return Health(status="ok")


@router.get("/readyz", operation_id="readiness", summary="Il servizio può lavorare", responses={503: {"model": Health}})
def readyz(context: Here, response: Response) -> Health:
    """La banca dati risponde, e nessuna coda è ferma per un guasto nostro (disco, banca dati)."""
    try:
        with context.database.read() as session:
            session.connection().execute(text("SELECT 1"))
    except Exception as error:
        log.warning("not-ready", error=type(error).__name__)
        response.status_code = 503
        return Health(status="unavailable", checks={"database": "unavailable"})
    if held := context.troubles():
        response.status_code = 503
        return Health(status="unavailable", checks={"database": "ok"} | dict.fromkeys(sorted(held), "held"))
    return Health(status="ok", checks={"database": "ok"})


@router.get(
    "/metrics", operation_id="metrics", summary="Metriche per Prometheus", response_class=Response,
    responses=produces("text/plain"),
)  # fmt: skip
def metrics() -> Response:
    """Nessun dato personale, nessun identificativo."""
    return Response(metrics_text(), headers={"content-type": CONTENT_TYPE_LATEST})
