"""Outcomes: what other systems are told, without debtor data. They travel under `<client>.<message>.v<major>`, to that
client's queue alone; nobody has to listen (a client that lost some repeats its request).

Codes and states may grow within v1: take an unknown one for "see `detail`", not for an error.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from shared.contracts.base import Channel, Contract, Phase
from shared.contracts.commands import Message

CLIENT = "client"
"""The owner in a class; on the wire it is the client's name."""


class Outcome(Message):
    """An answer to one request of a client."""

    owner: ClassVar[str] = CLIENT
    exchange: ClassVar[Literal["outcomes"]] = "outcomes"
    request_id: str


class RequestAccepted(Outcome):
    """All records of the request are in; what becomes of each follows. A repeated request gets the same answer, and its
    outcomes again."""

    batch_id: UUID
    records: int
    until: Phase
    """How far the batch may go now."""


class RequestRefused(Outcome):
    """Nothing of the request was taken. `record` is the reference of the first wrong record and `field` the name of its
    field in the contract, where it is about one; `request_id` is empty where the body could not be read."""

    code: str
    record: str = ""
    field: str = ""
    detail: str = ""
    """An Italian sentence that says what to do, without personal data."""


class RecordState(StrEnum):
    """Where a record stands."""

    ACCEPTED = "accepted"
    """In; no notice yet."""
    GENERATED = "generated"
    """Number assigned, position open at pagoPA, documents made."""
    REGISTERED = "registered"
    """Registered in the outgoing protocol; not sent yet."""
    SENT = "sent"
    """The mail server took the message."""
    BY_HAND = "by-hand"
    """The notice is made; there is no address to send it to."""
    REFUSED = "refused"
    """pagoPA, the protocol or the mail server said no: `code`."""
    UNCERTAIN = "uncertain"
    """It may have happened: a person settles it."""
    PARKED = "parked"
    """The machine gave up; a person looks after it."""
    CANCELLED = "cancelled"
    """Withdrawn, or stopped with its batch."""


class RecordOutcome(Contract):
    """One record, by the reference that the client gave it."""

    reference: str
    revision: int
    """Grows with every change: of two words about a record the higher one is the later; the same one is a repeat."""
    state: RecordState
    code: str = ""
    """Why it is refused, uncertain or parked; stable."""
    detail: str = ""
    """An Italian sentence without personal data."""
    notice_code: str = ""
    """NAV, *codice avviso*: 18 digits."""
    iuv: str = ""
    protocol_number: str = ""
    protocol_year: int | None = None
    registered_at: datetime | None = None
    channel: Channel | None = None
    sent_at: datetime | None = None


class RecordOutcomes(Outcome):
    """Up to 200 records of a request that changed, or that are told again."""

    batch_id: UUID
    records: list[RecordOutcome]


class BatchState(StrEnum):
    """How far a request got."""

    CHECKED = "checked"
    """All records are in."""
    GENERATED = "generated"
    """Of the first phase nothing is under way any more."""
    SENT = "sent"
    """Nothing is under way any more."""
    PAUSED = "paused"
    """A person stopped it for the time being."""
    CANCELLED = "cancelled"
    """A person stopped it for good."""


class BatchOutcome(Outcome):
    """How far a request got as a whole. `done`: nothing more happens until somebody allows a further phase."""

    batch_id: UUID
    state: BatchState
    until: Phase
    done: bool
    counts: dict[RecordState, int]
