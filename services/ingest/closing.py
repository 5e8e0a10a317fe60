"""The ends of things: a phase with nothing left to do. Each end is published first and marked then, in one transaction that
holds the batch's row: a crash between the two states it again and never leaves it unsaid, and of two replicas one does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, func, or_
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.cancelling import Cancelling
from services.ingest.model import MOVING, RowState
from services.ingest.tables import GENERATED, SENT, Batch, Row
from shared.contracts.base import Phase
from shared.contracts.envelope import Envelope
from shared.contracts.facts import BatchGenerated, BatchSent, BatchSettled, Fact
from shared.db.engine import Database
from shared.ids import derived

Counts = dict[tuple[str, str], int]


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

    def __init__(
        self, database: Database, publish: Callable[[Sequence[Envelope]], None], now: Callable[[], datetime],
        patience: timedelta,
    ) -> None:  # fmt: skip
        """`patience`: see `Cancelling`."""
        self._database = database
        self._publish = publish
        self._cancelling = Cancelling(database, publish, now, patience)

    def tick(self) -> None:
        """Look at every batch that may be at an end."""
        with self._database.read() as session:
            found = session.connection().execute(_OPEN).all()
            ended = [
                batch_id
                for batch_id, until, stated, stopped in found
                if not stopped and _reached(session, batch_id, until, stated) != stated
            ]
        for batch_id in ended:
            self._close(batch_id)
        for batch_id in [batch_id for batch_id, _, _, stopped in found if stopped]:
            self._cancelling.tick(batch_id)

    def _close(self, batch_id: UUID) -> None:
        with self._database.write() as session:
            query = select(Batch).where(Batch.id == batch_id, _may_end())
            held = session.exec(query.with_for_update(skip_locked=True)).first()
            if held is None or held.cancelling:
                return  # another replica has it, or a command came between
            stated = _reached(session, batch_id, held.until, held.stated)
            if stated == held.stated:
                return
            facts = _facts(held, stated, _by_state(counts(session, batch_id)))
            self._publish([_envelope(fact, batch_id) for fact in facts])
            held.stated = stated
            session.add(held)


def _may_end() -> ColumnElement[bool]:
    generated = and_(col(Batch.stated) == "", col(Batch.until) != Phase.PREVIEW.value)
    sent = and_(col(Batch.stated) == GENERATED, col(Batch.until) == Phase.SEND.value)
    stopped = or_(col(Batch.cancelling), col(Batch.cancelled))
    open_ = and_(col(Batch.ingested), ~col(Batch.merging), col(Batch.stated) != SENT)
    return and_(open_, or_(stopped, generated, sent))


_OPEN = sql_select(
    col(Batch.id),
    col(Batch.until),
    col(Batch.stated),
    or_(col(Batch.cancelling), col(Batch.cancelled)).label("stopped"),
).where(_may_end())


def _reached(session: Session, batch_id: UUID, until: str, stated: str) -> str:
    if until == Phase.PREVIEW.value or _moves(session, batch_id, Phase.GENERATE):
        return stated
    sent = until == Phase.SEND.value and not _moves(session, batch_id, Phase.SEND)
    return SENT if sent else GENERATED


def _moves(session: Session, batch_id: UUID, phase: Phase) -> bool:
    """Whether something of the phase may still move: the first of each state in the index, see `waiting`."""
    return bool(session.connection().execute(_MOVES, {"batch": batch_id, "phase_": phase.value}).scalar())


def _first(state: RowState) -> ColumnElement[bool]:
    mine = (col(Row.batch_id) == bindparam("batch", type_=Uuid()), col(Row.phase) == bindparam("phase_"))
    query = sql_select(col(Row.id)).where(*mine, col(Row.state) == state.value).order_by(col(Row.number)).limit(1)
    return query.scalar_subquery().is_not(None)


_MOVES = sql_select(or_(*(_first(state) for state in MOVING)))


def _by_state(found: Counts) -> dict[str, int]:
    by_state: dict[str, int] = {}
    for (_, state), count in found.items():
        by_state[state] = by_state.get(state, 0) + count
    return by_state


def _facts(batch: Batch, stated: str, by_state: dict[str, int]) -> list[Fact]:
    said: list[Fact] = []
    if batch.stated == "":
        said.append(BatchGenerated(batch_id=batch.id, revision=batch.revision, counts=by_state))
    if stated == SENT:
        said.append(BatchSent(batch_id=batch.id, revision=batch.revision, counts=by_state))
        # No channel reads receipts yet: what was sent is all that will be known.
        said.append(BatchSettled(batch_id=batch.id, revision=batch.revision, counts=by_state))
    return said


def _envelope(fact: Fact, batch_id: UUID) -> Envelope:
    revision, found = getattr(fact, "revision"), getattr(fact, "counts")  # noqa: B009
    name = derived(type(fact).__name__, batch_id, revision, sorted(found.items()))
    return Envelope.of(fact, source="ingest", correlation=batch_id, id=name)
