"""The ingest service as a process: `python -m services.ingest [--check]`."""

from __future__ import annotations

import sys

from services.ingest.wire import CONSUMES, wire
from shared.process import Part, Service, Surroundings, Tick, main

TICK_SECONDS = 0.1


def assemble(around: Surroundings) -> Part:
    """Ingest's queues, and the pacer's clock."""
    ingest = wire(around.setup, around.publisher().publish)
    return Part(
        database=ingest.database,
        handlers={each: ingest.handlers[each.queue] for each in CONSUMES},
        ticks=(Tick(TICK_SECONDS, ingest.tick),),
        recover=ingest.recover,
        close=ingest.close,
    )


SERVICE = Service("ingest", assemble)

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
