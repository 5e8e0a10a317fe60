"""The iuv service as a process: `python -m services.iuv [--check]`."""

from __future__ import annotations

import sys

from services.iuv.wire import CONSUMES, wire
from shared.process import main, stage_service

SERVICE = stage_service("iuv", wire, CONSUMES, secrets=("pagopa",))

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
