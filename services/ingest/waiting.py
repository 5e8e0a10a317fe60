"""What may be issued now: the pacer's questions, each answered from an index whatever the size of the batches.

They are put together once, when this module is read: that costs more than to answer them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, String, and_, bindparam, column, or_, text
from sqlalchemy import select as sql_select
from sqlmodel import Session, col

from services.ingest.model import RowState, Step
from services.ingest.tables import SENT, WITHDRAW, Batch, Row
from shared.contracts.base import Channel, Phase
from shared.creditors import Creditors
from shared.db.engine import UtcDateTime

CHANNELS = tuple(channel.value for channel in Channel)
GENERATE_STEPS = (Step.RENDER.value, Step.IUV.value)
SEND_STEPS = (Step.DISPATCH.value, Step.PROTOCOL.value)
READY, DUE = RowState.READY.value, RowState.WAITING.value
Resting = dict[str, list[str]]
"""Creditor → the channels whose mailbox does not send at this hour."""


class Place(NamedTuple):
    """Records of a batch that stand alike: what is to be issued of them (a step, or `WITHDRAW`, of whatever channel), and
    whether they are `READY` or waited until now (`DUE`)."""

    step: str
    channel: str
    state: str


PLACES = (
    Place(WITHDRAW, "", DUE),
    *(
        Place(step, channel, state)
        for step in (*SEND_STEPS, *GENERATE_STEPS)
        for channel in CHANNELS
        for state in (DUE, READY)
    ),
)
"""The furthest first: what is nearly done makes room before what is to begin."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch that has something to issue: when it last had its turn, and what it has, the furthest first."""

    id: UUID
    creditor: str
    turn: int
    places: list[Place]


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


def waiting_batches(session: Session, now: datetime, resting: Resting, *, lock: bool = False) -> list[Waiting]:
    """The batches that have something to issue, the oldest first. Under `lock` nobody merges a file into them or cancels
    them meanwhile; those that somebody is changing are left out."""
    found = session.connection().execute(_LOCKED if lock else _WAITING, {"now": now})
    batches = []
    for (batch_id, creditor, turn), lines in groupby(found, key=lambda line: (line.id, line.creditor, line.turn)):
        places = [PLACES[line.rank] for line in lines]
        batches.append(Waiting(batch_id, creditor, turn, places))
    return list(_awake(batches, resting))


def rows_of(place: Place) -> tuple[ColumnElement[bool], ...]:
    """Which rows of a batch stand in a place like this one: all but their batch, step, channel and the parameter `now`."""
    due = (col(Row.state) == DUE, col(Row.next_at) <= _NOW)
    if place.step == WITHDRAW:
        return col(Row.errand) == WITHDRAW, *due
    return col(Row.errand) == "", *(due if place.state == DUE else (col(Row.state) == READY,))


def previews_wanted(session: Session) -> bool:
    """Whether some letter is to be made for the preview page."""
    return session.connection().execute(_PREVIEWS).first() is not None


def previewed() -> ColumnElement[bool]:
    """The batches whose letters are looked at."""
    shown = and_(~col(Batch.paused), ~col(Batch.cancelling), ~col(Batch.cancelled))
    return and_(col(Batch.ingested), ~col(Batch.merging), shown, col(Batch.until) == Phase.PREVIEW.value)


def still_wanted() -> ColumnElement[bool]:
    """What was issued and is to be done all the same: of a batch that was cancelled only the withdrawals."""
    return or_(col(Row.errand) == WITHDRAW, ~or_(col(Batch.cancelling), col(Batch.cancelled)))


def _awake(batches: list[Waiting], resting: Resting) -> Iterator[Waiting]:
    """What is left of them at this hour."""
    for batch in batches:
        shut = resting.get(batch.creditor, ())
        places = [place for place in batch.places if place.step not in SEND_STEPS or place.channel not in shut]
        if places:
            yield replace(batch, places=places)


_NOW = bindparam("now", type_=UtcDateTime())
_PLACE = (
    text(  # a VALUES of SQLAlchemy's would be put together anew at each tick
        " UNION ALL ".join(
            f"SELECT {rank} AS rank, '{step}' AS step, '{channel}' AS channel, '{state}' AS state"
            for rank, (step, channel, state) in enumerate(PLACES)
        )
    )
    .columns(column("rank", Integer), column("step", String), column("channel", String), column("state", String))
    .cte("place")
)


def _there(place: Place, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the batch has such a row. Not EXISTS: PostgreSQL thinks that a scan meets one soon, and at the end of a batch
    it reads all of it; the first in the order of an index is looked up in the index."""
    query = sql_select(col(Row.id)).where(col(Row.batch_id) == col(Batch.id), *rows_of(place), *conditions)
    return query.correlate(Batch, _PLACE).order_by(col(Row.next_at)).limit(1).scalar_subquery().is_not(None)


def _waiting() -> Select[tuple[UUID, str, int, int]]:
    step, state = _PLACE.c.step, _PLACE.c.state
    here = (col(Row.step) == step, col(Row.channel) == _PLACE.c.channel)
    goes_on = and_(~col(Batch.paused), ~col(Batch.cancelling), ~col(Batch.cancelled))
    until = or_(
        and_(col(Batch.until) == Phase.SEND.value, step != WITHDRAW),
        and_(col(Batch.until) == Phase.GENERATE.value, step.in_(GENERATE_STEPS)),
    )
    withdrawals = and_(step == WITHDRAW, or_(~col(Batch.paused), col(Batch.cancelling), col(Batch.cancelled)))
    work = or_(
        and_(step != WITHDRAW, state == READY, _there(Place("", "", READY), *here)),
        and_(step != WITHDRAW, state == DUE, _there(Place("", "", DUE), *here)),
        and_(step == WITHDRAW, _there(Place(WITHDRAW, "", DUE))),
    )
    open_ = and_(col(Batch.ingested), ~col(Batch.merging), col(Batch.stated) != SENT)
    query = sql_select(col(Batch.id), col(Batch.creditor), col(Batch.turn), _PLACE.c.rank)
    query = query.join(_PLACE, or_(and_(goes_on, until), withdrawals)).where(open_, work)
    return query.order_by(col(Batch.created_at), col(Batch.id), _PLACE.c.rank)


_WAITING = _waiting()
_LOCKED = _waiting().with_for_update(of=Batch, skip_locked=True)
_LETTER = sql_select(col(Row.id)).where(col(Row.batch_id) == col(Batch.id), col(Row.preview) == "").correlate(Batch)
_PREVIEWS = (
    sql_select(col(Batch.id))
    .where(previewed(), _LETTER.order_by(col(Row.number)).limit(1).scalar_subquery().is_not(None))
    .limit(1)
)
