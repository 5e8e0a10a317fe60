"""The web server of the pages and the API, when status is a process of its own."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

LEAVE_SECONDS = 3


class AddressTaken(Exception):
    """Somebody else listens there, or it is no address of this machine."""


class Face:
    """`start` listens; `close` lets the answers in hand end. Close the hub first, or open event streams hold it up."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._address = (host, port)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=LEAVE_SECONDS
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Answer, on a thread of its own; the port. Raises `AddressTaken`."""
        listener = _listening(*self._address)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="face", daemon=True)
        self._thread.start()
        port: int = listener.getsockname()[1]
        return port

    def close(self) -> None:
        """Stop."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(2.0 * LEAVE_SECONDS)


def _listening(host: str, port: int) -> socket.socket:
    """The protocol is named, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AddressTaken(
            f"Il cruscotto non può rispondere su {host}:{port} ({error.strerror}): cambiare STAFFETTA_HTTP_HOST o "
            "STAFFETTA_HTTP_PORT."
        ) from error
    return listener
