"""Creditors, payment types, letters, mailboxes and clients: one TOML file (`STAFFETTA_CREDITORS`).

Secrets are references (`env:NAME` or `file:/path`), never values. The loader refuses a wrong file with the key path and
what is wrong with it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.base import Channel, Phase


class Item(BaseModel):
    """Frozen; an unknown key is an error (a misspelt one would be silently ignored)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Letter(Item):
    """A letter template. `columns` are the spreadsheet columns that it names; they travel on the record."""

    title: str
    template: Path
    columns: list[str] = []


class PaymentType(Item):
    """*Tipologia di pagamento*: what the money is for."""

    name: str
    taxonomy: Annotated[str, Field(pattern=r"^[6-9]/\d{7}(IM|TS|SP|SA|AP)/$")]
    iban: Annotated[str, Field(pattern=r"^IT\d{2}[A-Z]\d{10}[0-9A-Z]{12}$")]
    reason: str = ""
    letters: dict[str, Letter] = {}
    office: str = ""
    classification: str = ""
    subject: str = ""


class Mailbox(Item):
    """An outgoing mailbox. `address` is envelope sender and From (a PEC provider accepts no other)."""

    address: str
    display_name: str = ""
    host: str
    port: int
    security: Literal["tls", "starttls", "plain"]
    """`plain` only to 127.0.0.1."""
    user: str
    password: str
    """A secret reference."""
    connections: int = 1


class Register(Item):
    """The declaration that ours is *the* register of this administration: without it, it only starts in rehearsal."""

    code: str = "PG"
    declared_by_act: str = ""
    declared_on: date | None = None


class Contacts(Item):
    """Printed in one line on the notice, items separated by a middle dot."""

    office: Annotated[str, Field(max_length=50)] = ""
    phone: str = ""
    email: str = ""
    website: str = ""


class PagoPa(Item):
    """GPD access. `key` is a secret reference (header `Ocp-Apim-Subscription-Key`)."""

    base_url: str
    key: str


class Creditor(Item):
    """*Ente creditore*."""

    name: Annotated[str, Field(max_length=100)]
    tax_code: Annotated[str, Field(pattern=r"^\d{11}$")]
    ipa_code: str
    aoo_code: str
    segregation_code: Annotated[str, Field(pattern=r"^\d{2}$")]
    iuv_start: Annotated[int, Field(ge=1)] = 1
    iuv_end: Annotated[int, Field(le=9_999_999_999_999)] = 9_999_999_999_999
    """First and last number of the range (13 digits between segregation code and check digits) that is ours to use."""
    cbill: Annotated[str, Field(pattern=r"^[A-Z0-9]{5}$")] | None = None
    logo: Path | None = None
    contacts: Contacts = Contacts()
    pagopa: PagoPa
    protocol: Register = Register()
    mailboxes: dict[Literal["pec", "email"], Mailbox] = {}
    payment_types: dict[str, PaymentType]

    def mailbox(self, channel: Channel) -> Mailbox | None:
        """The mailbox that serves a channel (AUTO is resolved before)."""
        return self.mailboxes.get("pec" if channel is Channel.PEC else "email")


class Client(Item):
    """Another municipal system, and what it may ask for."""

    creditors: list[str]
    payment_types: list[str] = []
    until: Phase = Phase.PREVIEW
    records_per_day: int = 10_000


class Creditors(Item):
    """The whole file."""

    rehearsal: bool = False
    """Simulators are wired: AMBIENTE DI PROVA on pages, FAC-SIMILE on documents, [PROVA] in subjects."""
    creditors: dict[str, Creditor]
    clients: dict[str, Client] = {}
