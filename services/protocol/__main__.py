"""The protocol service as a process: `python -m services.protocol [--check]`."""

from __future__ import annotations

import sys

from services.protocol.model import RegisterNotDeclared
from services.protocol.wire import CONSUMES, wire
from shared.process import main, stage_service

SERVICE = stage_service("protocol", wire, CONSUMES, refusals=(RegisterNotDeclared,))

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
