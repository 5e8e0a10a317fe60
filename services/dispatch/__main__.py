"""The dispatch service as a process: `python -m services.dispatch [--check]`."""

from __future__ import annotations

import sys

from services.dispatch.wire import CONSUMES, wire
from shared.process import main, stage_service

SERVICE = stage_service("dispatch", wire, CONSUMES, secrets=("mailboxes",), documents="read")

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
