"""What the facts about a batch add up to: its one state. Pure, like the records' in `model`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.contracts.base import Phase


class BatchState(StrEnum):
    """A batch's state, as the API names it."""

    PENDING = "pending"
    REFUSED = "refused"
    PREVIEW = "preview"
    GENERATING = "generating"
    GENERATED = "generated"
    SENDING = "sending"
    SENT = "sent"
    SETTLED = "settled"
    PAUSED = "paused"
    CANCELLED = "cancelled"


MILESTONES = ("", "generated", "sent", "settled")  # ranked


@dataclass(frozen=True, slots=True)
class BatchStanding:
    """What is known of a batch. `until`: the phase allowed; `milestone`: one of `MILESTONES`; `moving`: records are on
    their way (a correction sets a batch in motion that had come to its end)."""

    known: bool
    refused: bool = False
    cancelled: bool = False
    paused: bool = False
    until: Phase = Phase.PREVIEW
    milestone: str = ""
    moving: bool = False


def batch_state_of(batch: BatchStanding) -> BatchState:
    """The one state of a batch."""
    if not batch.known:
        return BatchState.REFUSED if batch.refused else BatchState.PENDING
    if batch.cancelled:
        return BatchState.CANCELLED
    if batch.until is Phase.PREVIEW:
        return BatchState.PREVIEW
    ended = BatchState(batch.milestone) if batch.milestone and not batch.moving else None
    if ended is not None and not (ended is BatchState.GENERATED and batch.until is Phase.SEND):
        return ended
    if batch.paused:
        return BatchState.PAUSED
    return BatchState.SENDING if batch.until is Phase.SEND else BatchState.GENERATING
