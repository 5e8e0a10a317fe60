"""The web server of the pages and the API, when status is a process of its own."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

LEAVE_SECONDS = 3


class Face:
    """`start` listens; `close` lets the answers in hand end. Close the hub first, or open event streams hold it up."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        """Raises `OSError` where the port is taken. The protocol is named, or asyncio leaves Nagle's algorithm on and
        every answer waits 40 ms."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self.port: int = self._listener.getsockname()[1]
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=LEAVE_SECONDS
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name="face", daemon=True)

    def start(self) -> None:
        """Answer, on a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(2.0 * LEAVE_SECONDS)
        self._listener.close()
