"""The status service as a process: `python -m services.status [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import structlog

from services.status.adapters.face import AddressTaken, Face
from services.status.settings import StatusSettings
from services.status.wire import CONSUMES, wire
from shared.bus.delivery import Delivery
from shared.process import Part, Service, Surroundings, Tick, main

log = structlog.get_logger()
SWEEP_SECONDS = 3.0


def assemble(around: Surroundings) -> Part:
    """Status's queue, its sweep of unanswered commands, its pages and API."""
    settings = StatusSettings()
    status = wire(around.setup, around.publisher(), settings=settings, troubles=around.troubles)
    face = Face(status.app, settings.http_host, settings.http_port)

    def take(deliveries: Sequence[Delivery]) -> None:
        status.take([delivery.envelope for delivery in deliveries])

    def start() -> None:
        log.info("status.listening", port=face.start())

    def leave() -> None:
        status.context.hub.close()
        face.close()

    return Part(
        database=status.database,
        handlers=dict.fromkeys(CONSUMES, take),
        ticks=(Tick(SWEEP_SECONDS, status.sweep),),
        start=start,
        recover=status.recover,
        leave=leave,
        close=status.close,
    )


SERVICE = Service("status", assemble, refusals=(AddressTaken,), documents="write")

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
