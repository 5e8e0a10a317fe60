"""Creditors, payment types, letters, mailboxes and clients, as the TOML file spells them.

A model that exists is right in itself: check digits, patterns, files. What only the whole file can tell (two creditors in
one range, a simulated leg among real ones) is in `checks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from shared.contracts.base import Channel, Phase
from shared.creditors.fields import (
    Host,
    Iban,
    Key,
    Languages,
    Located,
    MailAddress,
    OneLine,
    PostalIban,
    SecretReference,
    TaxCode,
    TemplateFolder,
    Url,
)  # fmt: skip
from shared.creditors.hours import PATTERN as HOURS_PATTERN
from shared.creditors.hours import WEEK, Day, minutes, opens_at
from shared.creditors.letters import manifest_of, read_folder

LOOPBACK = "127.0.0.1"


class Item(BaseModel):
    """Frozen; an unknown key is an error (a misspelt one would be silently ignored)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Letter(Item):
    """A letter. `template` is its folder; `columns`, the spreadsheet columns that it names, stand in that folder's
    `letter.toml` and not here: they change with the template. They travel on the record."""

    title: OneLine
    template: TemplateFolder
    columns: Annotated[list[OneLine], Field(validate_default=True)] = []

    @field_validator("columns", mode="before")
    @classmethod
    def _of_the_manifest(cls, value: object, info: ValidationInfo) -> object:
        if info.context is None or "template" not in info.data:
            return value
        if value:
            raise ValueError("si scrive in letter.toml, nella cartella del modello")
        return manifest_of(read_folder(info.data["template"])).columns


class PaymentType(Item):
    """*Tipologia di pagamento*: what the money is for."""

    name: OneLine
    taxonomy: Annotated[str, Field(pattern=r"^[6-9]/[0-9]{7}(IM|TS|SP|SA|AP)/$")]
    iban: Iban
    reason: Annotated[OneLine, Field(max_length=140)] = ""
    letters: dict[Key, Letter] = {}
    languages: Languages = []
    """Empty: the creditor's."""
    postal_slip: bool = True
    """Whether notices have the postal slip, where the creditor has a postal account."""
    office: OneLine = ""
    classification: OneLine = ""
    subject: OneLine = ""


class Mailbox(Item):
    """An outgoing mailbox. `address` is envelope sender and From (a PEC provider accepts no other)."""

    address: MailAddress
    display_name: OneLine = ""
    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)]
    security: Literal["tls", "starttls", "plain"]
    """`plain` only to a loopback address."""
    user: str
    password: SecretReference
    connections: Annotated[int, Field(ge=1, le=50)] = 1
    send_hours: Annotated[str, Field(pattern=HOURS_PATTERN)] | Literal[""] = ""
    """`08:00-20:00`, Italian time: outside nothing is sent, nor registered in order to be sent. Empty: at any hour."""
    send_days: Annotated[list[Day], Field(min_length=1)] = list(WEEK)
    """Days of the week on which it sends."""

    @field_validator("send_hours")
    @classmethod
    def _in_order(cls, value: str) -> str:
        if value and minutes(value)[0] >= minutes(value)[1]:
            raise ValueError("l'ora di fine deve venire dopo quella di inizio, nello stesso giorno")
        return value

    def opens_at(self, now: datetime) -> datetime | None:
        """`None` while it sends, otherwise when it goes on (UTC)."""
        return opens_at(self.send_hours, self.send_days, now)


class Register(Item):
    """The declaration that ours is *the* register of this administration (by which act, from which day): without both,
    it only starts in rehearsal."""

    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")] = "PG"
    declared_by_act: OneLine = ""
    declared_on: date | None = None

    @property
    def declared(self) -> bool:
        """Whether the administration made it its register."""
        return bool(self.declared_by_act) and self.declared_on is not None


class Contacts(Item):
    """Printed in one line on the notice, items separated by a middle dot."""

    office: Annotated[OneLine, Field(max_length=50)] = ""
    phone: OneLine = ""
    email: OneLine = ""
    website: OneLine = ""


