"""Facts into the read model: idempotent, and the same in whatever order they come.

A handful is folded at once: what it is about is loaded in a few queries, changed in memory and written back, so that
the cost per fact is small. The caller commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlmodel import Session

from services.status.fold import batches, records
from services.status.fold.working import About, Touched, WorkingSet
from shared.contracts import facts
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope
from shared.contracts.registry import UnknownMessage
from shared.ids import record_id

__all__ = ["Touched", "fold", "fold_handful"]

log = structlog.get_logger()

Folder = Callable[[WorkingSet, Any, Envelope], None]
FOLDERS: dict[type[Message], Folder] = {
    facts.BatchIngested: batches.ingested,
    facts.BatchAllowed: batches.allowed,
    facts.BatchPaused: batches.paused,
    facts.BatchResumed: batches.paused,
    facts.BatchCancelled: batches.cancelled,
    facts.BatchGenerated: batches.milestone,
    facts.BatchSent: batches.milestone,
    facts.BatchSettled: batches.milestone,
    facts.CommandTaken: batches.answered,
    facts.CommandRefused: batches.answered,
    facts.LaneClosed: batches.lane,
    facts.LaneOpened: batches.lane,
    facts.RecordsAccepted: records.accepted,
    facts.RecordsRejected: records.rejected,
    facts.RecordParked: records.parked,
    facts.PreviewRendered: records.previewed,
    facts.StageFailed: records.attempted,
    facts.StageDeferred: records.attempted,
    facts.RecordFact: records.stated,
}


def fold(session: Session, envelope: Envelope) -> Touched:
    """One fact; the batches and records that it is about."""
    return fold_handful(session, [envelope])


def fold_handful(session: Session, envelopes: Sequence[Envelope]) -> Touched:
    """Many facts in one go. What this version does not know, or cannot read, is logged and left out: a later version
    gets it by `Restate`."""
    readable = [(envelope, message) for envelope in envelopes if (message := _read(envelope)) is not None]
    working = WorkingSet(session)
    working.load(_about(message for _, message in readable))
    unreadable = len(envelopes) - len(readable)
    for envelope, message in readable:
        folder = next((FOLDERS[kind] for kind in type(message).__mro__ if kind in FOLDERS), None)
        if folder is not None:
            folder(working, message, envelope)
    touched = working.flush()
    touched.unreadable = unreadable
    return touched


def _read(envelope: Envelope) -> Message | None:
    try:
        return envelope.message()
    except UnknownMessage:
        log.warning("fact-unknown", key=envelope.key, id=envelope.id)
    except ValidationError as wrong:
        # only where and what kind: pydantic's own text quotes the values
        where = sorted({".".join(map(str, error["loc"][:3])) for error in wrong.errors(include_input=False)})[:5]
        log.warning("fact-unreadable", key=envelope.key, id=envelope.id, where=where)
    return None


def _about(messages: Iterable[Message]) -> About:
    about = About()
    for message in messages:
        match message:
            case facts.RecordFact():
                about.batches.add(message.record.batch_id)
                about.records.add(message.record.id)
            case facts.StageFact() | facts.RecordParked():
                about.records.add(message.record_id)
            case facts.CommandTaken() | facts.CommandRefused():
                about.commands.add(message.command_id)
            case _:
                about.rows.update(_rows_of(message))
        if (batch_id := getattr(message, "batch_id", None)) is not None:
            about.batches.add(batch_id)
    about.records |= about.rows
    return about


def _rows_of(message: Message) -> Iterable[UUID]:
    match message:
        case facts.BatchIngested():
            return (record_id(message.batch_id, row) for row in message.removed_rows)
        case facts.RecordsAccepted():
            return (item.record.id for item in message.records)
        case facts.RecordsRejected():
            return (item.record_id for item in message.rows)
        case facts.PreviewRendered():
            return (message.record_id,)
    return ()
