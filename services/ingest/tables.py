"""Ingest's tables: batches, one row per record, and the lanes that the pacer keeps."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Column, ColumnElement, Index, Integer, MetaData, case, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, col

from services.ingest.model import Step
from shared.contracts.base import Phase
from shared.contracts.commands import BatchOptions
from shared.contracts.record import DocumentRef, Orders, Record
from shared.db.engine import UtcDateTime

SCHEMA = "ingest"
REVISION = "0001"
"""The migration that makes these tables; `scripts/revise.py` writes the next."""
WITHDRAW = "withdraw"
GENERATED, SENT = "generated", "sent"
_BIG_KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where the type is INTEGER
NEWS = text("news > told")


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """Ingest's own registry, so that no other service's table is known here."""


class Batch(Base, table=True):
    """A spreadsheet with its options. `reading` is what its reading counted (hidden rows, warnings, ...)."""

    __tablename__ = "batch"
    __table_args__ = (Index("batch_turn", "creditor", "turn"),)

    id: UUID = Field(primary_key=True)
    client: str
    request_id: str
    by: str = ""
    creditor: str
    options: dict[str, Any] = Field(sa_type=JSON)
    sheet: dict[str, Any] = Field(sa_type=JSON)
    file_name: str
    until: str = Phase.PREVIEW.value
    created_at: datetime = Field(sa_type=UtcDateTime)
    revision: int = 1
    reading: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    ingested: bool = False
    merging: bool = False
    """A corrected file is coming in: nothing is issued meanwhile, and what a crash leaves half-way is merged anew."""
    paused: bool = False
    cancelling: bool = False
    cancelled: bool = False
    stated: str = ""
    """'', `GENERATED`, `SENT`: the furthest end that was stated, to state each once. `SENT` (or cancelled): nothing is
    left to do, and the clock passes the batch by until a command or a late fact sets it back."""
    cancelled_counts: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    turn: int = Field(default=0, sa_type=BigInteger)
    """When the pacer last issued something of it, in microseconds; whoever waited longest is next."""

    @property
    def batch_options(self) -> BatchOptions:
        """The options as a contract."""
        return BatchOptions.model_validate(self.options)

    @property
    def sheet_ref(self) -> DocumentRef:
        """The uploaded file."""
        return DocumentRef.model_validate(self.sheet)


class Row(Base, table=True):
    """A record as the pacer sees it. `sheet_hash` is the content as the spreadsheet last had it."""

    __tablename__ = "row"
    __table_args__ = (
        # The clock asks these questions four times a second, of batches of 100,000 rows: each has its index.
        Index("row_to_issue", "batch_id", "errand", "state", "step", "channel", "next_at", "number"),
        Index("row_to_withdraw", "batch_id", "errand", "state", "next_at"),
        Index("row_in_flight", "state", "phase", "step", "creditor", "channel", "errand"),
        Index("row_by_phase", "batch_id", "phase", "state", "number"),
        Index("row_to_preview", "batch_id", "preview", "number"),
        Index("row_by_number", "batch_id", "number"),
        Index("row_to_tell", "batch_id", sqlite_where=NEWS, postgresql_where=NEWS),
    )

    id: UUID = Field(primary_key=True)
    batch_id: UUID
    number: int
    """The row number that Excel shows."""
    creditor: str
    channel: str = ""
    state: str
    phase: str = Phase.GENERATE.value
    step: str = Step.IUV.value
    revision: int = 1
    issue: int = 0
    attempts: int = 0
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When a waiting row is issued again; none in any other state."""
    issued_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when the stage that must answer next has it."""
    overdue_at: int = Field(default=0, sa_type=BigInteger)
    """How many records that stage's lane will have answered, ever, when the row's message must be lost (pace.py)."""
    code: str = ""
    sheet_hash: str = ""
    duplicate: str = ""
    record: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    orders: dict[str, Any] = Field(default_factory=lambda: Orders().model_dump(), sa_type=JSON)
    warnings: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    problems: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    cells: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    correction: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    """Waits for the withdrawal of the position that it replaces."""
    errand: str = ""
    """`WITHDRAW`: what is issued is the withdrawal of the position, not the next step."""
    preview: str = ""
    """'' not asked, 'issued', 'done', 'none': there is no letter, and a notice is made when somebody looks."""
    previewed: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    """What render said of the preview: the documents' references, and a code and a sentence where one was not made."""
    news: int = 0
    """Grows with every change that another system wants to hear of; 0: the row is no other system's."""
    told: int = 0
    """The news that was told last."""

    @property
    def whole(self) -> Record:
        """The record; only where the row is no rejected one."""
        return Record.model_validate(self.record)

    @property
    def current_orders(self) -> Orders:
        """The orders that stand."""
        return Orders.model_validate(self.orders)

    @property
    def begun(self) -> bool:
        """Whether it was ever issued: from then on the spreadsheet can no longer change it."""
        return self.issue > 0

    def stir(self) -> None:
        """Something changed that is told to whoever asked for the row."""
        self.news += self.news > 0

    def hold(self, record: Record) -> None:
        """Take `record`, and what is derived from it."""
        self.record = record.model_dump(mode="json", exclude_none=True)
        self.creditor, self.channel = record.creditor, record.delivery.channel.value


class Lane(Base, table=True):
    """What has a pace of its own. Who issues locks its row; nobody else writes it. `answered`: records, ever; `recent`:
    how many in each second (epoch) of the last ten; `in_flight`: when somebody last issued."""

    __tablename__ = "lane"

    name: str = Field(primary_key=True)
    answered: int = Field(default=0, sa_type=BigInteger)
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    recent: list[list[float]] = Field(default_factory=list, sa_type=JSON)
    in_flight: int = 0
    looked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    probe_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """The lane is closed, and takes one record then."""


class LaneWord(Base, table=True):
    """What a handful of facts said of a lane: so many records answered, or closed until then. Whoever issues next takes it
    into the lane's row, so that folding facts waits for nobody's lock."""

    __tablename__ = "lane_word"

    id: int | None = Field(default=None, sa_column=Column(_BIG_KEY, primary_key=True))
    lane: str = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    answered: int = 0
    closed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class HeardRestated(Base, table=True):
    """A service said that it has restated all that a request asked for: whichever replica heard it."""

    __tablename__ = "heard_restated"

    request_id: UUID = Field(primary_key=True)
    service: str = Field(primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime)


class TakenCommand(Base, table=True):
    """A command that was answered, so that a repeat gets the same answer."""

    __tablename__ = "taken_command"

    id: UUID = Field(primary_key=True)
    answer: dict[str, Any] = Field(sa_type=JSON)
    refused: bool = False
    at: datetime = Field(sa_type=UtcDateTime)


def stirred() -> ColumnElement[int]:
    """`Row.stir` for many rows at once."""
    return case((col(Row.news) > 0, col(Row.news) + 1), else_=0)


class ClientRequest(Base, table=True):
    """A batch that another system asked for. `told` is the standing that it was told last."""

    __tablename__ = "client_request"

    batch_id: UUID = Field(primary_key=True)
    client: str
    request_id: str
    stated: bool = False
    """Whether the inside was told of the batch: what a crash leaves unsaid is said by the repeat."""
    told: str = ""
    again: bool = Field(default=False, index=True)
    """All of it is to be told again."""
    again_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ClientDay(Base, table=True):
    """What a client asked for on one day of Europe/Rome."""

    __tablename__ = "client_day"

    client: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    requests: int = 0
    records: int = 0
