"""Records through the relay's own services over RabbitMQ and PostgreSQL, with null acts: the seconds, and what they cost."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.migrations.chains import SERVICES
from tests.bench.installation import installed
from tests.bench.job import spreadsheet
from tests.bench.processes import Processes, running


@dataclass(frozen=True, slots=True)
class Measured:
    """`seconds` from the decision to send until status has all of them as sent; `cpu`: processor seconds meanwhile, by
    process; `handfuls`: the mean size, by queue."""

    records: int
    seconds: float
    cpu: Mapping[str, float]
    handfuls: Mapping[str, float]


def measured(broker: str, database: str, records: int, handful: int) -> Measured:
    """`handful`: 0 for the product's own sizes. Raises unless every ledger and every fact is there at the end."""
    with tempfile.TemporaryDirectory(prefix="staffetta-bench-") as name:
        folder = Path(name)
        sheet = spreadsheet(folder, records)
        with installed(broker, database, folder) as installation:
            with running(SERVICES, handful, installation.environment) as processes:
                batch = installation.request(sheet)
                installation.wait(batch, "ready", records, processes)
                before, started = processes.cpu(), time.monotonic()
                installation.allow(batch)
                installation.wait(batch, "sent", records, processes)
                seconds = time.monotonic() - started
                cpu = _since(processes, before)
            installation.audit(records)
        handfuls: dict[str, float] = {}
        for path in folder.glob("handfuls-*.json"):
            handfuls |= json.loads(path.read_text())
    return Measured(records, seconds, cpu, handfuls)


def _since(processes: Processes, before: Mapping[str, float]) -> dict[str, float]:
    return {name: used - before.get(name, 0.0) for name, used in processes.cpu().items()}
