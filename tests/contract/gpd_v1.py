"""What GPD v1 promises, as far as Staffetta uses it: an excerpt in our own words, for where the specification is not
at hand. Source: pagopa/pagopa-debt-position, openapi_external_v1.json (v1.1.37)."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
TEXT_140: dict[str, Any] = {"type": "string", "maxLength": 140}
CENTS: dict[str, Any] = {"type": "integer", "minimum": 1}
INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}
FLAG: dict[str, Any] = {"type": "boolean"}
STATUS: dict[str, Any] = {
    "enum": ["DRAFT", "PUBLISHED", "VALID", "INVALID", "EXPIRED", "PARTIALLY_PAID", "PAID", "REPORTED"]
}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list_of(schema: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{schema}"}}


SCHEMAS: dict[str, Any] = {
    "Metadata": _object("key value", key=TEXT_140, value=TEXT_140),
    "Transfer": _object(
        "amount category idTransfer remittanceInformation",
        idTransfer={"enum": ["1", "2", "3", "4", "5"]}, amount=CENTS, organizationFiscalCode=TEXT, category=TEXT,
        remittanceInformation=TEXT_140, iban={"type": "string", "pattern": "^[A-Za-z0-9]{1,35}$"},
        status={"enum": ["T_UNREPORTED", "T_REPORTED"]}, transferMetadata=_list_of("Metadata"),
    ),
    "Option": _object(
        "amount description dueDate isPartialPayment iuv",
        nav=TEXT, iuv=TEXT, amount=CENTS, description=TEXT_140, isPartialPayment=FLAG, dueDate=INSTANT,
        transfer=_list_of("Transfer"), paymentOptionMetadata=_list_of("Metadata"),
    ),
    "PaymentPositionModel": _object(
        "companyName fiscalCode fullName iupd switchToExpired type",
        iupd=TEXT, type={"enum": ["F", "G"]}, payStandIn=FLAG, fiscalCode=TEXT, fullName=TEXT, streetName=TEXT,
        civicNumber=TEXT, postalCode=TEXT, city=TEXT, province=TEXT, switchToExpired=FLAG, companyName=TEXT_140,
        officeName=TEXT_140, paymentDate=INSTANT, status=STATUS, paymentOption=_list_of("Option"),
    ),
    "OptionResponse": _object(
        "",
        nav=TEXT, iuv=TEXT, organizationFiscalCode=TEXT, amount=CENTS, description=TEXT, isPartialPayment=FLAG,
        dueDate=INSTANT, paymentDate=INSTANT, insertedDate=INSTANT, lastUpdatedDate=INSTANT, fee={"type": "integer"},
        notificationFee={"type": "integer"}, status={"enum": ["PO_UNPAID", "PO_PAID"]}, transfer=_list_of("Transfer"),
        paymentOptionMetadata=_list_of("Metadata"),
    ),
    "PaymentPositionModelBaseResponse": _object(
        "",
        iupd=TEXT, organizationFiscalCode=TEXT, type={"enum": ["F", "G"]}, companyName=TEXT, officeName=TEXT,
        insertedDate=INSTANT, publishDate=INSTANT, paymentDate=INSTANT, lastUpdatedDate=INSTANT, status=STATUS,
        paymentOption=_list_of("OptionResponse"),
    ),
    "PageInfo": _object(
        "items_found limit page total_pages",
        **{name: {"type": "integer"} for name in ("page", "limit", "items_found", "total_pages")},
    ),
    "PaymentPositionsInfo": _object(
        "page_info payment_position_list",
        payment_position_list=_list_of("PaymentPositionModelBaseResponse"),
        page_info={"$ref": "#/components/schemas/PageInfo"},
    ),
    "ProblemJson": _object(
        "", title=TEXT, status={"type": "integer", "minimum": 100, "maximum": 600}, detail=TEXT
    ),
}  # fmt: skip
