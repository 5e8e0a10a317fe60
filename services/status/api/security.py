"""The guard at the door. Until accounts exist the service is for this machine only: it answers to no foreign name
(DNS rebinding), takes no order from a foreign page, and its pages run no script and stand in no frame of others.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.status.api.problems import ApiProblem, Problem, as_problem, is_page, problem_response

log = structlog.get_logger()

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
JSON_LIMIT = 1024 * 1024
MULTIPART_SLACK = 64 * 1024
"""What a form adds around its file."""
UPLOAD_PATHS = ("/api/v1/batches", "/utility/generazione-massiva")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
CSRF_COOKIE = "staffetta_csrf"
CSRF_FIELD = "csrf_token"


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, upload_limit: int, error_page: Callable[[Request, Problem], Response]) -> None:
        self._app = app
        self._upload_limit = upload_limit
        self._error_page = error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on with bounded body and safe headers; no exception leaves, for its text may be personal."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _harden(MutableHeaders(scope=message), message["status"])
            await send(message)

        try:
            headers = Headers(scope=scope)
            check_host(headers)
            if scope["method"] not in SAFE_METHODS:
                check_origin(headers)
            limit = self._upload_limit + MULTIPART_SLACK if scope["path"] in UPLOAD_PATHS else JSON_LIMIT
            check_length(headers, limit)
            await self._app(scope, _bounded(receive, limit), guarded_send)
        except Exception as error:
            problem = as_problem(error)
            _note(problem, scope["method"], error)
            if started:
                raise ConnectionAbortedError from None  # the server closes the connection; the cause stays here
            request = Request(scope, receive)
            shown = self._error_page(request, problem) if is_page(scope["path"]) else problem_response(problem)
            await shown(scope, receive, guarded_send)


def check_host(headers: Headers) -> None:
    """A page of another name that resolves to 127.0.0.1 sends that name as `Host`."""
    name = headers.get("host", "")
    if (name if name.endswith("]") else name.rsplit(":", 1)[0]).lower() not in LOCAL_NAMES:
        raise ApiProblem(421, "host-not-served", "Questo servizio risponde solo su 127.0.0.1.")


def check_origin(headers: Headers) -> None:
    """Only our own pages, or a program that is no browser, may change something."""
    site, origin = headers.get("sec-fetch-site", "none"), headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if foreign or site not in ("none", "same-origin"):
        raise ApiProblem(403, "cross-origin", "La richiesta viene da un altro sito e non è stata eseguita.")


def check_length(headers: Headers, limit: int) -> None:
    """Refuse what says itself that it is too long, before reading any of it."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > limit:
        raise too_large(limit)


def too_large(limit: int) -> ApiProblem:
    """413 with the limit in it."""
    size = f"{limit // (1024 * 1024)} MB" if limit >= 1024 * 1024 else f"{limit // 1024} kB"
    return ApiProblem(413, "too-large", f"Il file è troppo grande: al massimo {size}. Dividere l'elenco in più fogli.")


def _bounded(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise too_large(limit)
        return message

    return bounded


def _note(problem: Problem, method: str, error: Exception) -> None:
    """Only the kind of an unexpected error: its text may hold what was sent."""
    if problem.status >= 500:
        log.error("request-failed", method=method, error=type(error).__name__)


def _harden(headers: MutableHeaders, status: int) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if status == 413:
        headers["connection"] = "close"  # else the server would read, and throw away, all that still comes


class Csrf:
    """A token per browser for the pages' forms: the keyed hash of a cookie that scripts cannot read. The key lives as
    long as the process; whoever has a form open over a restart is asked to load it again."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, request: Request) -> tuple[str, str]:
        """(cookie, token) for a page's forms."""
        cookie = request.cookies.get(CSRF_COOKIE) or secrets.token_urlsafe(24)
        return cookie, self._token(cookie)

    def check(self, request: Request, token: str) -> None:
        """Raise 403 unless the form came from a page of ours."""
        cookie = request.cookies.get(CSRF_COOKIE, "")
        if not cookie or not hmac.compare_digest(self._token(cookie).encode(), token.encode()):
            raise ApiProblem(
                403, "form-expired", "La pagina era aperta da troppo tempo: tornare indietro, ricaricarla e riprovare."
            )

    def _token(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()
