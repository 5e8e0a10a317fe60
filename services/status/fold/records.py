"""Facts about records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.status.fold.derive import trouble_from
from services.status.fold.rows import Row
from services.status.fold.working import WorkingSet, kind_of
from services.status.model import PHASE_OF, STAGES, Trouble, TroubleKind
from services.status.tables import SECTION_NAMES
from shared.contracts import facts
from shared.contracts.base import StageName
from shared.contracts.envelope import Envelope
from shared.contracts.record import Orders, Record, Registration, Section, Sending, section_of, version_of

SECTIONS_APART = set(SECTION_NAMES)


def accepted(working: WorkingSet, fact: facts.RecordsAccepted, envelope: Envelope) -> None:
    """Rows that can go on, or that were corrected."""
    for item in fact.records:
        row = working.row(item.record.id, fact.batch_id)
        _raise_orders(row, item.orders)
        if item.revision > row.row_revision:
            row.row_revision, row.rejected, row.cells, row.warnings = item.revision, False, None, len(item.warnings)
            working.problems(row, item.revision, item.warnings)
        _merge(row, item.record, (item.revision, _sum(item.orders)))
        working.event("record-accepted", envelope, row, item.revision, revision=item.revision)


def rejected(working: WorkingSet, fact: facts.RecordsRejected, envelope: Envelope) -> None:
    """Rows that must be corrected."""
    for item in fact.rows:
        row = working.row(item.record_id, fact.batch_id)
        if item.revision > row.row_revision:
            row.row_revision, row.rejected, row.row, row.cells = item.revision, True, item.row, item.cells
            row.warnings = sum(problem.warning for problem in item.problems)
            working.problems(row, item.revision, item.problems)
        working.event("record-rejected", envelope, row, item.revision, revision=item.revision)


def stated(working: WorkingSet, fact: facts.RecordFact, envelope: Envelope) -> None:
    """A stage's word: its section, and all the others that the record carries."""
    row, stage = working.row(fact.record.id, fact.record.batch_id), StageName(fact.owner)
    _raise_orders(row, fact.orders)
    _raise_issue(row, stage, fact.issue)
    if fact.issue > row.answers.get(stage, 0):
        row.answers = row.answers | {stage.value: fact.issue}
    _merge(row, fact.record, (0, _sum(fact.orders)))
    section = section_of(fact.record, stage)
    order = section.order if section else fact.orders.of(stage)
    said: dict[str, Any] = {"stage": stage.value, "order": order, "issue": fact.issue}
    if section is not None:
        said |= {"code": section.code, "detail": section.detail}
    working.event(kind_of(type(fact)), envelope, row, order, at=_when(section) or envelope.time, **said)


def attempted(working: WorkingSet, fact: facts.StageFailed | facts.StageDeferred, envelope: Envelope) -> None:
    """An attempt that came to nothing."""
    row, until = working.row(fact.record_id, fact.batch_id), getattr(fact, "until", None)
    _raise_orders(row, Orders().model_copy(update={fact.stage.value: fact.order}))
    kind = TroubleKind.DEFERRED if until else TroubleKind.FAILED
    if isinstance(fact, facts.StageFailed) and fact.permanent:
        kind = TroubleKind.PARKED
    _trouble(row, Trouble(kind, fact.stage, fact.issue, fact.order, fact.code, until))
    said = {"stage": fact.stage.value, "order": fact.order, "issue": fact.issue, "code": fact.code, "until": until}
    parts = fact.stage, fact.order, fact.issue, until, fact.code
    working.event(kind_of(type(fact)), envelope, row, *parts, **said)


def parked(working: WorkingSet, fact: facts.RecordParked, envelope: Envelope) -> None:
    """The machine gave up."""
    row = working.row(fact.record_id, fact.batch_id)
    _trouble(row, Trouble(TroubleKind.PARKED, fact.stage, fact.issue, 0, fact.code))
    said = {"stage": fact.stage.value, "issue": fact.issue, "code": fact.code}
    working.event("record-parked", envelope, row, fact.stage, fact.issue, **said)


def previewed(working: WorkingSet, fact: facts.PreviewRendered, _envelope: Envelope) -> None:
    """Documents to look at. It is no event: nothing was issued. Of two previews of the same values the one that shows more
    stands."""
    row = working.row(fact.record_id, fact.batch_id)
    shown = [(row.preview or {}).get(kind) for kind in ("letter", "notice")]
    more = [fact.letter, fact.notice]
    if row.preview is None or (fact.revision, len(more) - more.count(None)) > (
        row.preview_revision,
        len(shown) - shown.count(None),
    ):
        row.preview_revision = fact.revision
        row.preview = fact.model_dump(mode="json", include={"letter", "notice", "code", "detail"}, exclude_none=True)


def _merge(row: Row, record: Record, version: tuple[int, int]) -> None:
    """The newer content, and the newest of each section. A fact's own content counts only until ingest's word."""
    if version > (row.content_revision, row.content_orders):
        row.content_revision, row.content_orders = version
        row.content = record.model_dump(mode="json", exclude=SECTIONS_APART, exclude_none=True)
    for name in SECTION_NAMES:
        section: Section | None = getattr(record, name)
        if section is None:
            continue
        standing = getattr(row, name)
        if standing is None or section.version > version_of(standing):
            setattr(row, name, section.model_dump(mode="json", exclude_none=True))


def _sum(orders: Orders) -> int:
    """Orders only grow, so their sum tells the later content of a record from the earlier."""
    return orders.iuv + orders.render + orders.protocol + orders.dispatch


def _raise_orders(row: Row, orders: Orders) -> None:
    standing = row.orders
    if standing != vars(orders) and any(orders.of(stage) > standing.get(stage, 0) for stage in STAGES):
        row.orders = {stage.value: max(standing.get(stage, 1), orders.of(stage)) for stage in STAGES}


def _raise_issue(row: Row, stage: StageName, issue: int) -> None:
    phase = PHASE_OF[stage].value
    if issue > row.issues.get(phase, 0):
        row.issues = row.issues | {phase: issue}


def _trouble(row: Row, trouble: Trouble) -> None:
    _raise_issue(row, trouble.stage, trouble.issue)
    phase = PHASE_OF[trouble.stage].value
    kept = row.troubles.get(phase)
    if kept is None or trouble.version > trouble_from(kept).version:
        until = trouble.until.isoformat() if trouble.until else None
        row.troubles = row.troubles | {
            phase: {
                "kind": trouble.kind.value, "stage": trouble.stage.value, "issue": trouble.issue, "order": trouble.order,
                "code": trouble.code, "until": until,
            }
        }  # fmt: skip


def _when(section: Section | None) -> datetime | None:
    """When it happened by the stage's own clock, which a restatement does not change."""
    if isinstance(section, Registration):
        return section.registered_at
    return section.sent_at if isinstance(section, Sending) else None
