"""Commands: imperatives to one owner. Each class names its owner; the wire name is the class name in kebab."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from shared.contracts.base import Channel, Contract, Phase
from shared.contracts.record import Address, DocumentRef, Orders, Record

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}$"
"""What other systems may call their requests and records: it travels where personal data must not."""
LONGEST = Field(max_length=1_000)
NIL = UUID(int=0)


class Message(Contract):
    """What can be published. Its routing key is `<owner>.<message-in-kebab>.v<major>`."""

    owner: ClassVar[str]
    exchange: ClassVar[Literal["intake", "commands", "facts", "outcomes"]]
    major: ClassVar[int] = 1


class RegisterOptions(Contract):
    """*Dati per la protocollazione* (S13). `subject` may be empty where every row has its own."""

    subject: Annotated[str, LONGEST] = ""
    classification: Annotated[str, LONGEST]
    office: Annotated[str, LONGEST]
    dossier: Annotated[str, LONGEST] = ""
    document_type: Annotated[str, LONGEST] = ""


class BatchOptions(Contract):
    """The wizard's three screens (S12 to S14)."""

    channel: Channel
    payment_type: Annotated[str, LONGEST]
    due_date: date
    reason: Annotated[str, LONGEST] = ""
    letter: Annotated[str, LONGEST] | None = None
    merged: bool = False
    """Letter and notice in one PDF, the letter first; otherwise they are two attachments."""
    register_options: RegisterOptions | None = None


class ListedRecord(Contract):
    """A record in a request: the main data of a spreadsheet row (S5 to S10) and what may follow them. The rules are those of the
    spreadsheet; where a value is empty, the options' standard serves."""

    reference: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Yours, unique in the request; outcomes name it. No tax code and no name: it is told outside the debtor's data."""
    name: Annotated[str, LONGEST]
    fiscal_code: Annotated[str, LONGEST] = ""
    vat_code: Annotated[str, LONGEST] = ""
    amount_cents: int
    subject: Annotated[str, LONGEST] = ""
    reason: Annotated[str, LONGEST] = ""
    address: Annotated[str, LONGEST] = ""
    """E-mail or PEC; empty: the notice is made, and handed over by hand."""
    channel: Channel | None = None
    postal: Address = Address()
    columns: Annotated[dict[Annotated[str, LONGEST], Annotated[str, LONGEST]], Field(max_length=50)] = {}
    """What the chosen letter names; others are ignored."""


class RequestBatch(Message):
    """Take in a batch: of a client, its `records`; of the dashboard, the rows of a `sheet`.

    A client names `request_id`, `creditor`, `options`, `records` and `until`, and nothing else: who it is, the broker says. The same
    `request_id` is the same batch: with the same records it is answered in the same way, with its outcomes again, and a
    further `until` allows that phase; with others it is refused. So is a text with a zero character (`control-character`). The same batch id with another sheet merges by row number.
    """

    owner: ClassVar[str] = "ingest"
    exchange: ClassVar[Literal["intake"]] = "intake"
    command_id: UUID = NIL
    batch_id: UUID = NIL
    """Of a client's request both are derived from its name and `request_id`."""
    request_id: Annotated[str, Field(pattern=NAME_PATTERN)]
    client: str = ""
    by: str = ""
    creditor: str
    options: BatchOptions
    sheet: DocumentRef | None = None
    file_name: str = ""
    records: list[ListedRecord] = []
    """Up to 1,000: all of them are taken, or none."""
    until: Phase = Phase.PREVIEW


class BatchCommand(Message):
    """A person's (or the command line's) decision about one batch. `command_id` makes repeats harmless."""

    owner: ClassVar[str] = "ingest"
    exchange: ClassVar[Literal["intake"]] = "intake"
    command_id: UUID
    batch_id: UUID
    by: str = ""


class GenerateNotices(BatchCommand):
    """*Genera avvisi PagoPA* (S16)."""


class SendNotices(BatchCommand):
    """*Esegui invio massivo* (S17)."""


class PauseBatch(BatchCommand):
    """Issue nothing more until it is resumed."""


class ResumeBatch(BatchCommand):
    """Go on."""


class CancelBatch(BatchCommand):
    """Stop for good and withdraw the positions of what was not sent."""


class RetryRecords(BatchCommand):
    """Issue parked records again; all of the batch's when `record_ids` is empty."""

    record_ids: list[UUID] = []


class Correction(Contract):
    """New values of one record's fields. Empty (`None`): as it was."""

    name: str | None = None
    fiscal_code: str | None = None
    amount_cents: int | None = None
    due_date: date | None = None
    reason: str | None = None
    address: str | None = None
    channel: Channel | None = None
    subject: str | None = None


class CorrectRecord(BatchCommand):
    """Do one record anew, with corrected values (all empty: a resend), from the orders that the person saw."""

    record_id: UUID
    orders: Orders
    correction: Correction = Correction()


class RecordCommand(Message):
    """A record, sent to one stage. The runner copies `orders` and `issue` to the facts."""

    exchange: ClassVar[Literal["commands"]] = "commands"
    record: Record
    orders: Orders = Orders()
    issue: Annotated[int, Field(ge=1)] = 1


class AssignIuv(RecordCommand):
    """Reserve a number; open and publish the debt position."""

    owner: ClassVar[str] = "iuv"


class WithdrawPosition(RecordCommand):
    """Invalidate the debt position of the order that stands in the record's section."""

    owner: ClassVar[str] = "iuv"


class PreviewRecord(RecordCommand):
    """Make notice and letter of a record that has no IUV yet, as FAC-SIMILE. `revision`: of the row that they show."""

    owner: ClassVar[str] = "render"
    revision: int = 1


class RegisterNotice(RecordCommand):
    """Register the record's documents in the outgoing protocol."""

    owner: ClassVar[str] = "protocol"


class DispatchNotice(RecordCommand):
    """Send the record's documents (where nothing is registered)."""

    owner: ClassVar[str] = "dispatch"


class Settle(Message):
    """A person's verdict on an uncertain (record, order): `done` or `not-done` (then it is done anew)."""

    exchange: ClassVar[Literal["commands"]] = "commands"
    command_id: UUID
    batch_id: UUID
    record_id: UUID
    order: int
    verdict: Literal["done", "not-done"]
    by: str = ""


class SettleRegistration(Settle):
    """What the register says about an uncertain registration."""

    owner: ClassVar[str] = "protocol"
    number: str = ""
    year: int = 0


class SettleSending(Settle):
    """What the mailbox says about an uncertain sending."""

    owner: ClassVar[str] = "dispatch"


class Restate(Message):
    """State again, from the ledger, what is known; never act. No batches: all of them."""

    owner: ClassVar[str] = "every"
    exchange: ClassVar[Literal["commands"]] = "commands"
    request_id: UUID
    batch_ids: list[UUID] | None = None
