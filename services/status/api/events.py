"""`GET /api/v1/events`: what changed, as server-sent events. Ids only, no personal data."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from services.status.api.context import Here
from services.status.api.hub import Hub, News
from services.status.api.problems import declared, produces

router = APIRouter(prefix="/api/v1", tags=["Eventi"])

LOOK_SECONDS = 0.25
"""How often a stream looks: what changed meanwhile is one message."""
BEAT_SECONDS = 15
RETRY_MS = 2000


@router.get(
    "/events", operation_id="streamEvents", summary="Segue ciò che cambia (SSE)", response_class=StreamingResponse,
    responses=produces("text/event-stream") | declared(),
)  # fmt: skip
async def events(
    context: Here,
    request: Request,
    batch: Annotated[UUID | None, Query(description="Solo questo invio.")] = None,
    last_event_id: Annotated[str, Header(max_length=64)] = "",
) -> StreamingResponse:
    """Eventi `changed` (`{"batches": [...], "records": [...], "lanes": bool}`; `records` vuoto se sono troppi) e
    `reset` (ricaricare tutto: la connessione è mancata troppo a lungo)."""
    stream = follow(context.hub, last_event_id or context.hub.now(), batch, request)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def follow(hub: Hub, cursor: str, batch: UUID | None, request: Request) -> AsyncIterator[str]:
    """The stream, until the reader leaves or the service stops. The first message gives the reader its cursor."""
    yield f"retry: {RETRY_MS}\nid: {cursor}\nevent: hello\ndata: {{}}\n\n"
    quiet = 0.0
    while not hub.closed and not await request.is_disconnected():
        news = hub.since(cursor, batch)
        cursor = news.cursor
        if not news.empty:
            quiet = 0.0
            yield message_of(news)
        elif quiet >= BEAT_SECONDS:
            quiet = 0.0
            yield ": \n\n"
        await asyncio.sleep(LOOK_SECONDS)
        quiet += LOOK_SECONDS


def message_of(news: News) -> str:
    """One event on the wire."""
    if news.reset:
        return f"id: {news.cursor}\nevent: reset\ndata: {{}}\n\n"
    told = {
        "batches": sorted(map(str, news.batches)),
        "records": sorted(map(str, news.records)),
        "lanes": news.lanes,
    }
    return f"id: {news.cursor}\nevent: changed\ndata: {json.dumps(told)}\n\n"
