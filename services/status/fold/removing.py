"""Rows that a corrected spreadsheet no longer has. Their removal is remembered, so that what is older and comes late
stays out; a row that comes back does so under a higher revision."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import Session, col

from services.status.fold.rows import Row, chunks
from services.status.tables import RemovedRow, TimelineRow, table_of
from shared.db.among import among


class Removals:
    """Those that the records of a handful met, before or now."""

    def __init__(self, session: Session, standing: Iterable[RemovedRow] = ()) -> None:
        self._session = session
        self._rows = {row.record_id: row for row in standing}
        self._fresh: set[UUID] = set()

    def add(self, record_id: UUID, revision: int) -> bool:
        """What ingest said of the row below `revision` is void. Whether that is news."""
        row = self._rows.setdefault(record_id, RemovedRow(record_id=record_id, revision=0))
        if revision <= row.revision:
            return False
        row.revision = revision
        self._session.add(row)
        self._fresh.add(record_id)
        return True

    def takes(self, row: Row) -> bool:
        """Whether the row is gone. Rows that were issued are never removed: one with an issue, or with a newer preview,
        came back, and ingest's word of that is still to come."""
        removed = self._rows.get(row.id)
        if removed is None:
            return False
        if row.preview_revision < removed.revision:
            row.preview, row.preview_revision = None, 0
        return row.row_revision < removed.revision and row.preview is None and not row.issues

    def takes_entry(self, entry: dict[str, Any]) -> bool:
        """Whether an entry of the timeline tells of the row before it was taken out."""
        removed = self._rows.get(entry["record_id"])
        return removed is not None and 0 < entry["revision"] < removed.revision

    def clear_timeline(self) -> None:
        """Delete the entries that came before the removal did."""
        fresh = sorted((self._rows[record_id].revision, record_id) for record_id in self._fresh)
        for revision, some in groupby(fresh, key=lambda pair: pair[0]):
            for ids in chunks(record_id for _, record_id in some):
                older = col(TimelineRow.revision).between(1, revision - 1)
                these = among(self._session, table_of(TimelineRow).columns.record_id, ids)
                self._session.execute(delete(TimelineRow).where(these, older))
