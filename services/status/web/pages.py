"""Pages: placeholder wiring until the templates below exist."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.status.api.context import Context
from services.status.api.problems import Problem, problem_response


def error_page(context: Context) -> Callable[[Request, Problem], Response]:
    """x"""
    return lambda request, problem: problem_response(problem)


def add_to(app: FastAPI) -> None:
    """x"""
