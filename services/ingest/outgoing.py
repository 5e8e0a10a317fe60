"""What goes out: the commands of issued rows, ingest's facts about them, and their publishing, also when the broker is away
just then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Text, cast
from sqlmodel import col

from services.ingest.model import Step
from services.ingest.tables import WITHDRAW, Row
from shared import tracing
from shared.contracts.commands import (
    AssignIuv,
    DispatchNotice,
    PreviewRecord,
    RecordCommand,
    RegisterNotice,
    WithdrawPosition,
)
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Fact, RecordParked, RecordsAccepted
from shared.contracts.record import Orders, Record
from shared.contracts.registry import routing_key
from shared.ids import derived

KINDS: dict[str, type[RecordCommand]] = {
    Step.IUV.value: AssignIuv,
    Step.RENDER.value: AssignIuv,  # iuv states its fact again, which is what render takes
    Step.PROTOCOL.value: RegisterNotice,
    Step.DISPATCH.value: DispatchNotice,
    WITHDRAW: WithdrawPosition,
}
COMMANDS = {step: (kind, routing_key(kind, "ingest")) for step, kind in KINDS.items()}


class Outgoing:
    """Publishes in order; what an outage kept back goes before anything else. A crash loses what was kept: restating and
    republishing, at the next start, say all of it again."""

    def __init__(self, publish: Callable[[Sequence[Envelope]], None]) -> None:
        self._publish = publish
        self._kept: list[Envelope] = []
        self._lock = threading.Lock()

    def __call__(self, envelopes: Sequence[Envelope]) -> None:
        """Publish, with what was kept. Raises what the broker raises; then all of them are kept."""
        with self._lock:
            self._kept.extend(envelopes)
            if self._kept:
                self._publish(self._kept)
                self._kept = []


class Asked(NamedTuple):
    """What a command is made of, as the row has it; `record` and `orders` are JSON."""

    id: UUID
    batch_id: UUID
    number: int
    step: str
    errand: str
    issue: int
    orders: str
    record: str


ASKED = (
    col(Row.id), col(Row.batch_id), col(Row.number), col(Row.step), col(Row.errand), col(Row.issue),
    cast(col(Row.orders), Text), cast(col(Row.record), Text),
)  # fmt: skip
"""The columns of `Asked`."""


def asked_of(row: Row) -> Asked:
    """The same of a row in hand."""
    record, orders = row.whole.model_dump_json(exclude_none=True), row.current_orders.model_dump_json()
    return Asked(row.id, row.batch_id, row.number, row.step, row.errand, row.issue, orders, record)


def command_of(asked: Asked) -> Envelope:
    """What an issued row asks of its stage. The record was checked when it was stored, and goes out as it is."""
    step = asked.errand or asked.step
    kind, key = COMMANDS[step]
    record = _withdrawn(asked) if asked.errand else asked.record
    name = derived("issue", asked.id, kind.__name__, asked.issue)
    trace = tracing.begun(asked.id, f"issue {step}", batch=str(asked.batch_id), issue=asked.issue)
    return Envelope(
        id=str(name),
        key=key,
        exchange=kind.exchange,
        source="ingest",
        time=datetime.now(UTC),
        body=f'{{"record":{record},"orders":{asked.orders},"issue":{asked.issue}}}'.encode(),
        correlation=str(asked.batch_id),
        traceparent=trace,
    )


def _withdrawn(asked: Asked) -> str:
    """The record whose position is to be withdrawn: one that was withdrawn before is not it."""
    record, orders = Record.model_validate_json(asked.record), Orders.model_validate_json(asked.orders)
    if record.position is not None and record.position.order < orders.iuv:
        record = record.model_copy(update={"position": None})
    return record.model_dump_json(exclude_none=True)


def preview_of(row: Row) -> Envelope:
    """`issue` is the row's revision here: the answer tells by it which values it shows."""
    command = PreviewRecord(record=row.whole, orders=row.current_orders, revision=row.revision)
    name = derived("preview", row.id, row.revision)
    return Envelope.of(command, source="ingest", correlation=row.batch_id, id=name)


def fact_envelope(fact: Fact) -> Envelope:
    """A fact about rows, under an id that a repeat has too."""
    match fact:
        case RecordParked():
            name = derived("parked", fact.record_id, fact.issue, fact.code)
            return Envelope.of(fact, source="ingest", correlation=fact.batch_id, id=name)
        case RecordsAccepted(records=[record]):
            name = derived("accepted", record.record.id, record.revision, record.orders.model_dump_json())
            return Envelope.of(fact, source="ingest", correlation=fact.batch_id, id=name)
    return Envelope.of(fact, source="ingest", correlation=getattr(fact, "batch_id", ""))
