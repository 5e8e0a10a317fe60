"""Facts: past participles from one owner. A restated fact travels under `<owner>.<message>.restated.v<major>`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract, Phase, StageName
from shared.contracts.commands import BatchOptions, Message
from shared.contracts.record import DocumentRef, Orders, Record


class Fact(Message):
    """Something happened."""

    exchange: ClassVar[Literal["facts"]] = "facts"


class Problem(Contract):
    """Something wrong (it stops the row) or suspicious (a warning) in one cell.

    `code` is stable, kebab; `message` is an Italian sentence that says what to do; `proposal` a value to put instead.
    """

    row: int
    column: str
    code: str
    message: str
    warning: bool = False
    proposal: str = ""


class AcceptedRecord(Contract):
    """A row that can go on, with its warnings."""

    record: Record
    orders: Orders = Orders()
    warnings: list[Problem] = []
    revision: int = 1


class RejectedRow(Contract):
    """A row that must be corrected. `cells` are the user's own, by heading, as text."""

    record_id: UUID
    row: int
    cells: dict[str, str]
    problems: list[Problem]
    revision: int = 1


class WarningCount(Contract):
    """Warnings of one cause, for the top of the preview."""

    code: str
    count: int
    message: str


class BatchFact(Fact):
    """Something about a whole batch. `revision` grows with every change: the highest wins."""

    owner: ClassVar[str] = "ingest"
    batch_id: UUID
    revision: int = 1


class BatchIngested(BatchFact):
    """A spreadsheet was read; its rows follow in chunks."""

    client: str
    request_id: str
    by: str = ""
    creditor: str
    options: BatchOptions
    sheet: DocumentRef
    file_name: str
    until: Phase
    created_at: datetime
    rows: int
    accepted: int
    rejected: int
    total_cents: int
    hidden_rows: int = 0
    hidden_sheets: int = 0
    blank_rows: int = 0
    ignored_columns: list[str] = []
    warnings: list[WarningCount] = []
    removed_rows: list[int] = []
    """Row numbers that a corrected file no longer has; none of them was ever issued."""


class RecordsAccepted(BatchFact):
    """Up to 200 rows that can go on."""

    records: list[AcceptedRecord]


class RecordsRejected(BatchFact):
    """Up to 200 rows that must be corrected."""

    rows: list[RejectedRow]


class BatchAllowed(BatchFact):
    """A person allowed a phase (or the request did, with `until`)."""

    until: Phase


class BatchPaused(BatchFact):
    """Nothing more is issued."""


class BatchResumed(BatchFact):
    """Issuing goes on."""


class BatchCancelled(BatchFact):
    """Stopped for good, with its counts. `unanswered`: still with a stage; what becomes of them is said later."""

    sent: int = 0
    registered_not_sent: int = 0
    withdrawn: int = 0
    unanswered: int = 0


class BatchGenerated(BatchFact):
    """The generate phase has nothing issued or waiting."""

    counts: dict[str, int] = {}


class BatchSent(BatchFact):
    """The last message left."""

    counts: dict[str, int] = {}


class BatchSettled(BatchFact):
    """Nothing more is expected."""

    counts: dict[str, int] = {}


class CommandTaken(Fact):
    """A command was carried out, or was already."""

    owner: ClassVar[str] = "every"
    command_id: UUID
    batch_id: UUID
    record_ids: list[UUID] = []


class CommandRefused(Fact):
    """A command was not carried out. `rows` are those that the refusal is about, each with its own reason."""

    owner: ClassVar[str] = "every"
    command_id: UUID
    batch_id: UUID
    code: str
    message: str
    rows: list[Problem] = []


class RecordParked(Fact):
    """The machine gave up on a record until a person retries it."""

    owner: ClassVar[str] = "ingest"
    batch_id: UUID
    record_id: UUID
    stage: StageName
    issue: int
    code: str


class RecordFact(Fact):
    """A stage's word about one record, with its section in it."""

    record: Record
    orders: Orders = Orders()
    issue: Annotated[int, Field(ge=1)] = 1


class IuvAssigned(RecordFact):
    """The position is open and published."""

    owner: ClassVar[str] = "iuv"


class IuvRefused(RecordFact):
    """pagoPA refused the position."""

    owner: ClassVar[str] = "iuv"


class PositionWithdrawn(RecordFact):
    """The position cannot be paid any more."""

    owner: ClassVar[str] = "iuv"


class NoticeRendered(RecordFact):
    """Notice and letter are in the store, read back and equal to the record."""

    owner: ClassVar[str] = "render"


class RenderRefused(RecordFact):
    """The documents cannot be made, or say something else than the record (`read-back-...`). The position is withdrawn."""

    owner: ClassVar[str] = "render"


class PreviewRendered(Fact):
    """Notice and letter of a record, as FAC-SIMILE; the notice has no code that could be paid. Not a section: nothing is
    issued by it. `code` and `detail`: why one of them could not be made."""

    owner: ClassVar[str] = "render"
    batch_id: UUID
    record_id: UUID
    revision: int = 1
    letter: DocumentRef | None = None
    notice: DocumentRef | None = None
    code: str = ""
    detail: str = ""


class NoticeRegistered(RecordFact):
    """Registered in the outgoing protocol."""

    owner: ClassVar[str] = "protocol"


class RegistrationRefused(RecordFact):
    """The register said no."""

    owner: ClassVar[str] = "protocol"


class RegistrationUncertain(RecordFact):
    """A number may have been taken."""

    owner: ClassVar[str] = "protocol"


class NoticeSent(RecordFact):
    """The mail server took the message."""

    owner: ClassVar[str] = "dispatch"


class SendingRefused(RecordFact):
    """The mail server refused recipient or message."""

    owner: ClassVar[str] = "dispatch"


class SendingUncertain(RecordFact):
    """The message may have left."""

    owner: ClassVar[str] = "dispatch"


class StageFact(Fact):
    """A stage's word about an attempt: not a section; it counts only where its issue is the current one."""

    batch_id: UUID
    record_id: UUID
    stage: StageName
    order: int
    issue: int
    code: str


class StageFailed(StageFact):
    """Nothing happened. Permanent: a bug or a configuration, parked at once."""

    owner: ClassVar[str] = "every"
    permanent: bool = False


class StageDeferred(StageFact):
    """Not now: again at `until`. Not an attempt."""

    owner: ClassVar[str] = "every"
    until: datetime


class LaneClosed(Fact):
    """A lane stopped: nobody's fault, one probe with growing waits."""

    owner: ClassVar[str] = "every"
    stage: StageName
    lane: str
    code: str
    since: datetime


class LaneOpened(Fact):
    """The lane answers again."""

    owner: ClassVar[str] = "every"
    stage: StageName
    lane: str


class Restated(Fact):
    """A service has restated all that a `Restate` asked for."""

    owner: ClassVar[str] = "every"
    service: str
    request_id: UUID


JsonObject = dict[str, Any]
