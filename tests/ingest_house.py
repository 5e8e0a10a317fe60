"""Ingest over a database of its own, with a clock that tests set and a broker that keeps what is published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from services.ingest.model import RowState, content_hash, duplicate_key
from services.ingest.settings import IngestSettings
from services.ingest.tables import Batch, Row
from services.ingest.wire import IngestService, wire
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import (
    AssignIuv,
    BatchCommand,
    BatchOptions,
    DispatchNotice,
    Message,
    PreviewRecord,
    RecordCommand,
    RegisterNotice,
    RegisterOptions,
    WithdrawPosition,
)
from shared.contracts.facts import (
    IuvAssigned,
    IuvRefused,
    NoticeRegistered,
    NoticeRendered,
    NoticeSent,
    PositionWithdrawn,
    RecordFact,
    RegistrationRefused,
    RegistrationUncertain,
    RenderRefused,
    SendingRefused,
    SendingUncertain,
    StageDeferred,
    StageFailed,
)
from shared.contracts.record import SECTIONS, DocumentRef, Orders, Record, SectionState
from shared.creditors import Creditors, load_creditors
from shared.documents import FolderStore
from shared.ids import record_id
from shared.wiring import Setup
from tests.builders import BATCH, a_document, a_record
from tests.databases import database_url
from tests.fakes import Clock, Out, delivered

CREDITORS = load_creditors()
FACTS: dict[tuple[StageName, SectionState], type[RecordFact]] = {
    (StageName.IUV, SectionState.DONE): IuvAssigned,
    (StageName.IUV, SectionState.REFUSED): IuvRefused,
    (StageName.IUV, SectionState.WITHDRAWN): PositionWithdrawn,
    (StageName.RENDER, SectionState.DONE): NoticeRendered,
    (StageName.RENDER, SectionState.REFUSED): RenderRefused,
    (StageName.PROTOCOL, SectionState.DONE): NoticeRegistered,
    (StageName.PROTOCOL, SectionState.REFUSED): RegistrationRefused,
    (StageName.PROTOCOL, SectionState.UNCERTAIN): RegistrationUncertain,
    (StageName.DISPATCH, SectionState.DONE): NoticeSent,
    (StageName.DISPATCH, SectionState.REFUSED): SendingRefused,
    (StageName.DISPATCH, SectionState.UNCERTAIN): SendingUncertain,
}
ROUTE = {
    AssignIuv: (StageName.IUV, StageName.RENDER),
    RegisterNotice: (StageName.PROTOCOL, StageName.DISPATCH),
    DispatchNotice: (StageName.DISPATCH,),
}
"""The stages that a command sets off, one after the other."""
SILENT_TICKS = 5
"""Cancelling works a chunk at a time, without a word."""


def stated(
    stage: StageName, record: Record, *, orders: Orders | None = None, issue: int = 1,
    state: SectionState = SectionState.DONE, code: str = "",
) -> RecordFact:  # fmt: skip
    """A stage's word about a record, at the order that `orders` names."""
    orders = orders or Orders()
    name, kind = SECTIONS[stage]
    section = kind(order=orders.of(stage), state=state, code=code)
    told = record.model_copy(update={name: section})
    return FACTS[stage, state](record=told, orders=orders, issue=issue)


def answers(command: RecordCommand, **said: Any) -> list[RecordFact]:
    """What the stages on a command's route say when all goes well; `said` is about the last of them."""
    if isinstance(command, WithdrawPosition):
        state = SectionState.WITHDRAWN
        return [stated(StageName.IUV, command.record, orders=command.orders, issue=command.issue, state=state)]
    record, facts = command.record, []
    for stage in ROUTE[type(command)]:
        last = said if stage is ROUTE[type(command)][-1] else {}
        fact = stated(stage, record, orders=command.orders, issue=command.issue, **last)
        record = fact.record
        facts.append(fact)
    return facts


def failed(
    record: Record, stage: StageName = StageName.IUV, *, issue: int = 1, order: int = 1, code: str = "pagopa-unwell",
    permanent: bool = False,
) -> StageFailed:  # fmt: skip
    """An attempt that came to nothing."""
    return StageFailed(
        batch_id=record.batch_id,
        record_id=record.id,
        stage=stage,
        order=order,
        issue=issue,
        code=code,
        permanent=permanent,
    )


