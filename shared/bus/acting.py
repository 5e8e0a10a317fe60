"""Calling a stage's act, which may have bugs: what an unexpected exception means for each kind of stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import structlog

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
        with timed(ACT_SECONDS.labels(stage.name.value)):
            return _checked(works, cast("LookableStage[Any]", stage).act(works))
    except OUTAGES:
        raise
    except Exception as error:
        if len(works) > 1:
            return [act_together(stage, [work])[0] for work in works]
        _tell(stage, works[0], error)
        return [Permanent(f"unexpected-{type(error).__name__}")]


def act_once(stage: UnlookableStage[Any], ledger: Ledger[Any], work: Work[Any]) -> Outcome:
    """The act of one work, that is never repeated once it is marked: from then on a bug leaves it in doubt."""
    marked = False

    def mark() -> bool:
        nonlocal marked
        marked = ledger.mark_acting(work)
        return marked

    try:
        with timed(ACT_SECONDS.labels(stage.name.value)):
            return stage.act_once(work, mark)
    except Exception as error:
        if not marked and isinstance(error, OUTAGES):
            raise
        _tell(stage, work, error)
        return Uncertain(ledger.doubtful(work)) if marked else Permanent(f"unexpected-{type(error).__name__}")


def _checked(works: Sequence[Work[Any]], outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    if len(outcomes) != len(works):
        raise WrongNumberOfOutcomes
    return outcomes


def _tell(stage: Stage[Any], work: Work[Any], error: Exception) -> None:
    log.error("stage.unexpected", stage=stage.name.value, record_id=str(work.request.record.id), exc_info=error)
