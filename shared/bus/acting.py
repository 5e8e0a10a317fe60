"""Calling a stage's act, which may have bugs: what an unexpected exception means for each kind of stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import structlog
from structlog.contextvars import bound_contextvars

from shared import tracing
from shared.bus.ledgers import Ledger
from shared.bus.outages import OUTAGES
from shared.metrics import ACT_SECONDS, timed
from shared.stage import LookableStage, Outcome, Permanent, Stage, Uncertain, UnlookableStage, Work

log = structlog.get_logger()


class WrongNumberOfOutcomes(Exception):
    """An act answered for more or fewer works than it was given."""


def act_together(stage: Stage[Any], works: Sequence[Work[Any]]) -> Sequence[Outcome]:
    """One outcome per work. On a bug they are repeated one by one (the act can be), so that only the guilty one is parked."""
    try:
        with _watched(stage, works):
            return _checked(works, cast("LookableStage[Any]", stage).act(works))
    except OUTAGES:
        raise
    except Exception as error:
        if len(works) > 1:
            return [act_together(stage, [work])[0] for work in works]
        _tell(works[0], error)
        return [Permanent(f"unexpected-{type(error).__name__}")]


def act_once(stage: UnlookableStage[Any], ledger: Ledger[Any], work: Work[Any]) -> Outcome:
    """The act of one work, that is never repeated once it is marked: from then on a bug leaves it in doubt."""
    marked = False

    def mark() -> bool:
        nonlocal marked
        marked = ledger.mark_acting(work)
        return marked

    try:
        with _watched(stage, [work]):
            return stage.act_once(work, mark)
    except Exception as error:
        if not marked and isinstance(error, OUTAGES):
            raise
        _tell(work, error)
        return Uncertain(ledger.doubtful(work)) if marked else Permanent(f"unexpected-{type(error).__name__}")


def _checked(works: Sequence[Work[Any]], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    if len(outcomes) != len(works):
        raise WrongNumberOfOutcomes
    return outcomes


@contextmanager
def _watched(stage: Stage[Any], works: Sequence[Work[Any]]) -> Iterator[None]:
    """Timed, traced, and what a library or an adapter logs meanwhile has the record's ids, where it is about one."""
    name = stage.name.value
    with (
        timed(ACT_SECONDS.labels(name)),
        tracing.span(f"act {name}", stage=name, records=len(works)),
        bound_contextvars(**_ids(works[0]) if len(works) == 1 else {}),
    ):
        yield


def _tell(work: Work[Any], error: Exception) -> None:
    with bound_contextvars(**_ids(work)):
        log.error("stage.unexpected", exc_info=error)


def _ids(work: Work[Any]) -> dict[str, str]:
    record = work.request.record
    return {"batch_id": str(record.batch_id), "record_id": str(record.id)}
