"""The life of a process: wire, wait for the topology, take messages, and leave within ten seconds of being asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from shared.creditors import CreditorsError, SecretMissing
from shared.db.engine import WrongRevision
from shared.log import configure
from shared.process.check import check
from shared.process.life import Life
from shared.process.parts import Service
from shared.process.setting_up import WrongSetting, surroundings
from shared.settings import Settings, wrong_variables

WRONG_USE = 2


def main(service: Service, arguments: Sequence[str]) -> int:
    """`python -m services.<name> [--check]`. Exit codes: 0 left as asked, or nothing wrong; 1 something does not answer or
    lacks; 2 wrong configuration."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}", description="Un servizio di Staffetta.")
    parser.add_argument("--check", action="store_true", help="controlla configurazione e collegamenti, ed esce")
    options = parser.parse_args(arguments)
    try:
        settings = Settings()
        configure(settings.log_level)
        around = surroundings(service, settings)
        return check(service, around) if options.check else Life(service, around).run()
    except ValidationError as invalid:
        return _refuse(wrong_variables(invalid))
    except (CreditorsError, SecretMissing, WrongSetting, WrongRevision) as wrong:
        return _refuse(str(wrong))
    except service.refusals as wrong:
        return _refuse(str(wrong))


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return WRONG_USE
