"""The ledger: what a stage did, one row per (record, order). Each stage's table extends `LedgerRow`.

reserved ──► acting ──► done | refused | uncertain ──► done (late knowledge)
    ▲           │
    └───────────┘  nothing happened
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, Integer, MetaData, String, Table
from sqlmodel import Field, SQLModel

from shared.db.engine import UtcDateTime


class LedgerState(StrEnum):
    """Where a row stands."""

    RESERVED = "reserved"
    ACTING = "acting"
    DONE = "done"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"
    WITHDRAWN = "withdrawn"


class LedgerRow(SQLModel):
    """The columns that every stage's ledger has. `request` is the record as it was asked, `section` what came of it."""

    record_id: UUID = Field(primary_key=True)
    order: int = Field(primary_key=True)
    batch_id: UUID = Field(index=True)
    issue: int = 1
    state: str = LedgerState.RESERVED.value
    fingerprint: str
    lane: str = ""
    request: dict[str, Any] = Field(sa_type=JSON)
    section: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    lease_owner: str = ""
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class UnaskedRow(SQLModel):
    """The columns of a fact that no message asked for (shared/bus/sweeper.py). `id` is the fact's own, derived from what it
    is about; `stated` once the broker has it."""

    id: UUID = Field(primary_key=True)
    batch_id: UUID
    stated: bool = Field(default=False, index=True)


def suspects_table(metadata: MetaData) -> Table:
    """The notes of a stage on messages that may kill their worker (shared/bus/suspects.py): message id → how often it was
    begun alone and not ended."""
    for table in metadata.tables.values():
        if table.name == "suspects":
            return table
    return Table("suspects", metadata, Column("id", String, primary_key=True), Column("begun", Integer, nullable=False))


def fingerprint(values: object) -> str:
    """A short hash of the values that a stage acts on."""
    canonical = json.dumps(values, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