class Postal(Item):
    """The postal account, and what Poste authorised: without both no slip may be printed."""

    iban: PostalIban
    holder: Annotated[OneLine, Field(min_length=1, max_length=50)]
    authorisation: Annotated[OneLine, Field(min_length=1, max_length=70)]
    """`AUT. DB/.../... DEL gg/mm/aaaa`, printed as it is."""

    @property
    def account(self) -> str:
        """*Conto corrente postale*: 12 digits, the last of its IBAN."""
        return self.iban[-12:]


class PagoPa(Item):
    """GPD access. `key` is a secret reference (header `Ocp-Apim-Subscription-Key`)."""

    base_url: Url
    key: SecretReference


class Creditor(Item):
    """*Ente creditore*."""

    name: Annotated[OneLine, Field(min_length=1, max_length=100)]
    tax_code: TaxCode
    ipa_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{2,20}$")]
    aoo_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    segregation_code: Annotated[str, Field(pattern=r"^[0-9]{2}$")]
    iuv_start: Annotated[int, Field(ge=1)] = 1
    iuv_end: Annotated[int, Field(le=9_999_999_999_999)] = 9_999_999_999_999
    """First and last number of the range (13 digits between segregation code and check digits) that is ours to use."""
    cbill: Annotated[str, Field(pattern=r"^[A-Z0-9]{5}$")] | None = None
    logo: Located | None = None
    contacts: Contacts = Contacts()
    languages: Annotated[Languages, Field(min_length=1)] = ["it"]
    postal: Postal | None = None
    pagopa: PagoPa
    protocol: Register = Register()
    mailboxes: dict[Literal["pec", "email"], Mailbox] = {}
    payment_types: Annotated[dict[Key, PaymentType], Field(min_length=1)]

    def mailbox(self, channel: Channel) -> Mailbox | None:
        """The mailbox that serves a channel (AUTO is resolved before)."""
        return self.mailboxes.get("pec" if channel is Channel.PEC else "email")

    def languages_of(self, payment_type: str) -> tuple[str, ...]:
        """Of the notices of a payment type."""
        return tuple(self.payment_types[payment_type].languages or self.languages)

    def postal_for(self, payment_type: str) -> Postal | None:
        """The postal account that the slip of a payment type names; `None`: no slip."""
        return self.postal if self.payment_types[payment_type].postal_slip else None


class Client(Item):
    """Another municipal system, and what it may ask for by messages. The table's name is its user at the broker. No payment
    types: all of its creditors'."""

    creditors: Annotated[list[str], Field(min_length=1)]
    payment_types: list[str] = []
    until: Phase = Phase.PREVIEW
    """How far it may let its batches go itself; a person in the dashboard can always go further."""
    records_per_day: Annotated[int, Field(ge=1)] = 10_000
    """New records, by Europe/Rome days."""
    requests_per_day: Annotated[int, Field(ge=1)] = 1_000
    """Messages of any kind: new, repeated or refused."""


class Creditors(Item):
    """The whole file."""

    rehearsal: Annotated[bool, Field(strict=True)] = False
    """Simulators are wired: AMBIENTE DI PROVA on pages, FAC-SIMILE on documents, [PROVA] in subjects."""
    creditors: Annotated[dict[Key, Creditor], Field(min_length=1)]
    clients: dict[Key, Client] = {}

    def with_simulators(self, pagopa_url: str, smtp_port: int) -> Self:
        """A copy whose pagoPA and mailboxes are the simulators that listen there. Raises `ValueError` unless this is
        a rehearsal: a real key must never be sent to a simulator, nor a real notice lost in one."""
        if not self.rehearsal:
            raise ValueError("only a rehearsal file is wired to simulators")

        def simulated(creditor: Creditor) -> Creditor:
            pagopa = creditor.pagopa.model_copy(update={"base_url": pagopa_url})
            at = {"host": LOOPBACK, "port": smtp_port, "security": "plain"}
            boxes = {name: box.model_copy(update=at) for name, box in creditor.mailboxes.items()}
            return creditor.model_copy(update={"pagopa": pagopa, "mailboxes": boxes})

        creditors: Mapping[str, Creditor] = {code: simulated(item) for code, item in self.creditors.items()}
        return self.model_copy(update={"creditors": creditors})
