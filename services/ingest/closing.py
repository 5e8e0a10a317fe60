"""The ends of things: a phase with nothing left to do, a batch that is being cancelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.model import RowState
from services.ingest.progress import withdraw
from services.ingest.tables import Batch, Row
from shared.contracts.base import Phase
from shared.contracts.envelope import Envelope
from shared.contracts.facts import BatchCancelled, BatchGenerated, BatchSent, BatchSettled, Fact
from shared.contracts.record import SectionState
from shared.db.engine import Database
from shared.ids import derived

Counts = dict[tuple[str, str], int]
MOVING = (RowState.READY, RowState.ISSUED, RowState.WAITING)
STEPS_OF_STATING = ("", "generated", "sent")


def counts(session: Session, batch_id: UUID) -> Counts:
    """(phase, state) → rows."""
    groups = (col(Row.phase), col(Row.state))
    query = sql_select(*groups, func.count()).where(col(Row.batch_id) == batch_id).group_by(*groups)
    return {(phase, state): count for phase, state, count in session.connection().execute(query)}


def unfinished(found: Counts, until: Phase) -> int:
    """Rows that are issued, waiting, or may still be issued up to `until`."""
    phases = {Phase.PREVIEW: (), Phase.GENERATE: (Phase.GENERATE,), Phase.SEND: (Phase.GENERATE, Phase.SEND)}[until]
    may_move = sum(found.get((phase.value, state.value), 0) for phase in phases for state in MOVING)
    elsewhere = [phase for phase in (Phase.GENERATE, Phase.SEND) if phase not in phases]
    return may_move + sum(found.get((phase.value, RowState.ISSUED.value), 0) for phase in elsewhere)


class Closing:
    """`tick` states the ends that have come. Each is stated once; a retry or a correction opens the batch again."""

    def __init__(self, database: Database, publish: Callable[[Sequence[Envelope]], None]) -> None:
        self._database = database
        self._publish = publish

    def tick(self) -> None:
        """Look at every batch that is not at its end."""
        said: list[Fact] = []
        with self._database.read() as session:
            open_batches = select(Batch.id).where(Batch.ingested, ~col(Batch.cancelled), Batch.stated != "sent")
            ids = list(session.exec(open_batches))
        for batch_id in ids:
            with self._database.write() as session:
                batch = session.get(Batch, batch_id, with_for_update=True)
                if batch is not None:
                    said += self._cancel(session, batch) if batch.cancelling else self._state(session, batch)
        if said:
            self._publish([_envelope(fact) for fact in said])

    def _state(self, session: Session, batch: Batch) -> list[Fact]:
        found = counts(session, batch.id)
        by_state: dict[str, int] = {}
        for (_, state), count in found.items():
            by_state[state] = by_state.get(state, 0) + count
        said: list[Fact] = []
        rank = STEPS_OF_STATING.index(batch.stated)
        until = Phase(batch.until)
        if rank < 1 and until is not Phase.PREVIEW and not unfinished(found, Phase.GENERATE):
            rank = 1
            said.append(BatchGenerated(batch_id=batch.id, revision=batch.revision, counts=by_state))
        if rank == 1 and until is Phase.SEND and not unfinished(found, Phase.SEND):
            rank = 2
            said.append(BatchSent(batch_id=batch.id, revision=batch.revision, counts=by_state))
            # No channel reads receipts yet: what was sent is all that will be known.
            said.append(BatchSettled(batch_id=batch.id, revision=batch.revision, counts=by_state))
        if said:
            batch.stated = STEPS_OF_STATING[rank]
            session.add(batch)
        return said

    def _cancel(self, session: Session, batch: Batch) -> list[Fact]:
        """Once nothing is in flight: withdraw what was neither sent nor is uncertain; when that is done, state the end."""
        rows = session.exec(select(Row).where(Row.batch_id == batch.id).order_by(col(Row.id)))
        tally = {"sent": 0, "registered_not_sent": 0, "withdrawn": 0}
        moving = False
        for row in rows:
            if row.state == RowState.ISSUED or row.errand:
                moving = moving or row.state != RowState.PARKED
                continue
            if row.state in (RowState.REJECTED, RowState.UNCERTAIN):
                continue
            record, orders = row.whole, row.current_orders
            sent = record.sending is not None and record.sending.state is SectionState.DONE
            open_position = record.position is not None and record.position.state is SectionState.DONE
            registered = record.registration is not None and record.registration.order == orders.protocol
            tally["sent"] += sent
            if not sent and open_position and row.code != "already-paid":
                withdraw(row)
                moving = True
            elif not sent:
                tally["registered_not_sent"] += registered
                tally["withdrawn"] += record.position is not None
                row.state = RowState.CANCELLED.value
            session.add(row)
        if moving:
            return []
        batch.cancelled, batch.cancelling, batch.revision = True, False, batch.revision + 1
        session.add(batch)
        return [BatchCancelled(batch_id=batch.id, revision=batch.revision, **tally)]


def _envelope(fact: Fact) -> Envelope:
    batch_id, revision = getattr(fact, "batch_id"), getattr(fact, "revision")  # noqa: B009
    name = derived(type(fact).__name__, batch_id, revision, sorted(getattr(fact, "counts", {}).items()))
    return Envelope.of(fact, source="ingest", correlation=batch_id, id=name)
