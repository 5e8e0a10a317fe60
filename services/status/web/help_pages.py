"""What the states mean, and the API's description for people: both made here, so that no page loads from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.status.api.context import Here
from services.status.api.wording import STATE_HELP
from services.status.web.render import show

router = APIRouter()


@router.get("/guida/stati")
def states(request: Request, context: Here) -> Response:
    """Each state: what it means, what to do."""
    return show(request, context, "states.html", explained=STATE_HELP)


@router.get("/docs")
def docs(request: Request, context: Here) -> Response:
    """The API, operation by operation."""
    schema = request.app.openapi()
    operations = [
        {"method": method.upper(), "path": path, **operation}
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    return show(request, context, "docs.html", info=schema["info"], operations=operations)
