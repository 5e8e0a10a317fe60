"""What goes out: the commands of issued rows, ingest's facts about them, and their publishing, also when the broker is away
just then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

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
from shared.ids import derived

COMMANDS: dict[str, type[RecordCommand]] = {
    Step.IUV.value: AssignIuv,
    Step.RENDER.value: AssignIuv,  # iuv states its fact again, which is what render takes
    Step.PROTOCOL.value: RegisterNotice,
    Step.DISPATCH.value: DispatchNotice,
    WITHDRAW: WithdrawPosition,
}


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


def command_of(row: Row) -> Envelope:
    """What an issued row asks of its stage."""
    kind = COMMANDS[row.errand or row.step]
    record, orders = row.whole, row.current_orders
    if row.errand and record.position is not None and record.position.order < orders.iuv:
        record = record.model_copy(update={"position": None})  # withdrawn before; it is the current order's turn
    command = kind(record=record, orders=orders, issue=row.issue)
    name = derived("issue", row.id, kind.__name__, row.issue)
    trace = tracing.begun(row.id, f"issue {row.errand or row.step}", batch=str(row.batch_id), issue=row.issue)
    return Envelope.of(command, source="ingest", correlation=row.batch_id, id=name, traceparent=trace)


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
