"""Reading records: the list with its filters, and one with everything known of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, func, select

from services.status.api.asked import RecordSearch
from services.status.api.lanes import awaited, closed_lanes
from services.status.api.problems import missing
from services.status.api.schemas import Lane, RecordDetail, RecordPage, RecordSummary, TimelineEntry
from services.status.api.wording import KINDS, clock, explained
from services.status.fold.derive import searchable
from services.status.model import PHASE_OF, PHASES, TITLES, UNDER_WAY, State, TroubleKind
from services.status.tables import BatchRow, ProblemRow, RecordRow, TimelineRow
from shared.contracts.base import Phase, StageName
from shared.contracts.facts import Problem
from shared.contracts.record import DocumentRef, Orders

COPIED = (
    "id", "batch_id", "row", "reference", "stage", "phase", "code", "warnings", "debtor_name", "fiscal_code", "notice_code", "iuv",
    "protocol_number", "amount_cents", "due_date", "channel", "address",
)  # fmt: skip


def record_row(session: Session, record_id: UUID) -> RecordRow:
    """The record, or 404."""
    found = session.get(RecordRow, record_id)
    if found is None:
        raise missing("record")
    return found


def record_page(
    session: Session, search: RecordSearch, batch_id: UUID | None = None, resting: Sequence[Lane] = ()
) -> RecordPage:
    """The records that match; of all batches, newest first, where none is named."""
    wanted: list[Any] = [RecordRow.batch_id == batch_id] if batch_id else []
    wanted += [col(RecordRow.haystack).contains(word, autoescape=True) for word in searchable(search.text).split()]
    if search.states:
        wanted.append(col(RecordRow.state).in_([state.value for state in search.states]))
    if search.code:
        wanted += [RecordRow.code == search.code, RecordRow.stage == search.stage]
    total, cents = session.exec(select(func.count(), func.sum(RecordRow.amount_cents)).where(*wanted)).one()
    order: Sequence[Any] = (
        [col(RecordRow.row)] if batch_id else [col(BatchRow.created_at).desc(), col(BatchRow.id), col(RecordRow.row)]
    )
    joined = col(BatchRow.id) == col(RecordRow.batch_id)
    # The ids first: a page far down would otherwise sort whole rows only to skip them.
    shown = (
        select(RecordRow.id)
        .join(BatchRow, joined)
        .where(*wanted)
        .order_by(*order)
        .limit(search.page_size)
        .offset((search.page - 1) * search.page_size)
    )
    found = select(RecordRow, BatchRow).join(BatchRow, joined).where(col(RecordRow.id).in_(shown)).order_by(*order)
    lanes, now = [*closed_lanes(session), *resting], datetime.now(UTC)
    items = [RecordSummary(**_summary(row, batch, lanes, now)) for row, batch in session.exec(found)]
    pages = max(1, -(-total // search.page_size))
    return RecordPage(items=items, total=total, total_cents=cents or 0, page=search.page, pages=pages)


def record_detail(session: Session, record_id: UUID, resting: Sequence[Lane] = ()) -> RecordDetail:
    """Everything about one record."""
    row = record_row(session, record_id)
    batch = session.get_one(BatchRow, row.batch_id)
    problems = session.exec(
        select(ProblemRow).where(ProblemRow.record_id == record_id).order_by(col(ProblemRow.position))
    )
    return RecordDetail(
        **_summary(row, batch, [*closed_lanes(session), *resting], datetime.now(UTC)),
        orders=Orders.model_validate(row.orders),
        record=row.record,
        cells=row.cells,
        problems=[Problem(**item.model_dump(include=set(Problem.model_fields))) for item in problems],
        timeline=_timeline(session, record_id),
        actions=actions_of(row),
    )


def document_of(row: RecordRow, kind: str) -> DocumentRef | None:
    """The notice or letter that was made; `None` before there is any. 404 where a record has none of the kind: a letter may
    be part of its notice."""
    made = row.documents or {}
    if not made.get("notice"):
        return None
    if not made.get(kind):
        raise missing("document")
    return DocumentRef.model_validate(made[kind])


def actions_of(row: RecordRow) -> list[str]:
    """What a person can do with the record now. To correct is to do anew, so it needs a record that was issued."""
    state, stage = State(row.state), row.stage
    if row.content is None or (state is State.TO_CORRECT and not row.code):
        return []  # the row is mended in the spreadsheet
    settle = state is State.TO_VERIFY or (
        state is State.STUCK and stage == StageName.PROTOCOL and row.trouble != TroubleKind.PARKED
    )
    found = ["settle"] if settle else []
    if state is State.STUCK and row.trouble == TroubleKind.PARKED:
        found.append("retry")
    if state not in (State.READY, State.CANCELLED, State.PAID) and not settle:
        found.append("correct")
    return found


def hint_of(row: RecordRow, batch: BatchRow, lanes: Sequence[Lane], now: datetime) -> str:
    """What a record on its way is waiting for; empty where it is nobody's turn."""
    if State(row.state) not in UNDER_WAY or batch.cancelled or not row.stage:
        return ""
    if PHASES.index(PHASE_OF[StageName(row.stage)]) > PHASES.index(Phase(batch.until)):
        return ""
    if batch.paused:
        return "in pausa"
    if (lane := awaited(lanes, row, batch)) is not None:
        return lane.message
    if row.trouble == TroubleKind.DEFERRED and row.waiting_until is not None and row.waiting_until > now:
        return f"in attesa fino alle {clock(row.waiting_until)}"
    return "si riprova da solo" if row.trouble == TroubleKind.FAILED else "in lavorazione"


def _summary(row: RecordRow, batch: BatchRow, lanes: Sequence[Lane], now: datetime) -> dict[str, Any]:
    documents, preview, state = row.documents or {}, row.preview or {}, State(row.state)
    return {name: getattr(row, name) for name in COPIED} | {
        "state": state,
        "title": TITLES[state],
        "hint": hint_of(row, batch, lanes, now),
        "message": explained(row.code, row.detail),
        "has_notice": bool(documents.get("notice")),
        "has_letter": bool(documents.get("letter")),
        "preview_message": ""
        if documents.get("notice")
        else explained(preview.get("code", ""), preview.get("detail", "")),
    }


def _timeline(session: Session, record_id: UUID) -> list[TimelineEntry]:
    rows = session.exec(select(TimelineRow).where(TimelineRow.record_id == record_id))
    return [
        TimelineEntry(
            **{
                name: getattr(row, name)
                for name in ("at", "kind", "stage", "order", "issue", "code", "until", "restated")
            },
            title=KINDS.get(row.kind, row.kind),
            message=explained(row.code, row.detail),
        )
        for row in sorted(rows, key=_in_time)
    ]


def _in_time(row: TimelineRow) -> tuple[datetime, int, int]:
    stages = list(StageName)
    return row.at, row.order, stages.index(StageName(row.stage)) if row.stage else -1
