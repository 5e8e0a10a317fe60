"""A status service for tests: real SQLite, real folder, real ASGI; only the broker is a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx

from services.status.settings import StatusSettings
from services.status.wire import StatusService, wire
from shared.contracts import facts
from shared.contracts.commands import Message, RequestBatch
from shared.contracts.envelope import Envelope
from shared.contracts.record import Documents, Position, Record, Registration, SectionState, Sending
from shared.creditors import Creditors, load_creditors
from shared.documents import PDF, XLSX, FolderStore
from shared.wiring import Setup
from tests.databases import database_url, until_the_test_ends

SHEET = b"PK\x03\x04 not really a workbook: status does not look inside"
BASE = "http://127.0.0.1:8600"


@dataclass
class Broker:
    """Takes commands; refuses them while `down`."""

    published: list[Envelope] = field(default_factory=list)
    down: bool = False

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """See `CommandPublisher`."""
        if self.down:
            raise ConnectionError
        self.published += envelopes

    def last(self) -> Message:
        """The newest command."""
        return self.published[-1].message()


@dataclass
class House:
    """The service, its broker and its documents."""

    service: StatusService
    broker: Broker
    documents: FolderStore
    troubles: dict[str, str] = field(default_factory=dict)
    """What keeps the process's workers from going on."""

    @classmethod
    def at(cls, folder: Path, creditors: Creditors | None = None, **settings: float) -> House:
        """In an empty folder, for the rehearsal's creditor."""
        documents, broker = FolderStore(folder / "documents"), Broker()
        setup = Setup(creditors or load_creditors(), documents, lambda name: database_url(folder, name))
        wanted = StatusSettings.model_validate({"command_patience_seconds": 0.0, **settings})
        troubles: dict[str, str] = {}
        service = until_the_test_ends(wire(setup, broker, lambda: b"PK empty format", wanted, lambda: troubles))
        return cls(service, broker, documents, troubles)

    def client(self) -> httpx.AsyncClient:
        """A program on this machine."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.service.app), base_url=BASE)

    def tell(self, *messages: Message, source: str = "ingest") -> None:
        """Facts, as the relay brings them."""
        self.service.take([Envelope.of(message, source=source) for message in messages])

    def ingest(
        self,
        request: RequestBatch,
        records: Sequence[Record],
        rejected: Sequence[facts.RejectedRow] = (),
        revision: int = 1,
    ) -> None:
        """What ingest says when it has read the sheet."""
        total = sum(record.payment.amount_cents for record in records)
        self.tell(
            facts.CommandTaken(command_id=request.command_id, batch_id=request.batch_id),
            ingested(request, len(records), len(rejected), total).model_copy(update={"revision": revision}),
            facts.RecordsAccepted(
                batch_id=request.batch_id, records=[facts.AcceptedRecord(record=item) for item in records]
            ),
            facts.RecordsRejected(batch_id=request.batch_id, rows=list(rejected)),
        )

    def generated(self, record: Record) -> Record:
        """The record with its number and documents, as iuv and render tell."""
        number = f"12{record.row:013d}"
        position = Position(order=1, state=SectionState.DONE, iuv=number + "00", notice_code=f"3{number}00")
        numbered = record.model_copy(update={"position": position})
        notice, letter = (
            self.documents.put(f"%PDF-1.7 {kind} {record.row}".encode(), PDF) for kind in ("notice", "letter")
        )
        made = Documents(order=1, state=SectionState.DONE, notice=notice, letter=letter)
        rendered = numbered.model_copy(update={"documents": made})
        self.tell(facts.IuvAssigned(record=numbered), facts.NoticeRendered(record=rendered))
        return rendered

    def registered(self, record: Record) -> Record:
        """The record with its registration."""
        registration = Registration(
            order=1, state=SectionState.DONE, register_code="PG", number=f"{record.row:07d}", year=2026
        )
        told = record.model_copy(update={"registration": registration})
        self.tell(facts.NoticeRegistered(record=told))
        return told

    def sent(self, record: Record, state: SectionState = SectionState.DONE, code: str = "", detail: str = "") -> Record:
        """The record with what dispatch says of it."""
        told = record.model_copy(update={"sending": Sending(order=1, state=state, code=code, detail=detail)})
        kinds = {SectionState.DONE: facts.NoticeSent, SectionState.UNCERTAIN: facts.SendingUncertain}
        self.tell(kinds.get(state, facts.SendingRefused)(record=told))
        return told


def ingested(request: RequestBatch, accepted: int, rejected: int, total: int) -> facts.BatchIngested:
    """`BatchIngested` for a request."""
    assert request.sheet is not None
    return facts.BatchIngested(
        batch_id=request.batch_id, client=request.client, request_id=request.request_id, creditor=request.creditor,
        options=request.options, sheet=request.sheet, file_name=request.file_name, until=request.until,
        created_at=datetime(2026, 11, 24, 9, tzinfo=UTC), rows=accepted + rejected, accepted=accepted, rejected=rejected, total_cents=total,
    )  # fmt: skip


def asked(**changes: str) -> dict[str, str]:
    """The form's fields of a valid request."""
    return {
        "creditor": "c_x999", "payment_type": "scuolabus", "channel": "pec", "due_date": "2099-01-31", "letter": "scuolabus",
        "registration": "true",
    } | changes  # fmt: skip


def sheet_part(content: bytes = SHEET) -> dict[str, tuple[str, bytes, str]]:
    """The form's file."""
    return {"file": ("C:\\elenchi\\scuolabus.xlsx", content, XLSX)}


def batch_of(response: httpx.Response) -> UUID:
    """The batch that a 202 is about."""
    return UUID(response.json()["batch_id"])
