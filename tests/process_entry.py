"""A service with a handler that waits for a file, as a process: `python -m tests.process_entry FOLDER`.

In the folder: `begun` once it has a handful in hand; it goes on when `go` is there, and fails while `broken` is. `recovered`
gets a line for each recovery.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import MetaData

from shared.bus.delivery import Delivery
from shared.db.engine import Database
from shared.process import Part, Service, Surroundings, main
from shared.wiring import Consumes


def service_over(folder: Path) -> Service:
    """Consumes `protocol`."""

    def take(_deliveries: Sequence[Delivery]) -> None:
        if (folder / "broken").exists():
            raise OSError
        (folder / "begun").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)

    def recover() -> None:
        with (folder / "recovered").open("a") as told:
            told.write("recovered\n")

    def assemble(around: Surroundings) -> Part:
        database = Database(around.setup.database_url("protocol"), MetaData(), "protocol")
        handlers = {Consumes("protocol", 10): take}
        return Part(database=database, handlers=handlers, recover=recover, close=database.close)

    return Service("protocol", assemble)


if __name__ == "__main__":
    sys.exit(main(service_over(Path(sys.argv[1])), sys.argv[2:]))
