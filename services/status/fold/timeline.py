"""The entries that a handful of facts makes in the timeline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlmodel import Session, col

from services.status.fold.rows import chunks
from services.status.tables import TimelineRow, table_of
from shared.contracts.envelope import Envelope
from shared.db.among import among
from shared.db.upsert import Columns, Upsert
from shared.ids import derived

Entry: TypeAlias = dict[str, Any]
EMPTY: Entry = {"stage": "", "order": 0, "issue": 0, "revision": 0, "code": "", "detail": "", "until": None}
"""Of a fact that says no more than that it happened."""


TABLE = table_of(TimelineRow)


def _truer(standing: Columns, given: Columns) -> Any:
    return tuple_(given["restated"], given["at"]) < tuple_(standing["restated"], standing["at"])


PUT = Upsert(
    TABLE,
    lambda _standing, given: {"at": given["at"], "restated": given["restated"]},
    _truer,
)


class Timeline:
    """By what each fact says, so that repeats meet."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._entries: dict[UUID, Entry] = {}

    def enter(
        self, kind: str, envelope: Envelope, batch_id: UUID, record_id: UUID | None, parts: tuple[object, ...], said: Entry
    ) -> None:  # fmt: skip
        """A fact. `parts` tell it from the others of its kind about the same record or batch."""
        entry_id = derived("timeline", record_id or batch_id, kind, *parts)
        entry = EMPTY | {"id": entry_id, "batch_id": batch_id, "record_id": record_id, "kind": kind}
        entry |= {"at": envelope.time, "restated": envelope.restated} | said
        standing = self._entries.get(entry_id)
        if standing is None or _truth(entry) < _truth(standing):
            self._entries[entry_id] = entry

    def put(self, void: Callable[[Entry], bool], changed: Collection[UUID]) -> list[Entry]:
        """Write what is not `void`; what was news. A fact that `changed` its record was not told before: of the others that is
        asked first, for even a row that is there already is locked by being put."""
        entries = [entry for entry in self._entries.values() if not void(entry)]
        known = dict(self._known(entry["id"] for entry in entries if entry["record_id"] not in changed))
        news = [entry for entry in entries if entry["id"] not in known or _truth(entry) < known[entry["id"]]]
        PUT(self._session.connection(), news)
        return news

    def _known(self, ids: Iterator[UUID]) -> Iterator[tuple[UUID, tuple[bool, datetime]]]:
        for some in chunks(ids):
            query = select(col(TimelineRow.id), col(TimelineRow.restated), col(TimelineRow.at))
            these = query.where(among(self._session, TABLE.columns.id, some))
            yield from ((entry_id, (restated, at)) for entry_id, restated, at in self._session.execute(these))


def _truth(entry: Entry) -> tuple[bool, datetime]:
    """The lower tells more truly when it happened: first-hand before restated, then the earlier one."""
    return entry["restated"], entry["at"]
