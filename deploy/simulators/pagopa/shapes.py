"""What GPD v1 takes (schemas of openapi_external_v1), and the rules that a schema cannot say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from deploy.simulators.pagopa.problems import bad_request, conflict


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


Instant = Annotated[datetime, AfterValidator(_utc)]
Text140 = Annotated[str, Field(max_length=140)]
Cents = Annotated[int, Field(ge=1, le=2**63 - 1)]
Iban = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,35}$")]
PostalIban = Annotated[str, Field(pattern=r"^$|^[A-Za-z0-9]{1,35}$")]
TwoCapitals = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Shape(BaseModel):
    """camelCase on the wire; fields that GPD does not know are ignored, as it does."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True)


class Metadata(Shape):
    """A key and its value."""

    key: Text140
    value: Text140


class Stamp(Shape):
    """A stamp duty instead of an account."""

    hash_document: Annotated[str, Field(max_length=72)]
    stamp_type: Annotated[str, Field(min_length=2, max_length=2)]
    provincial_residence: TwoCapitals


class Transfer(Shape):
    """Where a part of the money goes."""

    id_transfer: Literal["1", "2", "3", "4", "5"]
    amount: Cents
    organization_fiscal_code: str | None = None
    remittance_information: Text140
    category: str
    iban: Iban | None = None
    postal_iban: PostalIban | None = None
    stamp: Stamp | None = None
    company_name: Text140 | None = None
    transfer_metadata: Annotated[list[Metadata], Field(max_length=10)] = []


class PaymentOption(Shape):
    """A way to pay, with a number of its own."""

    nav: str | None = None
    iuv: Annotated[str, Field(min_length=1)]
    amount: Cents
    description: Text140
    is_partial_payment: bool
    due_date: Instant
    retention_date: Instant | None = None
    transfer: list[Transfer] = []
    payment_option_metadata: Annotated[list[Metadata], Field(max_length=10)] = []

    @property
    def notice_code(self) -> str:
        """The NAV; aux digit 3 and the IUV where none is given."""
        return self.nav or "3" + self.iuv


class PaymentPosition(Shape):
    """`PaymentPositionModel` as it is sent."""

    iupd: Annotated[str, Field(min_length=1)]
    type: Literal["F", "G"]
    pay_stand_in: bool = True
    fiscal_code: Annotated[str, Field(min_length=1)]
    full_name: Annotated[str, Field(min_length=1)]
    street_name: str | None = None
    civic_number: str | None = None
    postal_code: str | None = None
    city: str | None = None
    province: str | None = None
    region: str | None = None
    country: TwoCapitals | None = None
    email: str | None = None
    phone: str | None = None
    switch_to_expired: bool
    company_name: Annotated[str, Field(min_length=1, max_length=140)]
    office_name: Text140 | None = None
    validity_date: Instant | None = None
    payment_option: list[PaymentOption] = []

    def check(self, now: datetime) -> None:
        """The rules between fields. Raises `Problem` 400, or 409 for metadata."""
        if self.validity_date is not None and self.validity_date <= now:
            raise bad_request("validityDate must be in the future")
        for option in self.payment_option:
            _check_dates(option, self.validity_date, now)
            _check_transfers(option)
            keys = [item.key for item in option.payment_option_metadata]
            if len(set(keys)) < len(keys) or "NOTIFICATION_FEE" in keys:
                raise conflict("paymentOptionMetadata: a key twice, or a reserved one")
        numbers = [option.iuv for option in self.payment_option]
        codes = [option.notice_code for option in self.payment_option]
        if len(set(numbers)) < len(numbers) or len(set(codes)) < len(codes):
            raise conflict("the same iuv or nav twice in one position")

    def stored(self, organization: str) -> dict[str, Any]:
        """As it is kept: every field that was given, each option with its NAV."""
        kept = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        for option, given in zip(kept["paymentOption"], self.payment_option, strict=True):
            option["nav"] = given.notice_code
            for transfer in option["transfer"]:
                transfer.setdefault("organizationFiscalCode", organization)
        return kept


def _check_dates(option: PaymentOption, validity: datetime | None, now: datetime) -> None:
    if option.due_date < now or (validity is not None and option.due_date < validity):
        raise bad_request("dueDate must be neither in the past nor before validityDate")
    if option.retention_date is not None and option.retention_date < option.due_date:
        raise bad_request("retentionDate must not be before dueDate")


def _check_transfers(option: PaymentOption) -> None:
    if sum(transfer.amount for transfer in option.transfer) != option.amount:
        raise bad_request("the amounts of the transfers must add up to the amount of the payment option")
    if len({transfer.id_transfer for transfer in option.transfer}) < len(option.transfer):
        raise bad_request("idTransfer must not be repeated")
    for transfer in option.transfer:
        if (transfer.iban is None) == (transfer.stamp is None):
            raise bad_request("a transfer has either iban or stamp")
        if transfer.postal_iban and transfer.iban is None:
            raise bad_request("postalIban only beside iban")
