"""The web application: API, pages, guard."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from services.status.api import batches, events, operations, problems, records
from services.status.api.context import Context
from services.status.api.security import Guard
from services.status.web import pages

DESCRIPTION = """API di Staffetta per gli invii massivi di avvisi pagoPA.

Gli importi sono in centesimi, gli orari in UTC. Ogni errore è un *problem* RFC 9457 con un `code` stabile. I comandi
rispondono 202: l'esito si legge tra i `commands` dell'invio, o seguendo `GET /api/v1/events`."""


def build_app(context: Context) -> FastAPI:
    """The application on its context."""
    app = FastAPI(
        title="Staffetta", version=version("staffetta"), description=DESCRIPTION, docs_url=None, redoc_url=None,
        middleware=[
            Middleware(Guard, upload_limit=context.settings.upload_limit_bytes, error_page=pages.error_page(context)),
        ],
    )  # fmt: skip
    app.state.context = context
    app.state.error_page = pages.error_page(context)
    for error in (problems.ApiProblem, RequestValidationError, HTTPException, DataError):
        app.add_exception_handler(error, problems.answer)
    for router in (batches.router, records.router, events.router, operations.router):
        app.include_router(router)
    pages.add_to(app)
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the `Problem` schema, which the routes refer to, among the components."""
    made = app.openapi

    def openapi() -> dict[str, object]:
        schema = made()
        models = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema["components"]["schemas"]
        schemas.update(models.pop("$defs", {}))
        schemas["Problem"] = models
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
