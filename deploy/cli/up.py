"""`staffetta up`: the relay as a lasting process, with dashboard and API on 127.0.0.1."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn
from rich.console import Console
from rich.markup import escape

from deploy.cli.session import WrongUse, opened, read_settings

console = Console(stderr=True)
HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """Leaves on the first signal, open event streams or not."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.force_exit = sig in (signal.SIGINT, signal.SIGTERM)


def serve(folder: Path | None, port: int) -> int:
    """Until it is interrupted; without `folder` on `STAFFETTA_FOLDER`. The exit code is 2 where the folder or the port is
    taken."""
    # The protocol named, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        console.print(f"[red]La porta {port} è occupata:[/] scegline un'altra con --port.")
        return 2
    try:
        with listener, opened(folder or read_settings().folder) as session:
            console.print(f"Cruscotto: http://{HOST}:{listener.getsockname()[1]}/", highlight=False)
            if session.creditors.rehearsal:
                console.print(f"Simulatori: pagoPA {session.pagopa_page}/  posta {session.mail_page}/", highlight=False)
            console.print("Ctrl+C per fermare: nulla è perduto.")
            config = uvicorn.Config(session.relay.status.app, log_config=None, access_log=False, server_header=False)
            _Server(config).run([listener])
    except WrongUse as wrong:
        console.print(f"[red]{escape(str(wrong))}[/]", highlight=False)
        return 2
    return 0
