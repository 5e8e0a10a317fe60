"""A record: one row of the spreadsheet, which travels whole in its messages.

It is made of sections. Ingest writes debtor, payment, delivery and protocol request; each stage writes one section of
its own. A section's version is (order, rank): whoever folds facts keeps the highest, so late, repeated and swapped
facts do no harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from shared.contracts.base import Channel, Contract, StageName

Cents = Annotated[int, Field(ge=1, le=99_999_999_999)]
MOST_INSTALMENTS: Final = 12
"""The most that the official layouts have a place for."""


class DocumentRef(Contract):
    """A document in the store, named by its content."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    media_type: str
    size: Annotated[int, Field(ge=0)]


class Address(Contract):
    """The debtor's postal address, printed where given; every part may be empty."""

    street: str = ""
    number: str = ""
    postal_code: str = ""
    city: str = ""
    province: str = ""


class Debtor(Contract):
    """Who pays. `fiscal_code` identifies: 16 characters (GPD type F) or 11 digits (type G)."""

    name: Annotated[str, Field(min_length=1, max_length=70)]
    fiscal_code: Annotated[str, Field(pattern=r"^([A-Z0-9]{16}|[0-9]{11})$")]
    vat_code: str = ""
    address: Address = Address()

    @property
    def kind(self) -> Literal["F", "G"]:
        """GPD's type of debtor: F person, G body or firm."""
        return "F" if len(self.fiscal_code) == 16 else "G"


class Instalment(Contract):
    """One *rata*: paid by a notice code of its own, which the position holds under the same number."""

    number: Annotated[int, Field(ge=1, le=MOST_INSTALMENTS)]
    amount_cents: Cents
    due_date: date


class Payment(Contract):
    """What is asked. `due_date` means 23:59:59 Europe/Rome of that day."""

    payment_type: str
    amount_cents: Cents
    """In full: what the one notice asks for, or the whole debt where only instalments are paid."""
    due_date: date
    reason: Annotated[str, Field(min_length=1, max_length=140)]
    due_date_printed: bool = True
    """`False`: the notice names no due date (guide, *avviso senza scadenza*). pagoPA's position has one all the same."""
    instalments: Annotated[list[Instalment], Field(max_length=MOST_INSTALMENTS)] = []
    """None, or two and more, numbered from one in the order in which they fall due."""
    in_full: bool = True
    """`False`: only the instalments can be paid, and the full amount has no notice code."""

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        numbers = [each.number for each in self.instalments]
        if len(numbers) == 1 or numbers != list(range(1, len(numbers) + 1)):
            raise ValueError("instalments: two or more, numbered from one")
        if not (self.in_full or numbers):
            raise ValueError("without instalments the full amount is what is paid")
        return self


class Delivery(Contract):
    """Where it goes. An empty address: the notice is made, and handed over by hand."""

    channel: Channel
    address: str = ""


class ProtocolRequest(Contract):
    """The data of the outgoing registration (S13), present only where the batch is registered."""

    subject: Annotated[str, Field(min_length=1)]
    classification: str
    office: str
    dossier: str = ""
    document_type: str = ""


class SectionState(StrEnum):
    """Ranked: the later beats the earlier within one order."""

    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    DONE = "done"
    WITHDRAWN = "withdrawn"


RANK: Mapping[str, int] = {state: rank for rank, state in enumerate(SectionState)}


class Section(Contract):
    """What a stage knows about one (record, order)."""

    order: Annotated[int, Field(ge=1)]
    state: SectionState
    code: str = ""
    """Stable, machine-readable: why refused or uncertain."""
    detail: str = ""
    """An Italian sentence for the clerk, without personal data."""

    @property
    def version(self) -> tuple[int, int]:
        """(order, rank): the higher one wins."""
        return self.order, RANK[self.state]


class InstalmentCode(Contract):
    """The notice code of one instalment."""

    number: Annotated[int, Field(ge=1, le=MOST_INSTALMENTS)]
    iuv: str
    notice_code: str


class Position(Section):
    """Written by iuv: the debt position at pagoPA."""

    iupd: str = ""
    iuv: str = ""
    notice_code: str = ""
    """NAV, *codice avviso*: 18 digits; empty where only instalments are paid."""
    instalments: list[InstalmentCode] = []
    """By number, one for each instalment of the payment."""


class Documents(Section):
    """Written by render."""

    notice: DocumentRef | None = None
    letter: DocumentRef | None = None
    verified: str = ""
    """How the notice was compared with the record before it was given out: `text+codes`, or `text+codes+raster` where its codes
    were read from pictures of its pages as well."""


class Registration(Section):
    """Written by protocol."""

    register_code: str = ""
    number: str = ""
    """At least 7 digits, leading zeros kept."""
    year: int = 0
    registered_at: datetime | None = None
    segnatura: str = ""
    """The mark that people read (art. 55): administration, AOO, register, number, day; empty where a register gives none."""
    documents: dict[str, str] = {}
    """SHA-256 of what was registered, by kind (`notice`, `letter`): dispatch sends nothing else."""


class Sending(Section):
    """Written by dispatch."""

    message_id: str = ""
    channel: Channel | None = None
    mailbox: str = ""
    sent_at: datetime | None = None


class Orders(Contract):
    """How many times each stage was asked to do this record anew."""

    iuv: int = 1
    render: int = 1
    protocol: int = 1
    dispatch: int = 1

    def of(self, stage: StageName) -> int:
        """The order that stands for one stage."""
        return getattr(self, stage)  # type: ignore[no-any-return]


class Record(Contract):
    """One row. `row` is the number that Excel shows; `columns` are those that the letter names."""

    id: UUID
    batch_id: UUID
    row: Annotated[int, Field(ge=1)]
    creditor: str
    debtor: Debtor
    payment: Payment
    delivery: Delivery
    protocol: ProtocolRequest | None = None
    letter: str | None = None
    letter_template: DocumentRef | None = None
    """The version of the letter's template that was there when the row was read: what is previewed is what is printed."""
    merged: bool = False
    """Letter and notice are one document, kept as the notice."""
    columns: dict[str, str] = {}
    reference: str = ""
    """What another system calls it, where one asked for it."""
    position: Position | None = None
    documents: Documents | None = None
    registration: Registration | None = None
    sending: Sending | None = None


SECTIONS: dict[StageName, tuple[str, type[Section]]] = {
    StageName.IUV: ("position", Position),
    StageName.RENDER: ("documents", Documents),
    StageName.PROTOCOL: ("registration", Registration),
    StageName.DISPATCH: ("sending", Sending),
}


def section_of(record: Record, stage: StageName) -> Section | None:
    """The section that `stage` wrote on the record, if any."""
    section: Section | None = getattr(record, SECTIONS[stage][0])
    return section


def version_of(kept: Mapping[str, Any]) -> tuple[int, int]:
    """The version of a section that was kept as JSON."""
    return kept["order"], RANK[kept["state"]]


def with_section(record: Record, stage: StageName, section: Section) -> Record:
    """The record with `section` where it is newer than what stands there; otherwise the record as it is."""
    standing = section_of(record, stage)
    if standing is not None and standing.version >= section.version:
        return record
    return record.model_copy(update={SECTIONS[stage][0]: section})
