"""The watchdog: what is lost comes back, and nothing is done twice for being slow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.ingest.model import RowState
from services.ingest.pace import LEAST
from services.ingest.watchdog import LOST
from shared.contracts.base import Phase, StageName
from shared.contracts.commands import AssignIuv, CancelBatch, RecordCommand, RegisterNotice
from shared.contracts.facts import RecordParked
from tests.ingest_house import IngestHouse, about, answers, stated

MANY = range(2, 602)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def look(house: IngestHouse, **later: float) -> list[RecordCommand]:
    """The watchdog looks after a time; what it publishes."""
    house.clock.forward(**later)
    house.service.watchdog.tick()
    return [each for each in house.out.take() if isinstance(each, RecordCommand)]


def answer_all(house: IngestHouse, commands: list[RecordCommand]) -> list[RecordCommand]:
    """All goes well for these; what is issued in their place."""
    for command in commands:
        house.hear(*answers(command))
    return house.issue()


def test_a_message_that_is_lost_comes_back_as_an_attempt(house: IngestHouse) -> None:
    house.batch(MANY, until=Phase.GENERATE)
    lost, *others = house.issue()
    assert isinstance(lost, AssignIuv)
    for _ in range(4):
        others = answer_all(house, others)
    assert look(house, seconds=61) == []
    row = house.row(lost.record.row)
    assert (row.state, row.attempts, row.code) == (RowState.WAITING, 1, LOST)
    again = next(each for each in answer_all(house, others) if each.record.id == lost.record.id)
    assert again.issue == lost.issue + 1
    house.hear(*answers(again))
    assert house.row(lost.record.row).state == RowState.READY  # for the next phase


def test_not_before_a_minute_has_passed(house: IngestHouse) -> None:
    house.batch(MANY, until=Phase.GENERATE)
    lost, *others = house.issue()
    for _ in range(4):
        others = answer_all(house, others)
    look(house, seconds=59)
    assert house.row(lost.record.row).state == RowState.ISSUED


def test_not_before_twice_as_many_later_ones_were_answered_as_were_in_flight(house: IngestHouse) -> None:
    house.batch(MANY, until=Phase.GENERATE)
    lost, *others = house.issue()
    more = answer_all(house, others)
    look(house, minutes=2)
    assert house.row(lost.record.row).state == RowState.ISSUED
    for _ in range(2):
        more = answer_all(house, more)
    look(house, seconds=11)
    assert house.row(lost.record.row).state == RowState.WAITING


def test_a_slow_lane_gets_no_doubles(house: IngestHouse) -> None:
    """One answer in five minutes, in order, and always a full window."""
    house.batch(range(2, 302), until=Phase.GENERATE)
    in_flight = house.issue()
    for _ in range(200):
        first, *in_flight = in_flight
        house.hear(*answers(first))
        assert look(house, minutes=5) == []
        in_flight += house.issue()
        assert all(each.issue == 1 for each in in_flight)


def test_a_record_counts_from_when_its_lane_got_it(house: IngestHouse) -> None:
    """Its iuv took an hour, and meanwhile the renderer did hundreds of others."""
    house.batch(MANY, until=Phase.GENERATE)
    slow, *others = house.issue()
    for _ in range(2):
        others = answer_all(house, others)
    house.clock.forward(minutes=59)
    house.hear(stated(StageName.IUV, slow.record))
    look(house, seconds=11)
    assert house.row(slow.record.row).state == RowState.ISSUED


def test_a_silent_lane_gets_the_same_messages_once_an_hour(house: IngestHouse) -> None:
    house.batch(MANY, until=Phase.GENERATE)
    before = {each.record.id: each.issue for each in house.issue()}
    assert look(house, minutes=59) == []
    for _ in range(3):
        again = look(house, minutes=60)
        assert {each.record.id: each.issue for each in again} == before
        assert len(again) == LEAST
        assert look(house, seconds=30) == []
    assert house.row(2).attempts == 0


def test_the_last_record_of_a_batch_comes_back_too(house: IngestHouse) -> None:
    house.batch(range(2, 5), until=Phase.GENERATE)
    lost, *others = house.issue()
    answer_all(house, others)
    [again] = look(house, minutes=61)
    assert (again.record.id, again.issue) == (lost.record.id, lost.issue)


def test_nothing_is_done_while_the_lane_is_closed(house: IngestHouse) -> None:
    records = house.batch(MANY, until=Phase.GENERATE)
    house.issue()
    house.hear(*(house.deferred(record, seconds=300) for record in records[: LEAST - 1]))
    assert look(house, hours=2) == []
    assert house.row(LEAST + 1).state == RowState.ISSUED


def test_what_waits_is_left_alone(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.GENERATE)
    house.issue()
    house.hear(house.deferred(record, seconds=7200, code="leased"))
    assert look(house, minutes=119) == []
    assert house.row().state == RowState.WAITING


def test_what_is_lost_for_the_fourth_time_is_parked(house: IngestHouse) -> None:
    house.batch(MANY, until=Phase.GENERATE)
    lost, *others = house.issue()
    row = house.row(lost.record.row)
    row.attempts = 3
    with house.service.database.write() as session:
        session.add(row)
    for _ in range(4):
        others = answer_all(house, others)
    house.clock.forward(seconds=61)
    house.service.watchdog.tick()
    assert house.row(lost.record.row).state == RowState.PARKED
    assert [each.code for each in house.out.take() if isinstance(each, RecordParked)] == [LOST]


def test_a_cancelled_batch_is_not_set_off_again(house: IngestHouse) -> None:
    house.batch((2,), until=Phase.GENERATE)
    house.issue()
    house.tell(CancelBatch(**about()))
    assert look(house, hours=2) == []


def test_a_lost_registration_comes_back(house: IngestHouse) -> None:
    records = house.batch((2,))
    house.hear(*answers(AssignIuv(record=records[0])))
    [lost] = house.issue()
    assert isinstance(lost, RegisterNotice)
    assert [type(each) for each in look(house, minutes=61)] == [RegisterNotice]
    assert house.clock.time - (house.row().issued_at or house.clock.time) < timedelta(seconds=1)
