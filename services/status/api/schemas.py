"""What the API answers. Money is integer cents, times are UTC (ISO 8601), dates are plain."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.status.fold.batch_state import BatchState
from services.status.model import State
from shared.contracts.base import Phase, StageName
from shared.contracts.commands import BatchOptions
from shared.contracts.facts import Problem as RowProblem
from shared.contracts.facts import WarningCount
from shared.contracts.record import Orders, Record


class Shown(BaseModel):
    """Root of the answers: the schema lists every field as present."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class StateCount(Shown):
    """How many records are in a state. `title` is what a clerk reads."""

    state: State
    title: str
    count: int
    cents: int


class ChannelCount(Shown):
    """How many records go by a channel."""

    channel: str
    title: str
    count: int
    cents: int


class CauseCount(Shown):
    """Records stopped by one cause: a stage and a code, with the sentence that explains it."""

    state: State
    stage: str
    code: str
    message: str
    count: int
    can_retry: bool


class ProblemCount(Shown):
    """Rows with one problem or warning. `message` is the first row's sentence."""

    code: str
    column: str
    warning: bool
    message: str
    count: int
    rows: list[int] = Field(description="Le prime righe, come le numera Excel.")


class Lane(Shown):
    """An outside system that does not answer, or (with `until`) a mailbox outside its hours."""

    stage: StageName
    lane: str
    code: str
    since: datetime
    until: datetime | None = None
    message: str


class CommandShown(Shown):
    """A command of a person and what became of it. `answer`: empty while nobody answered, `taken` or `refused`."""

    id: UUID
    kind: str
    title: str
    at: datetime
    answer: str
    code: str
    message: str
    rows: list[RowProblem]


class BatchSummary(Shown):
    """A batch in a list."""

    id: UUID
    state: BatchState
    title: str
    creditor: str
    payment_type: str
    file_name: str
    client: str = Field(description="Il sistema che ha chiesto l'invio; vuoto se una persona.")
    created_at: datetime | None
    until: Phase
    rows: int
    accepted: int
    rejected: int
    total_cents: int
    counts: list[StateCount]


class Refusal(Shown):
    """Why a request was refused as a whole, with the rows that it is about."""

    code: str
    message: str
    rows: list[RowProblem]


class BatchDetail(BatchSummary):
    """A batch."""

    options: BatchOptions | None
    paused: bool
    hidden_rows: int
    hidden_sheets: int
    blank_rows: int
    ignored_columns: list[str]
    warnings: list[WarningCount]
    problems: list[ProblemCount]
    channels: list[ChannelCount]
    causes: list[CauseCount]
    lanes: list[Lane]
    commands: list[CommandShown]
    refusal: Refusal | None
    cancelled: dict[str, int] | None


class BatchPage(Shown):
    """One page of batches, newest first."""

    items: list[BatchSummary]
    total: int
    page: int
    pages: int


class RecordSummary(Shown):
    """A record in a list. `hint` says what it waits for, `message` why it stands, `preview_message` why its documents
    could not be made for the preview."""

    id: UUID
    batch_id: UUID
    row: int
    reference: str = Field(description="Come lo chiama il sistema che ha chiesto l'invio.")
    state: State
    title: str
    hint: str
    stage: str
    phase: str
    code: str
    message: str
    warnings: int
    debtor_name: str
    fiscal_code: str
    notice_code: str
    iuv: str
    protocol_number: str
    amount_cents: int
    due_date: date | None
    channel: str
    address: str
    has_notice: bool
    has_letter: bool
    preview_message: str


class RecordPage(Shown):
    """One page of records, in the order of their rows."""

    items: list[RecordSummary]
    total: int
    total_cents: int
    page: int
    pages: int


class TimelineEntry(Shown):
    """One fact. `restated`: known only from an old fact told again, so `at` may be the time of the telling."""

    at: datetime
    kind: str
    title: str
    stage: str
    order: int
    issue: int
    code: str
    message: str
    until: datetime | None
    restated: bool


class RecordDetail(RecordSummary):
    """A record with everything known of it. `record` holds its sections, each with its version (order, state);
    `actions` are those that make sense now."""

    orders: Orders
    record: Record | None
    cells: dict[str, str] | None
    problems: list[RowProblem]
    timeline: list[TimelineEntry]
    actions: list[str]


class CommandAccepted(Shown):
    """A command was kept, and will be carried out. Its answer shows among the batch's `commands`."""

    command_id: UUID
    batch_id: UUID | None
    kind: str
    href: str


class Health(Shown):
    """`ok`, or what is not."""

    status: str
    checks: dict[str, str] = {}
