"""The render service as a process: `python -m services.render [--check]`."""

from __future__ import annotations

import sys

from services.render.adapters.kit import PrintingConfigurationWrong
from services.render.adapters.texts import TextsWrong
from services.render.wire import CONSUMES, wire
from shared.process import main, stage_service

SERVICE = stage_service("render", wire, CONSUMES, refusals=(PrintingConfigurationWrong, TextsWrong), documents="write")

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
