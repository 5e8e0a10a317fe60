"""The pages' routes, static files and the page of an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from services.status.api.context import Context
from services.status.api.problems import Problem
from services.status.web import batch_pages, help_pages, record_actions, record_pages, wizard
from services.status.web.render import show_problem

STATIC = Path(__file__).parent / "static"


def error_page(context: Context) -> Callable[[Request, Problem], Response]:
    """What a person sees where a program gets a problem."""
    return lambda request, problem: show_problem(request, context, problem)


def icon() -> Response:
    """What a browser asks for by itself where it shows a PDF of ours, which cannot name its icon."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml")


def add_to(app: FastAPI) -> None:
    """Add the pages. They are no part of the API's description."""
    for module in (wizard, batch_pages, record_pages, record_actions, help_pages):
        app.include_router(module.router, include_in_schema=False)
    app.get("/favicon.ico", include_in_schema=False)(icon)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
