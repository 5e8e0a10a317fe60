"""What URLs are asked for: the command line (simulators) with `urls.log` in the current folder, and the same for status.

The product keeps no access logs, and a proxy's or a gateway's would hold these very lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.cli import app

URLS = Path("urls.log")


class Overheard:
    """ASGI around another application."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request: a line with its method, its URL and whence it came, decoded."""
        if scope["type"] == "http":
            referrers = (value for name, value in scope["headers"] if name == b"referer")
            parts = (scope["method"].encode(), scope["raw_path"], scope["query_string"], *referrers)
            with URLS.open("a", encoding="utf-8") as told:
                told.write(unquote_plus(b" ".join(parts).decode()) + "\n")
        await self._inner(scope, receive, send)


def overhear() -> None:
    """From now on, whatever uvicorn serves."""
    plain = uvicorn.Config.__init__

    def listening(config: uvicorn.Config, inner: Any, *args: Any, **named: Any) -> None:
        plain(config, Overheard(inner), *args, **named)

    uvicorn.Config.__init__ = listening  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    overhear()
    app()
