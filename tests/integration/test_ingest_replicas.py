"""Two replicas of ingest over one database: one window, each end once, no deadlock."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from sqlmodel import func, select

from services.ingest.model import RowState
from services.ingest.pace import LEAST
from services.ingest.tables import SENT, Row
from services.ingest.wire import IngestService
from shared.contracts.base import Phase
from shared.contracts.commands import CancelBatch, Message, RecordCommand, WithdrawPosition
from shared.contracts.facts import BatchCancelled, BatchGenerated, BatchSent, BatchSettled, Fact, Restated
from tests.builders import BATCH
from tests.fakes import delivered
from tests.ingest_house import IngestHouse, about, answers
from tests.together import together

SECONDS = 120.0
HANDFUL = 20
ENDS = (BatchGenerated, BatchSent, BatchSettled, BatchCancelled)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def second(house: IngestHouse) -> Iterator[IngestService]:
    """Another replica, which publishes to the same broker."""
    service = house.replica()
    yield service
    service.close()


def in_flight(house: IngestHouse) -> int:
    with house.service.database.read() as session:
        return session.exec(select(func.count()).where(Row.state == RowState.ISSUED.value)).one()


def test_two_replicas_do_not_put_more_than_a_window_in_flight(house: IngestHouse, second: IngestService) -> None:
    for _ in range(3):
        house.batch(range(2, 202), batch_id=uuid4())

    def ticks(service: IngestService) -> None:
        for _ in range(20):
            service.pacer.tick()

    together(lambda: ticks(house.service), lambda: ticks(second))
    commands = [each for each in house.out.take() if isinstance(each, RecordCommand)]
    assert in_flight(house) == LEAST == len({each.record.id for each in commands}) == len(commands)


class Traffic:
    """Stages that answer that all goes well, and replicas that share the queue of their facts."""

    def __init__(self, house: IngestHouse) -> None:
        self._house = house
        self._facts: queue.SimpleQueue[Fact] = queue.SimpleQueue()
        self._over = threading.Event()
        self.heard: list[Message] = []

    def stages(self) -> None:
        """Until the batch is at its end."""
        while not self._over.wait(0.01):
            said = self._house.out.take()
            self.heard += said
            for command in [each for each in said if isinstance(each, RecordCommand)]:
                for fact in answers(command):
                    self._facts.put(fact)
        self.heard += self._house.out.take()

    def replica(self, service: IngestService) -> None:
        """Ticks and folds until the batch is at its end."""
        while not self._over.wait(0.01):
            service.tick()
            service.take_facts([delivered(fact, source="iuv") for fact in self._handful()])
            if self._house.stored().stated == SENT:
                self._over.set()

    def _handful(self) -> list[Fact]:
        taken: list[Fact] = []
        with suppress(queue.Empty):
            while len(taken) < HANDFUL:
                taken.append(self._facts.get_nowait())
        return taken


def test_two_replicas_carry_a_batch_to_its_end_and_state_each_end_once(
    house: IngestHouse, second: IngestService
) -> None:
    """Both issue, both fold facts about the same records in whatever order, both close."""
    records = house.batch(range(2, 302))
    traffic = Traffic(house)
    together(traffic.stages, lambda: traffic.replica(house.service), lambda: traffic.replica(second))
    issued = Counter((each.record.id, each.issue) for each in traffic.heard if isinstance(each, RecordCommand))
    assert set(issued.values()) == {1}
    assert len(issued) == 2 * len(records)  # once in each phase
    ends = Counter(type(each) for each in traffic.heard if isinstance(each, ENDS))
    assert ends == {BatchGenerated: 1, BatchSent: 1, BatchSettled: 1}


def test_of_two_clocks_one_states_an_end(house: IngestHouse, second: IngestService) -> None:
    house.batch((2, 3), until=Phase.GENERATE)
    for command in house.issue():
        house.hear(*answers(command))
    together(house.service.closing.tick, second.closing.tick)
    assert [type(each) for each in house.out.take() if isinstance(each, ENDS)] == [BatchGenerated]


def test_of_two_clocks_one_cancels(house: IngestHouse, second: IngestService) -> None:
    house.batch((2, 3), until=Phase.GENERATE)
    for command in house.issue():
        house.hear(*answers(command))
    house.tell(CancelBatch(**about()))
    said: list[Message] = []
    while not house.stored().cancelled:
        together(house.service.tick, second.tick)
        new = house.out.take()
        for command in [each for each in new if isinstance(each, RecordCommand)]:
            house.hear(*answers(command))
        said += new
    together(house.service.tick, second.tick)
    said += house.out.take()
    assert Counter(type(each) for each in said if isinstance(each, RecordCommand | BatchCancelled)) == {
        WithdrawPosition: 2,
        BatchCancelled: 1,
    }


def test_an_answer_that_the_other_replica_heard_counts(house: IngestHouse, second: IngestService) -> None:
    request = uuid4()
    second.take_facts([delivered(Restated(service="iuv", request_id=request), source="iuv")])
    assert house.service.recovering.await_restated(request, ["iuv"], seconds=0)


def test_both_may_recover_at_once(house: IngestHouse, second: IngestService) -> None:
    house.batch(range(2, 12))
    before = {each.record.id for each in house.issue()}
    together(house.service.recover, second.recover)
    again = Counter(each.record.id for each in house.out.take() if isinstance(each, RecordCommand))
    assert set(again) == before
    assert set(again.values()) == {2}  # under their old ids, which stages know
    assert house.stored(BATCH).stated == ""
