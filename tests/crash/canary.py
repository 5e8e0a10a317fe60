"""Services that choke on some records, and quote them as libraries do: in texts, arguments, causes, notes and log lines.

With `CANARY` in the environment `tests.crash.service` arms them. It is about the records of one spreadsheet, by their
debtor's name; each row meets something else.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from shared.bus.runner import StageRunner
from shared.contracts.record import Record

SURNAME = "Canarino"
WELL, REFUSED, LOST, NO_ADDRESS = 2, 3, 4, 5
PARKED_AT = {"iuv": 6, "render": 7, "protocol": 8, "dispatch": 9}
"""Stage → the row on which it has a bug, before it did anything."""
IN_DOUBT = 10
"""The row on which dispatch has one in the middle of its act."""
UNUSABLE = 11
"""The row that ingest refuses."""


def choke(whole: str) -> NoReturn:
    """What a bug in a library tells of what it was given."""
    logging.getLogger("some.library").error("cannot handle %s", whole)
    cause = ValueError(whole)
    cause.add_note(whole)
    raise RuntimeError(f"cannot handle {whole}", whole) from cause


def arm(name: str) -> None:
    """Give a service its bugs."""
    if name == "ingest":
        _once("services.ingest.pacer", "command_of", lambda asked: asked)
    elif name == "status":
        _once("services.status.wire", "fold_handful", lambda _session, envelopes: envelopes)
    else:
        _in_stage(name)


def _of(record: Record, row: int) -> bool:
    return record.row == row and record.debtor.name.startswith(SURNAME)


def _once(module_name: str, function_name: str, about: Callable[..., object]) -> None:
    """The first call about a canary fails: a tick or a handful that is tried again."""
    module = importlib.import_module(module_name)
    plain = getattr(module, function_name)
    struck: list[str] = []

    def choking(*args: Any) -> Any:
        whole = str(about(*args))
        if SURNAME in whole and not struck:
            struck.append(whole)
            choke(whole)
        return plain(*args)

    setattr(module, function_name, choking)


def _in_stage(name: str) -> None:
    plain = StageRunner.__init__

    def armed(runner: StageRunner, service: Any, *args: Any, **named: Any) -> None:
        BUGS[name](service.stage, PARKED_AT[name])
        plain(runner, service, *args, **named)

    StageRunner.__init__ = armed  # type: ignore[method-assign,assignment]


def _together(stage: Any, row: int) -> None:
    plain = stage.act

    def act(works: Sequence[Any]) -> Any:
        for work in works:
            if _of(work.request.record, row):
                choke(work.request.record.model_dump_json())
        return plain(works)

    stage.act = act


def _reading(stage: Any, row: int) -> None:
    plain = stage.acted_on

    def acted_on(request: Any) -> Any:
        if _of(request.record, row):
            choke(request.record.model_dump_json())
        return plain(request)

    stage.acted_on = acted_on


def _sending(stage: Any, row: int) -> None:
    plain = stage.act_once

    def act_once(work: Any, mark: Callable[[], bool]) -> Any:
        record = work.request.record

        def marked() -> bool:
            mine = mark()
            if _of(record, IN_DOUBT):
                choke(record.model_dump_json())
            return mine

        if _of(record, row):
            choke(record.model_dump_json())
        return plain(work, marked)

    stage.act_once = act_once


BUGS: dict[str, Callable[[Any, int], None]] = {
    "iuv": _together,
    "render": _together,
    "protocol": _reading,
    "dispatch": _sending,
}
