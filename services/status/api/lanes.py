"""What records wait for: outside systems that do not answer, and mailboxes outside their hours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from services.status.api.schemas import Lane
from services.status.api.wording import lane_message, resting_message
from services.status.tables import BatchRow, LaneRow, RecordRow
from shared.contracts.base import Channel, Phase, StageName
from shared.creditors import Creditors

OUTSIDE_HOURS = "outside-hours"
WAITING_TO_BE_SENT = (StageName.PROTOCOL, StageName.DISPATCH)
"""What is registered goes straight on to be sent: both wait for the mailbox's hours."""


def closed_lanes(session: Session) -> list[Lane]:
    """Outside systems that do not answer, the longest silent first."""
    rows: Sequence[LaneRow] = session.exec(select(LaneRow).order_by(col(LaneRow.closed_since))).all()
    return [
        Lane(
            stage=StageName(row.stage), lane=row.lane, code=row.code, since=row.closed_since,
            message=lane_message(row.stage, row.code, row.closed_since),
        )
        for row in rows
        if row.closed and row.closed_since is not None
    ]  # fmt: skip


def resting_lanes(creditors: Creditors, now: datetime) -> list[Lane]:
    """Mailboxes that do not send at this hour. No fact tells of them: the creditors' file and the clock do."""
    return [
        Lane(
            stage=StageName.DISPATCH, lane=f"{code}:{name}", code=OUTSIDE_HOURS, since=now, until=until,
            message=resting_message(name, until),
        )
        for code, creditor in creditors.creditors.items()
        for name, box in creditor.mailboxes.items()
        if (until := box.opens_at(now)) is not None
    ]  # fmt: skip


def concerning_batch(lanes: Sequence[Lane], batch: BatchRow, channels: Sequence[str]) -> list[Lane]:
    """Of these lanes those that a batch may wait for. `channels`: by which it writes to people."""
    sends = batch.until == Phase.SEND.value
    mine = {_mailbox(batch.creditor, channel) for channel in channels if channel}
    return [lane for lane in lanes if lane.code != OUTSIDE_HOURS or (sends and lane.lane in mine)]


def awaited(lanes: Sequence[Lane], row: RecordRow, batch: BatchRow) -> Lane | None:
    """The lane that a record waits for."""
    return next((lane for lane in lanes if _is_awaited(lane, row, batch)), None)


def _is_awaited(lane: Lane, row: RecordRow, batch: BatchRow) -> bool:
    if lane.code == OUTSIDE_HOURS:
        return row.stage in WAITING_TO_BE_SENT and lane.lane == _mailbox(batch.creditor, row.channel)
    return lane.stage == row.stage


def _mailbox(creditor: str, channel: str) -> str:
    """The lane of the mailbox that serves a channel."""
    return f"{creditor}:{'pec' if channel == Channel.PEC.value else 'email'}"
