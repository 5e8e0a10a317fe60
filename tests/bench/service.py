"""The product's process of one service, with a null act: `python -m tests.bench.service NAME HANDFUL`.

HANDFUL: 0 for the product's own sizes, else the size of all handfuls. When it leaves it writes the mean size of what it
took, by queue, to `handfuls-NAME.json` in its folder.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib import import_module

from shared.metrics import REGISTRY
from shared.process import Part, Service, Surroundings, main, stage_service
from shared.settings import Settings
from tests.bench.null import WIRES


def service(name: str) -> Service:
    """The product's service; a stage's with a null act."""
    if name in WIRES:
        consumes = import_module(f"services.{name}.wire").CONSUMES
        return stage_service(name, WIRES[name], consumes)
    found: Service = import_module(f"services.{name}.__main__").SERVICE
    return found


def resized(of: Service, handful: int) -> Service:
    """The same with other handfuls."""

    def assemble(around: Surroundings) -> Part:
        part = of.assemble(around)
        return replace(part, handlers={replace(each, size=handful): take for each, take in part.handlers.items()})

    return replace(of, assemble=assemble)


def mean_handfuls() -> dict[str, float]:
    """Queue → messages taken at once, on the average."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    counts = {each.labels["queue"]: each.value for each in samples if each.name == "staffetta_handful_records_count"}
    sums = {each.labels["queue"]: each.value for each in samples if each.name == "staffetta_handful_records_sum"}
    return {queue: round(sums[queue] / count, 1) for queue, count in counts.items() if count}


if __name__ == "__main__":
    named, wanted = service(sys.argv[1]), int(sys.argv[2])
    code = main(resized(named, wanted) if wanted else named, [])
    (Settings().folder / f"handfuls-{named.name}.json").write_text(json.dumps(mean_handfuls()))
    sys.exit(code)
