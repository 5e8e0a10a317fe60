"""Read and check one spreadsheet, and nothing else: a process of its own, so that its peak memory is that of reading."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from services.ingest.tracciato import read_tracciato
from shared.contracts.base import Channel
from shared.contracts.commands import BatchOptions, RegisterOptions
from shared.creditors import load_creditors


def main(sheet: Path, due_date: date) -> int:
    """0 where all rows are accepted."""
    options = BatchOptions(
        channel=Channel.AUTO,
        payment_type="scuolabus",
        due_date=due_date,
        reason="Servizio di trasporto scolastico",
        letter="scuolabus",
        register_options=RegisterOptions(subject="Avviso di pagamento", classification="7.1", office="scuola"),
    )
    with read_tracciato(sheet, options, load_creditors().creditors["c_x999"]) as reading:
        accepted = sum(row.accepted for row in reading)
    return 0 if accepted == reading.rows else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), date.fromisoformat(sys.argv[2])))
