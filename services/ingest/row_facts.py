"""What ingest states about rows, from the rows alone: so it can be stated again."""

from __future__ import annotations

from collections.abc import Sequence

from services.ingest.hand import AnyRow
from services.ingest.model import RowState, Step
from services.ingest.tables import Row
from shared.contracts.base import StageName
from shared.contracts.facts import (
    AcceptedRecord,
    Fact,
    PreviewRendered,
    Problem,
    RecordParked,
    RecordsAccepted,
    RecordsRejected,
    RejectedRow,
)


def row_facts(rows: Sequence[AnyRow], revision: int) -> list[Fact]:
    """One chunk of a batch's rows (of `revision`): accepted, rejected, and which of them are parked."""
    accepted = [_accepted(row) for row in rows if row.record is not None]
    rejected = [_rejected(row) for row in rows if isinstance(row, Row) and row.record is None]
    said: list[Fact] = []
    if accepted:
        said.append(RecordsAccepted(batch_id=rows[0].batch_id, revision=revision, records=accepted))
    if rejected:
        said.append(RecordsRejected(batch_id=rows[0].batch_id, revision=revision, rows=rejected))
    return said + [parked(row, stage_of(row)) for row in rows if row.state == RowState.PARKED]


def previews(rows: Sequence[AnyRow]) -> list[Fact]:
    """The documents that were made to be looked at. Render keeps no ledger of them, so ingest states them again."""
    return [
        PreviewRendered.model_validate(
            {**row.previewed, "batch_id": row.batch_id, "record_id": row.id, "revision": row.revision}
        )
        for row in rows
        if row.previewed is not None
    ]


def parked(row: AnyRow, stage: StageName) -> RecordParked:
    """The fact of a parked row."""
    return RecordParked(batch_id=row.batch_id, record_id=row.id, stage=stage, issue=row.issue, code=row.code)


def stage_of(row: AnyRow) -> StageName:
    """The stage that has the row, or had it last."""
    if row.errand:
        return StageName.IUV
    return StageName(row.step) if row.step != Step.NOTHING else StageName.DISPATCH


def _accepted(row: AnyRow) -> AcceptedRecord:
    warnings = [Problem.model_validate(warning) for warning in row.warnings]
    return AcceptedRecord(record=row.whole, orders=row.current_orders, warnings=warnings, revision=row.revision)


def _rejected(row: Row) -> RejectedRow:
    problems = [Problem.model_validate(problem) for problem in row.problems]
    return RejectedRow(record_id=row.id, row=row.number, cells=row.cells, problems=problems, revision=row.revision)
