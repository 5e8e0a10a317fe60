"""`/healthz`, `/readyz` and `/metrics` of a process, over HTTP on a port of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST

Checks = Callable[[], Mapping[str, str]]
OK = "ok"


def ready(checks: Mapping[str, str]) -> bool:
    """Whether a process can work."""
    return all(state == OK for state in checks.values())


class Health:
    """Serves until `close`. `checks`: what is looked at → `ok`, or in one word what is wrong with it; the process is ready
    where all are well. `metrics`: Prometheus's text format."""

    def __init__(self, host: str, port: int, checks: Checks, metrics: Callable[[], bytes]) -> None:
        """Listen. Raises `OSError` where the port is taken."""
        self._checks = checks
        self._metrics = metrics
        self._server = make_server(host, port, self._answer, _Server, _Silent)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: Mapping[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        status, kind, body = self._page(str(environ.get("PATH_INFO", "")))
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def _page(self, path: str) -> tuple[str, str, bytes]:
        match path:
            case "/healthz":
                return _json("200 OK", {"status": OK})
            case "/readyz":
                checks = dict(self._checks())
                well = ready(checks)
                told = {"status": OK if well else "unavailable", "checks": checks}
                return _json("200 OK" if well else "503 Service Unavailable", told)
            case "/metrics":
                return "200 OK", CONTENT_TYPE_LATEST, self._metrics()
            case _:
                return _json("404 Not Found", {"status": "unknown"})


def _json(status: str, told: Mapping[str, object]) -> tuple[str, str, bytes]:
    return status, "application/json", json.dumps(told).encode()


class _Server(ThreadingMixIn, WSGIServer):
    """A slow scraper holds up nobody."""

    daemon_threads = True


class _Silent(WSGIRequestHandler):
    """No access log."""

    def log_message(self, format: str, *args: Any) -> None:
        """See `BaseHTTPRequestHandler.log_message`."""
