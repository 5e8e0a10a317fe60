"""Templates into answers."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Form, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.status.api.context import Context, Here
from services.status.api.problems import Problem
from services.status.api.security import CSRF_COOKIE
from services.status.api.wording import CHANNEL_TITLES, PHASE_TITLES, STAGE_TITLES
from services.status.model import TITLES, State
from services.status.web import format as italian

TONES = {
    State.TO_CORRECT: "bad", State.STUCK: "bad", State.NOT_DELIVERED: "bad", State.TO_VERIFY: "warn", State.LATE: "warn",
    State.BY_HAND: "warn", State.EXPIRED: "warn", State.SENT: "good", State.ACCEPTED: "good", State.DELIVERED: "good",
    State.PAID: "good", State.CANCELLED: "off",
}  # fmt: skip


@cache
def environment() -> Environment:
    """Strict: a misspelt name in a template is an error, not a gap."""
    made = Environment(
        loader=PackageLoader("services.status.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    for name in ("euro", "euros", "number", "counted", "day", "moment"):
        made.filters[name] = getattr(italian, name)
    made.globals |= {
        "new_key": lambda: str(uuid4()), "channel_titles": CHANNEL_TITLES, "stage_titles": STAGE_TITLES,
        "phase_titles": PHASE_TITLES, "state_titles": TITLES, "tone": lambda state: TONES.get(State(state), "plain"),
    }  # fmt: skip
    return made


def show(request: Request, context: Context, name: str, status: int = 200, **values: Any) -> Response:
    """Template `name` as a page, with the token that its forms carry."""
    cookie, token = context.csrf.issue(request)
    text = (
        environment()
        .get_template(name)
        .render(values | {"rehearsal": context.creditors.rehearsal, "csrf_token": token, "path": request.url.path})
    )
    response = HTMLResponse(text, status)
    if request.cookies.get(CSRF_COOKIE) != cookie:
        response.set_cookie(CSRF_COOKIE, cookie, httponly=True, samesite="strict", path="/")
    return response


def show_problem(request: Request, context: Context, problem: Problem) -> Response:
    """A problem as a page."""
    return show(request, context, "error.html", problem.status, problem=problem)


def go(url: str) -> Response:
    """To another page after a form, so that loading it again does nothing again."""
    return RedirectResponse(url, 303)


def _submitted(
    request: Request,
    context: Here,
    csrf_token: Annotated[str, Form()] = "",
    key: Annotated[str, Form(max_length=200)] = "",
) -> str:
    context.csrf.check(request, csrf_token)
    return key


Submitted = Annotated[str, Depends(_submitted)]
"""A form of ours: its token checked, its idempotency key as the value."""
