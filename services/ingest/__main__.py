"""The ingest service as a process: `python -m services.ingest [--check]`."""

from __future__ import annotations

import sys

from services.ingest.settings import IngestSettings
from services.ingest.wire import CONSUMES, wire
from shared.process import Part, Service, Surroundings, Tick, main

TICK_SECONDS = 0.25
"""At a tenth the questions cost more than a busy lane gains by being filled sooner."""


def assemble(around: Surroundings) -> Part:
    """Ingest's queues, and the pacer's clock."""
    settings = IngestSettings()
    # in memory nobody has a name; on RabbitMQ a message without one is a stranger's
    trusted = frozenset({around.broker.user, *(() if around.broker.in_memory else (settings.status_user,))})
    ingest = wire(around.setup, around.publisher().publish, settings=settings, trusted=trusted)
    return Part(
        database=ingest.database,
        handlers={each: ingest.handlers[each.queue] for each in CONSUMES},
        readers=ingest.readers,
        ticks=(Tick(TICK_SECONDS, ingest.tick),),
        recover=ingest.recover,
        close=ingest.close,
    )


SERVICE = Service("ingest", assemble, documents="write")

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
