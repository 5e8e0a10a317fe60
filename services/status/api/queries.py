"""Reading the read model: rows into answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, func, select

from services.status.api.lanes import closed_lanes, concerning_batch
from services.status.api.problems import missing
from services.status.api.schemas import (
    BatchDetail,
    BatchPage,
    BatchSummary,
    CauseCount,
    ChannelCount,
    CommandShown,
    Lane,
    ProblemCount,
    Refusal,
    StateCount,
)
from services.status.api.wording import BATCH_TITLES, CHANNEL_TITLES, COMMANDS, explained
from services.status.fold.batch_state import BatchStanding, batch_state_of
from services.status.model import TITLES, State, TroubleKind
from services.status.tables import BatchRow, KeptCommand, ProblemRow, RecordRow
from shared.contracts.base import Phase
from shared.contracts.facts import Problem

BATCHES_PER_PAGE = 25
COMMANDS_SHOWN = 10
ROWS_NAMED = 10
PROBLEMS_SHOWN = 50
MOVING = {
    Phase.PREVIEW: (),
    Phase.GENERATE: (State.READY,),
    Phase.SEND: (State.READY, State.GENERATED, State.REGISTERED),
}
"""States that a record does not stay in, once the phase is allowed."""
NOTHING: dict[str, Any] = {
    "rows": 0, "accepted": 0, "rejected": 0, "total_cents": 0, "hidden_rows": 0, "hidden_sheets": 0, "blank_rows": 0,
    "ignored_columns": [], "warnings": [],
}  # fmt: skip


def batch_row(session: Session, batch_id: UUID) -> BatchRow:
    """The batch, or 404."""
    found = session.get(BatchRow, batch_id)
    if found is None:
        raise missing("batch")
    return found


def batch_page(session: Session, page: int) -> BatchPage:
    """Batches, newest first."""
    total = session.exec(select(func.count()).select_from(BatchRow)).one()
    newest = select(BatchRow).order_by(col(BatchRow.created_at).desc(), col(BatchRow.id).desc())
    rows = session.exec(newest.limit(BATCHES_PER_PAGE).offset((page - 1) * BATCHES_PER_PAGE)).all()
    counts = state_counts(session, [row.id for row in rows])
    items = [BatchSummary(**_summary(row, counts[row.id])) for row in rows]
    return BatchPage(items=items, total=total, page=page, pages=max(1, -(-total // BATCHES_PER_PAGE)))


def batch_detail(session: Session, batch_id: UUID, resting: Sequence[Lane] = ()) -> BatchDetail:
    """Everything about one batch. `resting`: the mailboxes that do not send at this hour."""
    row = batch_row(session, batch_id)
    channels = _channels(session, batch_id)
    lanes = concerning_batch([*closed_lanes(session), *resting], row, [item.channel for item in channels])
    told = NOTHING | (row.ingested or {})
    return BatchDetail(
        **_summary(row, state_counts(session, [row.id])[row.id]),
        options=row.options,  # type: ignore[arg-type]  # pydantic reads the JSON
        paused=row.paused,
        **{name: told[name] for name in ("hidden_rows", "hidden_sheets", "blank_rows", "ignored_columns", "warnings")},
        problems=problem_counts(session, batch_id),
        channels=channels,
        causes=causes(session, batch_id),
        lanes=lanes,
        commands=_commands(session, batch_id),
        refusal=Refusal(**row.refusal) if row.refusal and not row.ingested_revision else None,
        cancelled=row.cancelled_counts,
    )


def standing_of(row: BatchRow, counts: Sequence[StateCount] = ()) -> BatchStanding:
    """The batch as the model wants it. Without `counts` nothing is known to move."""
    moving = MOVING[Phase(row.until)]
    return BatchStanding(
        known=row.ingested_revision > 0,
        refused=row.refusal is not None,
        cancelled=row.cancelled,
        paused=row.paused,
        until=Phase(row.until),
        milestone=row.milestone,
        moving=any(item.state in moving and item.count for item in counts),
    )


def state_counts(session: Session, batch_ids: Collection[UUID]) -> dict[UUID, list[StateCount]]:
    """Records by state, for each of the batches, in the order in which a record goes through them."""
    counted = (
        select(RecordRow.batch_id, RecordRow.state, func.count(), func.sum(RecordRow.amount_cents))
        .where(col(RecordRow.batch_id).in_(batch_ids))
        .group_by(col(RecordRow.batch_id), col(RecordRow.state))
    )
    found: dict[UUID, dict[str, StateCount]] = defaultdict(dict)
    for batch_id, name, count, cents in session.exec(counted):
        state = State(name)
        found[batch_id][name] = StateCount(state=state, title=TITLES[state], count=count, cents=cents or 0)
    return {batch_id: [found[batch_id][state] for state in State if state in found[batch_id]] for batch_id in batch_ids}


def problem_counts(session: Session, batch_id: UUID) -> list[ProblemCount]:
    """Problems and warnings by cause, what stops rows first, then the most frequent."""
    group = col(ProblemRow.warning), col(ProblemRow.code), col(ProblemRow.column)
    counted = (
        sa.select(*group, func.count())
        .where(col(ProblemRow.batch_id) == batch_id)
        .group_by(*group)
        .order_by(col(ProblemRow.warning), func.count().desc(), col(ProblemRow.code))
    )
    return [
        ProblemCount(
            code=code, column=column, warning=warning, count=count, **_first(session, batch_id, warning, code, column)
        )
        for warning, code, column, count in session.connection().execute(counted)
    ]  # fmt: skip


def problem_rows(session: Session, batch_id: UUID) -> list[Problem]:
    """The problems that stop rows, row by row: the first `PROBLEMS_SHOWN`."""
    stopping = select(ProblemRow).where(ProblemRow.batch_id == batch_id, col(ProblemRow.warning).is_(False))
    rows = session.exec(stopping.order_by(col(ProblemRow.row), col(ProblemRow.position)).limit(PROBLEMS_SHOWN))
    return [Problem(**row.model_dump(include=set(Problem.model_fields))) for row in rows]


def total_counts(session: Session) -> list[StateCount]:
    """Records by state, of all batches."""
    counted = select(RecordRow.state, func.count(), func.sum(RecordRow.amount_cents)).group_by(col(RecordRow.state))
    found = {state: (count, cents or 0) for state, count, cents in session.exec(counted)}
    return [
        StateCount(state=state, title=TITLES[state], count=found[state][0], cents=found[state][1])
        for state in State
        if state in found
    ]


def causes(session: Session, batch_id: UUID) -> list[CauseCount]:
    """What stops records after they were read: by state, stage and code, the most frequent first."""
    group = col(RecordRow.state), col(RecordRow.stage), col(RecordRow.code), col(RecordRow.trouble)
    halted = [State.STUCK.value, State.TO_CORRECT.value, State.TO_VERIFY.value]
    counted = (
        sa.select(*group, func.count(), func.max(RecordRow.detail))
        .where(col(RecordRow.batch_id) == batch_id, col(RecordRow.state).in_(halted), col(RecordRow.code) != "")
        .group_by(*group)
        .order_by(func.count().desc(), col(RecordRow.code))
    )
    return [
        CauseCount(
            state=State(state), stage=stage, code=code, message=explained(code, detail or ""), count=count,
            can_retry=state == State.STUCK and trouble == TroubleKind.PARKED,
        )
        for state, stage, code, trouble, count, detail in session.connection().execute(counted)
    ]  # fmt: skip


def _summary(row: BatchRow, counts: list[StateCount]) -> dict[str, Any]:
    state = batch_state_of(standing_of(row, counts))
    told = NOTHING | (row.ingested or {})
    return {
        "id": row.id, "state": state, "title": BATCH_TITLES[state], "creditor": row.creditor,
        "payment_type": row.payment_type, "file_name": row.file_name, "client": row.client, "created_at": row.created_at,
        "until": Phase(row.until), "counts": counts,
    } | {name: told[name] for name in ("rows", "accepted", "rejected", "total_cents")}  # fmt: skip


def _first(session: Session, batch_id: UUID, warning: bool, code: str, column: str) -> dict[str, Any]:
    """The first rows of a cause, by number, and what the very first is told."""
    first = (
        select(ProblemRow.row, ProblemRow.message)
        .where(ProblemRow.batch_id == batch_id, ProblemRow.warning == warning)
        .where(ProblemRow.code == code, ProblemRow.column == column)
        .order_by(col(ProblemRow.row))
        .limit(ROWS_NAMED)
    )
    found = session.exec(first).all()
    return {"rows": [row for row, _ in found], "message": found[0][1] if found else ""}


def _channels(session: Session, batch_id: UUID) -> list[ChannelCount]:
    has_address = (col(RecordRow.address) != "").label("addressed")
    counted = (
        select(RecordRow.channel, has_address, func.count(), func.sum(RecordRow.amount_cents))
        .where(RecordRow.batch_id == batch_id, RecordRow.state != State.TO_CORRECT.value, RecordRow.channel != "")
        .group_by(col(RecordRow.channel), sa.text("addressed"))
    )
    sums: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for channel, addressed, count, cents in session.exec(counted):
        name = channel if addressed else ""
        sums[name] = sums[name][0] + count, sums[name][1] + (cents or 0)
    titles = dict(CHANNEL_TITLES) | {"": "A mano (senza indirizzo)"}
    return [
        ChannelCount(channel=name, title=titles[name], count=count, cents=cents)
        for name, (count, cents) in sorted(sums.items(), key=lambda item: (item[0] == "", item[0]))
    ]


def _commands(session: Session, batch_id: UUID) -> list[CommandShown]:
    newest = select(KeptCommand).where(KeptCommand.batch_id == batch_id).order_by(col(KeptCommand.kept_at).desc())
    return [
        CommandShown(
            id=kept.id, kind=kept.kind, title=COMMANDS.get(kept.kind, kept.kind), at=kept.kept_at, answer=kept.answer,
            code=kept.code, message=kept.message, rows=kept.rows,  # type: ignore[arg-type]
        )
        for kept in session.exec(newest.limit(COMMANDS_SHOWN))
    ]  # fmt: skip
