"""Identifiers: all but the batch's are derived, so that a repeat carries the same name.

UUIDv5 over one private namespace. Nothing personal goes into a name: ids travel in headers, logs and URLs.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

NAMESPACE: Final = UUID("5f6d0b52-6a1f-5c56-9d0d-2f6f0f3c7a11")


def derived(*parts: object) -> UUID:
    """The UUIDv5 of `parts`, joined in a way that no other list of parts can spell."""
    return uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts))


def record_id(batch_id: UUID, row: int) -> UUID:
    """The id of the record in `row` (as Excel shows it, so the first data row is 2) of a batch."""
    return derived("record", batch_id, row)


def iupd(record: UUID, order: int) -> str:
    """The creditor's own id of a debt position at pagoPA (GPD `iupd`, unique per body): record and order."""
    return f"STF-{record.hex}-{order}"


def mail_message_id(record: UUID, order: int, domain: str) -> str:
    """RFC 5322 Message-ID of the one message of (record, order); receipts cite it, so it finds the record."""
    return f"<avviso.{record.hex}.{order}@{domain}>"


def registration_key(record: UUID, order: int) -> str:
    """The key under which a protocol register knows one registration of ours."""
    return f"{record.hex}.{order}"