class IngestHouse:
    """The service, wired, and what a test does with it."""

    def __init__(self, folder: Path, creditors: Creditors = CREDITORS) -> None:
        self.clock = Clock()
        self.out = Out()
        self.documents = FolderStore(folder / "documents")
        self._setup = Setup(creditors, self.documents, lambda service: database_url(folder, service))
        self.service = self._wired()

    def _wired(self) -> IngestService:
        return wire(self._setup, self.out, self.clock, IngestSettings(restate_seconds=0.01))

    def replica(self) -> IngestService:
        """Another one, over the same database and broker."""
        return self._wired()

    def crash(self) -> None:
        """All that was in memory is gone."""
        self.service.close()
        self.service = self._wired()
        self.out.envelopes.clear()

    def batch(
        self, rows: Sequence[int] = (2,), *, batch_id: UUID = BATCH, until: Phase = Phase.SEND, creditor: str = "c_x999",
        letter: str | None = None, register: bool = True, **parts: Any,
    ) -> list[Record]:  # fmt: skip
        """A batch that was read, with these rows ready; `parts` of their records."""
        options = BatchOptions(
            channel=Channel.AUTO, payment_type="scuolabus", due_date=date(2027, 1, 23), reason="Trasporto scolastico",
            letter=letter, register_options=RegisterOptions(classification="7.1", office="scuola") if register else None,
        )  # fmt: skip
        if not register:
            parts["protocol"] = None
        records = [
            a_record(
                number, id=record_id(batch_id, number), batch_id=batch_id, creditor=creditor, letter=letter, **parts
            )
            for number in rows
        ]
        with self.service.database.write() as session:
            session.add(
                Batch(
                    id=batch_id,
                    client="test",
                    request_id="r",
                    creditor=creditor,
                    file_name="elenco.xlsx",
                    options=options.model_dump(mode="json", exclude_none=True),
                    until=until.value,
                    ingested=True,
                    sheet=a_document().model_dump(mode="json"),
                    created_at=self.clock(),
                    reading={"rows": len(records), "accepted": len(records), "rejected": 0, "total_cents": 0},
                )
            )
            session.add_all(self._row(record) for record in records)
        return records

    def _row(self, record: Record) -> Row:
        row = Row(
            id=record.id, batch_id=record.batch_id, number=record.row, creditor=record.creditor,
            state=RowState.READY.value, preview="" if record.letter else "none",
        )  # fmt: skip
        row.hold(record)
        row.sheet_hash, row.duplicate = content_hash(record), duplicate_key(record)
        return row

    def row(self, number: int = 2, batch_id: UUID = BATCH) -> Row:
        """A row as it is stored."""
        with self.service.database.read() as session:
            return session.get_one(Row, record_id(batch_id, number))

    def stored(self, batch_id: UUID = BATCH) -> Batch:
        """The batch as it is stored."""
        with self.service.database.read() as session:
            return session.get_one(Batch, batch_id)

    def issue(self) -> list[RecordCommand]:
        """One tick of the pacer: what it issued, with the letters to preview."""
        self.service.pacer.tick()
        return [message for message in self.out.take() if isinstance(message, RecordCommand)]

    def issue_one(self) -> RecordCommand:
        """The same, where it can only be one."""
        [command] = self.issue()
        return command

    def hear(self, *facts: Message) -> list[Message]:
        """Facts come in; what ingest says to them."""
        self.service.take_facts([delivered(fact, source="iuv") for fact in facts])
        return self.out.take()

    def tell(self, *commands: BatchCommand) -> list[Message]:
        """Commands come in; what ingest says to them."""
        self.service.take_control([delivered(command, source="status") for command in commands])
        return self.out.take()

    def close_up(self) -> list[Message]:
        """One tick of the closing; what it states."""
        self.service.closing.tick()
        return self.out.take()

    def go_on(self, *, rounds: int = 100) -> list[Message]:
        """Tick and answer that all goes well, until nothing more happens; every message that ingest published."""
        heard: list[Message] = []
        silent = 0
        for _ in range(rounds):
            self.service.tick()
            said = self.out.take()
            heard += said
            commands = [
                each for each in said if isinstance(each, RecordCommand) and not isinstance(each, PreviewRecord)
            ]
            for command in commands:
                heard += self.hear(*answers(command))
            silent = 0 if said else silent + 1
            if silent == SILENT_TICKS:
                return heard
        raise AssertionError("it never ends")

    def deferred(self, record: Record, *, seconds: float, issue: int = 1, code: str = "lane-closed") -> StageDeferred:
        """Not before so many seconds from now."""
        until = self.clock.time + timedelta(seconds=seconds)
        return StageDeferred(
            batch_id=record.batch_id,
            record_id=record.id,
            stage=StageName.IUV,
            order=1,
            issue=issue,
            code=code,
            until=until,
        )

    def close(self) -> None:
        """Let go of the database."""
        self.service.close()


def about(batch_id: UUID = BATCH, **parts: Any) -> dict[str, Any]:
    """What every command to ingest names."""
    return {"command_id": uuid4(), "batch_id": batch_id, **parts}


def a_letter() -> DocumentRef:
    """A letter that was made to be looked at."""
    return a_document(b"%PDF-1.7 letter")
