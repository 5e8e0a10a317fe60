"""The read model: what the facts add up to. All of it can be built again from restated facts, but for `KeptCommand`.

Every `*_revision` column is the revision of the fact that last won it, so that a late fact loses.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Index, MetaData, Table, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.contracts.base import Phase
from shared.contracts.record import SECTIONS, Record
from shared.db.engine import UtcDateTime

SCHEMA = "status"
REVISION = "0002"
"""The migration that makes these tables; `scripts/revise.py` writes the next."""
JsonObject = dict[str, Any]
OURS = ("dashboard", "staffetta-run")
"""Through which people ask."""
SECTION_NAMES = tuple(name for name, _ in SECTIONS.values())


class Json(JSON):
    """JSON of which nothing is no value, on whatever way it comes in."""

    def __init__(self) -> None:
        super().__init__(none_as_null=True)


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """The registry of this service's tables."""


def table_of(model: type[SQLModel]) -> Table:
    """Its table, of which SQLModel does not tell."""
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found


class BatchRow(Base, table=True):
    """A batch. `ingested_revision` 0: only asked for, or only heard of. `ingested` is the body of `BatchIngested`."""

    __tablename__ = "batch"

    id: UUID = Field(primary_key=True)
    creditor: str = ""
    payment_type: str = ""
    file_name: str = ""
    created_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    options: JsonObject | None = Field(default=None, sa_type=Json)
    ingested: JsonObject | None = Field(default=None, sa_type=Json)
    ingested_revision: int = 0
    until: str = Phase.PREVIEW.value
    until_revision: int = 0
    paused: bool = False
    paused_revision: int = 0
    milestone: str = ""
    milestone_revision: int = 0
    cancelled: bool = False
    cancelled_counts: JsonObject | None = Field(default=None, sa_type=Json)
    refusal: JsonObject | None = Field(default=None, sa_type=Json)
    """Why the request was refused: `code`, `message`, `rows`. Says nothing once the batch is ingested."""

    @property
    def client(self) -> str:
        """The other system that asked for it; empty where a person did, or where that is not known yet."""
        name = str((self.ingested or {}).get("client", ""))
        return "" if name in OURS else name


class RecordRow(Base, table=True):
    """A record. `row_revision` versions what ingest said of the row (rejected or not, cells, problems); `content` is the record
    without its sections, of version `content_revision` and `content_orders` (0: not known), which a stage's fact may have
    brought first; the sections carry their own. `issues` and `troubles` are by phase, `answers` (issues too) by stage.
    The rest is derived."""

    __tablename__ = "record"
    __table_args__ = (
        # Each answers a page's question about 100,000 records from the index alone: which come next, how many are where.
        Index("ix_record_batch_row", "batch_id", "row", "id"),
        Index("ix_record_batch_state", "batch_id", "state", "amount_cents"),
        Index("ix_record_state", "state", "amount_cents"),
    )

    id: UUID = Field(primary_key=True)
    batch_id: UUID
    row: int = 0
    row_revision: int = 0
    content_revision: int = 0
    content_orders: int = 0
    rejected: bool = False
    content: JsonObject | None = Field(default=None, sa_type=Json)
    position: JsonObject | None = Field(default=None, sa_type=Json)
    documents: JsonObject | None = Field(default=None, sa_type=Json)
    registration: JsonObject | None = Field(default=None, sa_type=Json)
    sending: JsonObject | None = Field(default=None, sa_type=Json)
    cells: JsonObject | None = Field(default=None, sa_type=Json)
    orders: JsonObject = Field(default_factory=dict, sa_type=Json)
    issues: JsonObject = Field(default_factory=dict, sa_type=Json)
    troubles: JsonObject = Field(default_factory=dict, sa_type=Json)
    answers: JsonObject = Field(default_factory=dict, sa_type=Json)
    preview: JsonObject | None = Field(default=None, sa_type=Json)
    preview_revision: int = 0

    state: str = ""
    phase: str = ""
    stage: str = ""
    code: str = ""
    detail: str = Field(default="", sa_type=Text)
    trouble: str = ""
    waiting_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    warnings: int = 0
    registers: bool = False
    reference: str = ""
    debtor_name: str = ""
    fiscal_code: str = ""
    notice_code: str = ""
    iuv: str = ""
    protocol_number: str = ""
    amount_cents: int = Field(default=0, sa_type=BigInteger)
    due_date: date | None = None
    channel: str = ""
    address: str = ""
    haystack: str = Field(default="", sa_type=Text)

    @property
    def record(self) -> Record | None:
        """The record as it travels, with all that the stages said."""
        if self.content is None:
            return None
        sections = {name: getattr(self, name) for name in SECTION_NAMES}
        return Record.model_validate(self.content | {name: value for name, value in sections.items() if value})


class ProblemRow(Base, table=True):
    """A problem or warning of a row, as of the row's `revision`."""

    __tablename__ = "problem"
    __table_args__ = (Index("ix_problem_cause", "batch_id", "warning", "code", "column", "row"),)

    record_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    batch_id: UUID
    revision: int
    row: int
    column: str
    code: str
    message: str = Field(sa_type=Text)
    warning: bool
    proposal: str = ""


class RemovedRow(Base, table=True):
    """A row that a corrected spreadsheet no longer has. What ingest said of it below `revision` is gone from the tables
    above and below, and what still comes late is left out; it can come back under a higher one."""

    __tablename__ = "removed"

    record_id: UUID = Field(primary_key=True)
    revision: int


class TimelineRow(Base, table=True):
    """One fact about a record, or (without `record_id`) about a batch. The id is derived from what the fact says, so
    that repeats and restatements meet in it. `restated`: only an old fact told again has come in. `revision`: the row's,
    where ingest speaks of a row."""

    __tablename__ = "timeline"

    id: UUID = Field(primary_key=True)
    batch_id: UUID = Field(index=True)
    record_id: UUID | None = Field(default=None, index=True)
    kind: str
    at: datetime = Field(sa_type=UtcDateTime)
    restated: bool = False
    stage: str = ""
    order: int = 0
    issue: int = 0
    revision: int = 0
    code: str = ""
    detail: str = Field(default="", sa_type=Text)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LaneRow(Base, table=True):
    """A lane that was closed at least once: it is closed where it closed after it last opened."""

    __tablename__ = "lane"

    stage: str = Field(primary_key=True)
    lane: str = Field(primary_key=True)
    code: str = ""
    closed_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def closed(self) -> bool:
        """Whether it is closed now."""
        return self.closed_since is not None and (self.opened_at is None or self.closed_since > self.opened_at)


class KeptCommand(Base, table=True):
    """A person's command: kept before the 202, published again until it is answered. `answer`: empty, `taken` or
    `refused`. `request_key` is the client's `Idempotency-Key`; `request_print` a hash of what was asked under it."""

    __tablename__ = "command"

    id: UUID = Field(primary_key=True)
    batch_id: UUID | None = Field(default=None, index=True)
    request_key: str | None = Field(default=None, unique=True)
    request_print: str = ""
    kind: str
    body: str = Field(sa_type=Text)
    kept_at: datetime = Field(sa_type=UtcDateTime)
    publish_at: datetime = Field(sa_type=UtcDateTime)
    published: int = 0
    answer: str = Field(default="", index=True)
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    code: str = ""
    message: str = Field(default="", sa_type=Text)
    rows: list[JsonObject] = Field(default_factory=list, sa_type=Json)
