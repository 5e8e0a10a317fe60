"""For this machine only. A rehearsal may well be made with people's real addresses: a page that a browser has open
elsewhere must neither read what was sent (DNS rebinding) nor switch faults."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class LocalOnly:
    """ASGI middleware: 403 for a foreign `Host`, and for an order from a foreign `Origin`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] == "http" and _foreign(Headers(scope=scope), scope["method"]):
            await PlainTextResponse("Il simulatore risponde solo a questa macchina.", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _foreign(headers: Headers, method: str) -> bool:
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        if urlsplit(f"//{host}").hostname not in NAMES:
            return True
        return method not in SAFE_METHODS and origin is not None and urlsplit(origin).netloc != host
    except ValueError:
        return True
