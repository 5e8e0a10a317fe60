"""`staffetta simulate`: a simulator as a process of its own, until it is interrupted."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from rich.console import Console

from deploy.simulators.mail.simulator import MailSimulator
from deploy.simulators.pagopa import PagoPaSimulator

console = Console(stderr=True)


def pagopa(folder: Path, port: int, host: str) -> int:
    """GPD v1 on `port`."""
    simulator = PagoPaSimulator()
    try:
        url = simulator.start(port=port, folder=folder, host=host)
    except OSError as error:
        return _busy(error)
    console.print(f"Simulatore pagoPA su {url} (giornale in {folder}). Ctrl+C per fermarlo.")
    _until_interrupted()
    simulator.stop()
    return 0


def mail(folder: Path, smtp_port: int, port: int, host: str) -> int:
    """SMTP on `smtp_port`, the page on `port`."""
    try:
        simulator = MailSimulator.start(folder, smtp_port=smtp_port, http_port=port, http_host=host)
    except OSError as error:
        return _busy(error)
    console.print(
        f"Simulatore di posta: SMTP 127.0.0.1:{simulator.smtp_port}, pagina {simulator.http_url}, messaggi in {folder}. "
        "Ctrl+C per fermarlo."
    )
    _until_interrupted()
    simulator.stop()
    return 0


def _busy(error: OSError) -> int:
    console.print(f"[red]Il simulatore non parte:[/] {error.strerror or error}. Scegli un'altra porta.")
    return 2


def _until_interrupted() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
