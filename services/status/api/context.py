"""What the routes stand on, and how they get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request

from services.status.api.hub import Hub
from services.status.api.kept import CommandDesk
from services.status.api.lanes import resting_lanes
from services.status.api.schemas import Lane
from services.status.api.security import Csrf
from services.status.ports import CommandPublisher
from services.status.settings import StatusSettings
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.documents import DocumentStore


@dataclass(frozen=True, slots=True)
class Context:
    """`template_xlsx` makes the empty spreadsheet (S4); it belongs to ingest, so the composition root hands it in.
    `troubles`: queue → what keeps its worker from going on, of all that run in this process."""

    database: Database
    documents: DocumentStore
    creditors: Creditors
    settings: StatusSettings
    desk: CommandDesk
    publisher: CommandPublisher
    hub: Hub
    template_xlsx: Callable[[], bytes]
    troubles: Callable[[], Mapping[str, str]] = dict
    csrf: Csrf = field(default_factory=Csrf)

    @property
    def resting(self) -> list[Lane]:
        """The mailboxes that do not send at this hour."""
        return resting_lanes(self.creditors, datetime.now(UTC))


def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


Here = Annotated[Context, Depends(_context)]
"""A route's way to its context."""
