"""Facts folded into an empty read model, and what is in it then."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import delete
from sqlmodel import select

from services.status.fold import fold_handful
from services.status.tables import Base, BatchRow, LaneRow, ProblemRow, RecordRow, RemovedRow, TimelineRow
from shared.contracts import facts
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import BatchOptions, Message
from shared.contracts.envelope import Envelope
from shared.db.engine import Database
from tests import databases
from tests.builders import BATCH, a_document

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TABLES = (BatchRow, RecordRow, ProblemRow, RemovedRow, TimelineRow, LaneRow)


ROOM = Path(tempfile.mkdtemp(prefix="staffetta-fold-"))
atexit.register(shutil.rmtree, ROOM, ignore_errors=True)


@cache
def database(where: str) -> Database:
    """One read model for all tests of a process, emptied before each use: to make one costs more than most tests.
    `where`: see `tests.databases.where`."""
    assert where == databases.where()
    return databases.a_database(ROOM, Base.metadata, "status")


def wrapped(message: Message, minute: int = 0, *, restated: bool = False, source: str = "iuv") -> Envelope:
    envelope = Envelope.of(message, source=source, restated=restated)
    return Envelope(
        **{name: getattr(envelope, name) for name in envelope.__slots__} | {"time": NOON + timedelta(minutes=minute)}
    )


def ingested(revision: int = 1, until: Phase = Phase.PREVIEW, removed: Sequence[int] = ()) -> facts.BatchIngested:
    options = BatchOptions(channel=Channel.PEC, payment_type="scuolabus", due_date=date(2027, 1, 23))
    return facts.BatchIngested(
        batch_id=BATCH, revision=revision, client="dashboard", request_id=str(BATCH), creditor="c_x999", options=options,
        sheet=a_document(), file_name="elenco.xlsx", until=until, created_at=NOON, rows=3, accepted=2, rejected=1,
        total_cents=17010, removed_rows=list(removed),
    )  # fmt: skip


def model_after(handfuls: Iterable[Sequence[Envelope]]) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, once the handfuls are folded into an empty database."""
    found = database(databases.where())
    with found.write() as session:
        for table in TABLES:
            session.execute(delete(table))
    for handful in handfuls:
        with found.write() as session:
            fold_handful(session, handful)
    with found.read() as session:
        return {
            table.__name__: sorted((row.model_dump() for row in session.exec(select(table))), key=identity)
            for table in TABLES
        }


def identity(row: dict[str, Any]) -> list[str]:
    """What orders rows: their keys, whatever the table."""
    return [str(row.get(name)) for name in ("id", "record_id", "position", "stage", "lane")]


def one_by_one(envelopes: Sequence[Envelope]) -> list[list[Envelope]]:
    return [[envelope] for envelope in envelopes]


def states(model: dict[str, list[dict[str, Any]]]) -> dict[int, str]:
    return {row["row"]: row["state"] for row in model["RecordRow"]}
