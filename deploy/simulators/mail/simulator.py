"""The simulated mail server, whole: SMTP and HTTP on 127.0.0.1, its folder, its faults."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import uvicorn

from deploy.simulators.mail.archive import Archive
from deploy.simulators.mail.faults import Fault, FaultKind, Faults
from deploy.simulators.mail.pages import build
from deploy.simulators.mail.server import LOOPBACK, Security, SmtpServer, Users


class MailSimulator:
    """Start it with `start`, on free ports where none are given."""

    def __init__(self, archive: Archive, faults: Faults, smtp: SmtpServer, http_port: int, http_host: str) -> None:
        self.archive = archive
        self.faults = faults
        self._smtp = smtp
        self.smtp_port = smtp.port
        self._listener = socket.create_server((http_host, http_port))
        self.http_url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._http = uvicorn.Server(
            uvicorn.Config(build(archive, faults), log_config=None, access_log=False, lifespan="off", ws="none")
        )
        self._thread = threading.Thread(
            target=self._http.run, args=([self._listener],), name="mail-simulator-http", daemon=True
        )
        self._thread.start()

    @classmethod
    def start(  # noqa: PLR0913 - where it listens, and what for
        cls, folder: Path, smtp_port: int = 0, http_port: int = 0, *, http_host: str = LOOPBACK,
        users: Users | None = None, security: Security = "plain", tls: ssl.SSLContext | None = None,
    ) -> MailSimulator:  # fmt: skip
        """Listen. `folder` gets the `.eml` files and the journal, and may hold an earlier run's. `users` (name to
        password): without it any login is right. Raises `OSError` where a port is taken."""
        archive, faults = Archive(folder), Faults()
        smtp = SmtpServer(archive, faults, port=smtp_port, users=users, security=security, tls=tls)
        try:
            return cls(archive, faults, smtp, http_port, http_host)
        except OSError:
            smtp.stop()
            raise

    def fault(self, kind: FaultKind, *, times: int = 1, recipient: str = "", seconds: float = 0) -> None:
        """Let something go wrong: `times` times (0: until `faults.clear()`), for one recipient or for all."""
        self.faults.switch_on(Fault(kind=kind, times=times, recipient=recipient, seconds=seconds))

    def hang_up(self) -> None:
        """Close the clients' connections, as a server does with idle ones."""
        self._smtp.hang_up()

    def stop(self) -> None:
        """Close both ports."""
        self._smtp.stop()
        self._http.should_exit = True
        self._thread.join()
        self._listener.close()
