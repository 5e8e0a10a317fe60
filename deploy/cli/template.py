"""`staffetta tracciato`: the empty format."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from services.ingest.tracciato import write_template

console = Console(stderr=True)


def write(out: Path) -> int:
    """Write `TracciatoInvioMassivo` to `out`; an existing file is not overwritten."""
    if out.exists():
        console.print(f"[red]{escape(str(out))} esiste già:[/] scegli un altro nome.")
        return 2
    try:
        write_template(out)
    except OSError as error:
        console.print(f"[red]Non riesco a scrivere {escape(str(out))}:[/] {error.strerror}.")
        return 2
    console.print(f"Tracciato vuoto in {escape(str(out))}. Compilalo, poi: staffetta run {escape(str(out))} --help")
    return 0
