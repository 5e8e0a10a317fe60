"""Two replicas of ingest tell another system of its batch: nothing is lost between them, and an end comes last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from services.ingest.wire import IngestService
from shared.bus.delivery import Delivery
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import BatchOptions, PauseBatch, RequestBatch
from shared.contracts.envelope import Envelope
from shared.contracts.outcomes import BatchOutcome, BatchState, Outcome, RecordOutcomes, RecordState
from shared.creditors import load_creditors
from shared.ids import derived
from tests.fakes import Out, delivered
from tests.ingest_house import IngestHouse, answers

CLIENT = "gestionale-scuola"
BATCH = derived("batch", CLIENT, "anno-2027")
DUE = datetime.now(UTC).date() + timedelta(days=60)


class Meanwhile(Out):
    """A broker. Once, at the next outcome of a kind, something happens `before` it is taken or `after`."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[type[Outcome], tuple[bool, Callable[[], None]]] = {}

    def before(self, kind: type[Outcome], act: Callable[[], None]) -> None:
        self.waiting[kind] = False, act

    def after(self, kind: type[Outcome], act: Callable[[], None]) -> None:
        self.waiting[kind] = True, act

    def __call__(self, envelopes: Sequence[Envelope]) -> None:
        after, act = next(
            (self.waiting.pop(kind) for each in envelopes if (kind := type(each.message())) in self.waiting),
            (False, lambda: None),
        )
        if not after:
            act()
        super().__call__(envelopes)
        if after:
            act()


@pytest.fixture
def out() -> Meanwhile:
    return Meanwhile()


@pytest.fixture
def house(tmp_path: Path, out: Meanwhile) -> Iterator[IngestHouse]:
    known = load_creditors()
    client = known.clients[CLIENT].model_copy(update={"until": Phase.SEND})
    house = IngestHouse(tmp_path, known.model_copy(update={"clients": {CLIENT: client}}))
    house.out = out
    house.crash()
    yield house
    house.close()


@pytest.fixture
def second(house: IngestHouse) -> Iterator[IngestService]:
    """Another replica, which publishes to the same broker."""
    service = house.replica()
    yield service
    service.close()


def asked(until: Phase = Phase.PREVIEW) -> Delivery:
    """A client's request for one record."""
    record = {
        "reference": "pratica-1", "name": "Rossi Maria", "fiscal_code": "RSSMRA85T50H501S", "amount_cents": 8505,
        "address": "maria.rossi@pec.example", "postal": {"street": "Via Verdi"},
    }  # fmt: skip
    options = BatchOptions(channel=Channel.AUTO, payment_type="scuolabus", due_date=DUE, reason="Trasporto scolastico")
    given = {"request_id": "anno-2027", "creditor": "c_x999", "options": options, "records": [record], "until": until}
    return delivered(RequestBatch.model_validate(given), user=CLIENT)


def told(out: Out) -> list[Outcome]:
    """The outcomes since the last time."""
    return [each for each in out.take() if isinstance(each, RecordOutcomes | BatchOutcome)]


@pytest.mark.postgresql
def test_an_end_that_another_replica_states_meanwhile_is_told_after_the_last_record(
    house: IngestHouse, second: IngestService
) -> None:
    """On SQLite there is one process, and what it reads together is of one moment."""
    house.service.take_batches([asked(Phase.GENERATE)])
    house.service.outcomes.tick()
    [command] = house.issue()
    facts = [delivered(fact, source="iuv") for fact in answers(command)]

    def meanwhile(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if facts and ("DISTINCT" in statement or "again_at IS NOT NULL" in statement):
            taken = facts.copy()
            facts.clear()
            second.take_facts(taken)
            second.closing.tick()

    event.listen(house.service.database.engine, "after_cursor_execute", meanwhile)
    house.out.take()
    house.service.outcomes.tick()
    house.service.outcomes.tick()
    record, end = told(house.out)
    assert isinstance(record, RecordOutcomes)
    assert [each.state for each in record.records] == [RecordState.GENERATED]
    assert isinstance(end, BatchOutcome)
    assert (end.state, end.done) == (BatchState.GENERATED, True)


@pytest.mark.parametrize("kind", [RecordOutcomes, BatchOutcome])
def test_what_another_replica_is_asked_for_meanwhile_is_told_again(
    house: IngestHouse, second: IngestService, out: Meanwhile, kind: type[Outcome]
) -> None:
    """It takes the request between our publishing and our mark, and dies before it tells of it."""

    def again() -> None:
        house.clock.forward(seconds=11)
        second.take_batches([asked()])
        out.away = True
        with suppress(ConnectionError):
            second.outcomes.tick()
        out.away = False

    house.service.take_batches([asked()])
    out.after(kind, again)
    for _ in range(3):
        house.service.outcomes.tick()
    assert sorted(type(each).__name__ for each in told(out)) == ["BatchOutcome"] * 2 + ["RecordOutcomes"] * 2


def test_the_last_that_is_told_of_a_batch_is_how_it_stands(
    house: IngestHouse, second: IngestService, out: Meanwhile
) -> None:
    """Another replica tells of a pause while we are about to tell of what was before."""

    def pause() -> None:
        second.take_control([delivered(PauseBatch(command_id=uuid4(), batch_id=BATCH), source="status")])
        second.outcomes.tick()

    house.service.take_batches([asked()])
    out.before(BatchOutcome, pause)
    for _ in range(3):
        house.service.outcomes.tick()
    states = [each.state for each in told(out) if isinstance(each, BatchOutcome)]
    assert states == [BatchState.PAUSED, BatchState.CHECKED, BatchState.PAUSED]
