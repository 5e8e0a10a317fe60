"""What may be issued now: the pacer's questions, each answered from an index whatever the size of the batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, false, func, or_
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from services.ingest.model import RowState, Step
from services.ingest.tables import SENT, WITHDRAW, Batch, Row
from shared.contracts.base import Channel, Phase
from shared.creditors import Creditors
from shared.db.engine import UtcDateTime

CHANNELS = tuple(channel.value for channel in Channel)
GENERATE_STEPS = (Step.RENDER.value, Step.IUV.value)
SEND_STEPS = (Step.DISPATCH.value, Step.PROTOCOL.value)
Moment = datetime | BindParameter[datetime]
Resting = dict[str, list[str]]
"""Creditor → the channels whose mailbox does not send at this hour."""


def steps_of(batch: Batch) -> Sequence[str]:
    """What may be issued of the batch, the furthest first. Withdrawals may, whatever was decided about the rest."""
    if batch.cancelling or batch.cancelled or batch.until == Phase.PREVIEW.value:
        return (WITHDRAW,)
    return (WITHDRAW, *(SEND_STEPS if batch.until == Phase.SEND.value else ()), *GENERATE_STEPS)


def resting_channels(creditors: Creditors, now: datetime) -> Resting:
    """Where nothing may be sent at this hour. Registering waits as well: what is registered goes straight on to be sent,
    and a number is of the day on which the message leaves."""
    found: Resting = {}
    for code, creditor in creditors.creditors.items():
        boxes = {channel.value: creditor.mailbox(channel) for channel in Channel}
        shut = [channel for channel, box in boxes.items() if box is not None and box.opens_at(now) is not None]
        if shut:
            found[code] = shut
    return found


def waiting_batches(session: Session, now: datetime, resting: Resting, *, lock: bool = False) -> list[Batch]:
    """The batches that have something to issue, the oldest first. Under `lock` nobody merges a file into them or cancels
    them meanwhile; those that somebody is changing are left out."""
    query = _waiting(tuple((creditor, tuple(shut)) for creditor, shut in sorted(resting.items())), lock=lock)
    return list(session.exec(query, params={"now": now}))


@cache
def _waiting(resting: tuple[tuple[str, tuple[str, ...]], ...], *, lock: bool) -> SelectOfScalar[Batch]:
    """The question, built once: to put it together costs ten times as much as to answer it."""
    now = bindparam("now", type_=UtcDateTime())
    goes_on = and_(~col(Batch.paused), ~col(Batch.cancelling), ~col(Batch.cancelled))
    generate, send = col(Batch.until) != Phase.PREVIEW.value, col(Batch.until) == Phase.SEND.value
    withdrawals = or_(~col(Batch.paused), col(Batch.cancelling), col(Batch.cancelled))
    work = or_(
        and_(goes_on, generate, _work(GENERATE_STEPS, now)),
        and_(goes_on, send, _to_send(now, dict(resting))),
        and_(withdrawals, _there(col(Row.errand) == WITHDRAW, *_due(now))),
    )
    open_ = and_(col(Batch.ingested), ~col(Batch.merging), col(Batch.stated) != SENT)
    query = select(Batch).where(open_, work).order_by(col(Batch.created_at), col(Batch.id))
    return query.with_for_update(skip_locked=True) if lock else query


def candidates(session: Session, batch: UUID, step: str, channel: str, now: datetime, limit: int) -> list[Row]:
    """Up to `limit` rows of a batch for one step and channel: those whose time to wait is over, then the next ones of the
    spreadsheet."""
    if step == WITHDRAW:
        return _some(
            session,
            limit,
            col(Row.batch_id) == batch,
            col(Row.errand) == WITHDRAW,
            col(Row.channel) == channel,
            *_due(now),
        )
    mine = (col(Row.batch_id) == batch, col(Row.errand) == "", col(Row.step) == step, col(Row.channel) == channel)
    due = _some(session, limit, *mine, *_due(now))
    ready = (col(Row.state) == RowState.READY.value, col(Row.next_at).is_(None))
    return due + (_some(session, limit - len(due), *mine, *ready) if len(due) < limit else [])


def last_turns(session: Session, creditors: Collection[str]) -> dict[str, int]:
    """When something of each of these creditors was last issued."""
    mine = col(Batch.creditor).in_(sorted(creditors))
    query = sql_select(col(Batch.creditor), func.max(col(Batch.turn))).where(mine).group_by(col(Batch.creditor))
    return {creditor: turn or 0 for creditor, turn in session.connection().execute(query)}


def previewed_batches(session: Session) -> list[UUID]:
    """The batches whose letters are looked at."""
    shown = and_(~col(Batch.paused), ~col(Batch.cancelling), ~col(Batch.cancelled))
    query = select(Batch.id).where(Batch.ingested, ~col(Batch.merging), shown, col(Batch.until) == Phase.PREVIEW.value)
    return list(session.exec(query))


def still_wanted() -> ColumnElement[bool]:
    """What was issued and is to be done all the same: of a batch that was cancelled only the withdrawals."""
    return or_(col(Row.errand) == WITHDRAW, ~or_(col(Batch.cancelling), col(Batch.cancelled)))


def _some(session: Session, limit: int, *conditions: ColumnElement[bool]) -> list[Row]:
    query = select(Row).where(*conditions).order_by(col(Row.next_at), col(Row.number)).limit(limit)
    return list(session.exec(query.with_for_update(skip_locked=True)))


def _to_send(now: Moment, resting: Mapping[str, Collection[str]]) -> ColumnElement[bool]:
    """Something that may be sent at this hour."""
    awake = [
        and_(col(Batch.creditor) == creditor, _work(SEND_STEPS, now, [each for each in CHANNELS if each not in shut]))
        for creditor, shut in resting.items()
    ]
    return or_(and_(col(Batch.creditor).not_in(list(resting)), _work(SEND_STEPS, now)), *awake)


def _work(steps: Sequence[str], now: Moment, channels: Sequence[str] = CHANNELS) -> ColumnElement[bool]:
    ready = (col(Row.state) == RowState.READY.value,)
    return or_(
        false(),
        *(
            _there(col(Row.errand) == "", col(Row.step) == step, col(Row.channel) == channel, *state)
            for step in steps
            for channel in channels
            for state in (ready, _due(now))
        ),
    )


def _due(now: Moment) -> tuple[ColumnElement[bool], ...]:
    return col(Row.state) == RowState.WAITING.value, col(Row.next_at) <= now


def _there(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the batch has such a row. Not EXISTS: PostgreSQL thinks that a scan meets one soon, and at the end of a batch
    it reads all of it; the first in the order of an index is looked up in the index."""
    query = sql_select(col(Row.id)).where(col(Row.batch_id) == col(Batch.id), *conditions).correlate(Batch)
    return query.order_by(col(Row.next_at)).limit(1).scalar_subquery().is_not(None)
