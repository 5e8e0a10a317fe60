"""`staffetta tracciato`: the empty format."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from services.ingest.tracciato import write_template

console = Console(stderr=True)


def write(out: Path) -> int:
    """Write `TracciatoInvioMassivo` to `out`; an existing file is not overwritten."""
    if out.exists():
        console.print(f"[red]{out} esiste già:[/] scegli un altro nome.")
        return 2
    try:
        write_template(out)
    except OSError as error:
        console.print(f"[red]Non riesco a scrivere {out}:[/] {error.strerror}.")
        return 2
    console.print(f"Tracciato vuoto in {out}. Compilalo, poi: staffetta run {out} --help")
    return 0
