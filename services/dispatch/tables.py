"""Dispatch's ledger."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.db.ledger import LedgerRow, suspects_table

SCHEMA = "dispatch"
REVISION = "0002"
"""The migration that makes these tables; `scripts/revise.py` writes the next."""


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """The tables of this service, and of no other."""


suspects_table(Base.metadata)


class SendingRow(Base, LedgerRow, table=True):
    """One message, sent or to be sent. Its id is reserved before the act: receipts cite it, whatever became of the act."""

    __tablename__ = "sending"

    message_id: str | None = Field(default=None, unique=True)
    """`None` where no mailbox is configured: such a row is never acted on."""
