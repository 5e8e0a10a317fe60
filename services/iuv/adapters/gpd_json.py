"""A debt position as GPD v1 spells it, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from services.iuv.model import DebtPosition, PositionStatus, Standing
from services.iuv.ports import Unwell

FINGERPRINT_KEY = "staffetta"
"""The option's metadata are all that GPD tells back of what only we know. The value is a hash, no personal data."""


def body(position: DebtPosition) -> dict[str, Any]:
    """`PaymentPositionModel`: one option, one transfer, payable in one go."""
    address = position.address
    optional = {
        "streetName": address.street,
        "civicNumber": address.number,
        "postalCode": address.postal_code,
        "city": address.city,
        "province": address.province,
        "officeName": position.office_name,
    }
    return {
        "iupd": position.iupd,
        "type": position.debtor_kind,
        "fiscalCode": position.debtor_fiscal_code,
        "fullName": position.debtor_name,
        "companyName": position.company_name,
        "switchToExpired": False,
        **{name: value for name, value in optional.items() if value},
        "paymentOption": [
            {
                "iuv": position.code.iuv,
                "nav": position.code.nav,
                "amount": position.amount_cents,
                "description": position.reason,
                "isPartialPayment": False,
                "dueDate": position.due.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "paymentOptionMetadata": [{"key": FINGERPRINT_KEY, "value": position.fingerprint}],
                "transfer": [
                    {
                        "idTransfer": "1",
                        "amount": position.amount_cents,
                        "remittanceInformation": position.reason,
                        "category": position.taxonomy,
                        "iban": position.iban,
                    }
                ],
            }
        ],
    }


def standing(told: Mapping[str, Any]) -> Standing:
    """What GPD answers to each call. Raises `Unwell` where it is not what the specification promises."""
    try:
        options = told["paymentOption"]
        option = options[0]
        metadata = {item["key"]: item["value"] for item in option.get("paymentOptionMetadata") or ()}
        return Standing(
            status=PositionStatus(told["status"]),
            # several options are not what we ask for: no number of ours then
            iuv=str(option["iuv"]) if len(options) == 1 else "",
            amount_cents=int(option["amount"]),
            due=_instant(option.get("dueDate")),
            fingerprint=str(metadata.get(FINGERPRINT_KEY, "")),
        )
    except (LookupError, TypeError, ValueError, AttributeError):
        # without the cause: it would quote what it could not read
        raise Unwell("pagopa-unreadable") from None


def _instant(value: str | None) -> datetime | None:
    """GPD writes UTC, with or without saying so."""
    if not value:
        return None
    at = datetime.fromisoformat(value)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
