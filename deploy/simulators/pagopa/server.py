"""The simulator as a thread of this process, or as a process of its own. On 127.0.0.1 only."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from deploy.simulators.pagopa.app import application
from deploy.simulators.pagopa.book import Book
from deploy.simulators.pagopa.faults import Fault, Faults, FaultyServer
from deploy.simulators.pagopa.gateway import Gateway

HOST = "127.0.0.1"
START_SECONDS = 30.0


def _server(book: Book, gateway: Gateway, faults: Faults) -> uvicorn.Server:
    # h11, and no proxy headers: `faults` reaches for the connection through what uvicorn passes. No access log: the
    # path of a payment holds its number.
    config = uvicorn.Config(
        FaultyServer(application(book, gateway, faults), faults),
        http="h11", ws="none", lifespan="off", proxy_headers=False, access_log=False, log_config=None,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)


def _listening(port: int, host: str = HOST) -> socket.socket:
    # with its protocol by name: asyncio turns Nagle off only there, and each answer would wait 40 ms for its second half
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener


class PagoPaSimulator:
    """In-process. `keys` and `calls_per_window` (10 s) as in `Gateway`: by default any key, no limit."""

    def __init__(self, *, keys: Mapping[str, Sequence[str]] | None = None, calls_per_window: int | None = None) -> None:
        self._gateway = Gateway(keys, calls_per_window)
        self._faults = Faults()
        self._running: tuple[uvicorn.Server, threading.Thread, Book] | None = None
        self.url = ""
        """`http://127.0.0.1:port`, once started."""

    def start(self, folder: Path, port: int = 0, host: str = HOST) -> str:
        """Serve what `folder` holds and return the address (`http://127.0.0.1:port`); port 0: a free one."""
        assert self._running is None, "started already"
        listener = _listening(port, host)
        book = Book(folder)
        server = _server(book, self._gateway, self._faults)
        thread = threading.Thread(target=server.run, args=([listener],), name="pagopa-simulator", daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        if not server.started:
            raise RuntimeError("the pagoPA simulator did not start")
        self._running = server, thread, book
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        return self.url

    def stop(self) -> None:
        """Stop serving; what was accepted stays in the folder."""
        if self._running is None:
            return
        server, thread, book = self._running
        server.should_exit = True
        thread.join()
        book.close()
        self._running = None

    def fault(self, fault: Fault) -> None:
        """Order a fault, as `POST /_faults` does."""
        self._faults.order(fault)

    def waiting(self) -> list[Fault]:
        """The faults that have not happened yet."""
        return self._faults.waiting()

    @property
    def book(self) -> Book:
        """What pagoPA holds."""
        assert self._running is not None, "not started"
        return self._running[2]


def serve(port: int, folder: Path) -> None:
    """Serve until SIGINT or SIGTERM. Whatever ends it, what was answered is on disk."""
    listener = _listening(port)
    book = Book(folder)
    try:
        with suppress(KeyboardInterrupt):  # uvicorn ends in order, and then raises what it caught once more
            _server(book, Gateway(), Faults()).run([listener])
    finally:
        book.close()
