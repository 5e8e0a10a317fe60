"""Render's ledger."""

from __future__ import annotations

from datetime import date

from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared.db.ledger import LedgerRow, suspects_table

SCHEMA = "render"
REVISION = "0002"
"""The migration that makes these tables; `scripts/revise.py` writes the next."""


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """The tables of this service, and of no other."""


suspects_table(Base.metadata)


class RenderRow(Base, LedgerRow, table=True):
    """One (record, order) printed. Its letter's date is kept: what is printed again after a crash is the same document."""

    __tablename__ = "rendering"

    dated: date | None = None
