"""The pacer: how much it issues, to whom first, and what it costs to ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, event, text

from services.ingest.model import RowState
from services.ingest.pace import LEAST, MOST, PROBE_PATIENCE, Rooms, capacity, lanes_ahead, learn
from services.ingest.pacer import PREVIEWS_IN_FLIGHT, TURN
from services.ingest.tables import Lane, LaneWord
from services.ingest.turns import Turns
from services.ingest.waiting import Waiting
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import (
    AssignIuv,
    CancelBatch,
    DispatchNotice,
    PauseBatch,
    PreviewRecord,
    RecordCommand,
    RegisterNotice,
    ResumeBatch,
    SendNotices,
)
from shared.contracts.facts import PreviewRendered
from shared.contracts.record import Delivery, Record
from tests.builders import BATCH
from tests.fakes import NOON
from tests.ingest_house import CREDITORS, IngestHouse, a_letter, about, answers, failed, stated


def lane_row(house: IngestHouse, name: str) -> Lane:
    with house.service.database.read() as session:
        return session.get_one(Lane, name)


PEC = Delivery(channel=Channel.PEC, address="a@pec.example")
MAIL = Delivery(channel=Channel.EMAIL, address="a@example.org")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def rendered(house: IngestHouse, records: list[Record]) -> None:
    """These rows have their notices, without a lane being the busier for it."""
    for record in records:
        with_position = stated(StageName.IUV, record).record
        house.hear(stated(StageName.IUV, with_position), stated(StageName.RENDER, with_position))


def by_batch(commands: list[RecordCommand]) -> Counter[UUID]:
    return Counter(command.record.batch_id for command in commands)


# -- what may be issued


@pytest.mark.parametrize(
    ("until", "before", "after"),
    [(Phase.PREVIEW, [], []), (Phase.GENERATE, [AssignIuv], []), (Phase.SEND, [AssignIuv], [RegisterNotice])],
)
def test_a_phase_is_issued_once_it_is_allowed(
    house: IngestHouse, until: Phase, before: list[type], after: list[type]
) -> None:
    records = house.batch(until=until)
    assert [type(each) for each in house.issue()] == before
    rendered(house, records)
    assert [type(each) for each in house.issue()] == after


def test_a_record_that_is_not_registered_is_dispatched(house: IngestHouse) -> None:
    records = house.batch(register=False)
    rendered(house, records)
    assert isinstance(house.issue_one(), DispatchNotice)


def test_a_command_carries_the_record_its_orders_and_a_rising_issue(house: IngestHouse) -> None:
    [record] = house.batch()
    first = house.issue_one()
    assert (first.record, first.issue) == (record, 1)
    house.hear(failed(record))
    house.clock.forward(seconds=31)
    assert house.issue_one().issue == 2


def test_what_waits_is_not_issued_before_its_time(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(house.deferred(record, seconds=10))
    house.clock.forward(seconds=9)
    assert house.issue() == []
    house.clock.forward(seconds=1)
    assert house.issue_one().issue == 2


def test_a_record_whose_notice_failed_goes_through_iuv_again(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(stated(StageName.IUV, record), failed(record, StageName.RENDER))
    house.clock.forward(seconds=31)
    command = house.issue_one()
    assert isinstance(command, AssignIuv)
    assert command.record.position is not None


def test_nothing_is_issued_twice(house: IngestHouse) -> None:
    house.batch(range(2, 12))
    assert len(house.issue()) == 10
    assert house.issue() == []


def test_a_paused_batch_waits(house: IngestHouse) -> None:
    house.batch()
    house.tell(PauseBatch(**about()))
    assert house.issue() == []
    house.tell(ResumeBatch(**about()))
    assert len(house.issue()) == 1


def test_a_batch_into_which_a_file_is_merged_waits(house: IngestHouse) -> None:
    house.batch()
    batch = house.stored()
    batch.merging = True
    with house.service.database.write() as session:
        session.add(batch)
    assert house.issue() == []


def test_a_batch_that_is_cancelled_issues_nothing_more(house: IngestHouse) -> None:
    house.batch()
    house.tell(CancelBatch(**about()))
    assert house.issue() == []


# -- how much


def test_a_lane_takes_its_least_at_first(house: IngestHouse) -> None:
    house.batch(range(2, 202))
    assert len(house.issue()) == LEAST
    assert house.issue() == []


def test_a_record_counts_in_each_lane_of_its_phase_until_that_lanes_fact(house: IngestHouse) -> None:
    records = house.batch(range(2, 202))
    house.issue()
    house.hear(*(stated(StageName.IUV, record) for record in records[:10]))
    assert house.issue() == []  # the renderer still has all of them before it
    house.hear(*answers(AssignIuv(record=records[0])))
    [command, *_] = house.issue()
    assert isinstance(command, RegisterNotice)


def words(*counts: int, at: datetime = NOON, lane: str = "m") -> list[LaneWord]:
    return [LaneWord(lane=lane, at=at, answered=count) for count in counts]


def test_a_lane_that_answers_fast_gets_more() -> None:
    lane = Lane(name="m")
    learn(lane, words(100, 200), NOON)
    assert capacity(lane) == 300
    learn(lane, words(MOST, MOST), NOON + timedelta(seconds=1))
    assert (capacity(lane), lane.answered) == (MOST, 300 + 2 * MOST)


def test_what_a_lane_did_long_ago_does_not_count() -> None:
    lane = Lane(name="m")
    learn(lane, words(300), NOON)
    for second in range(12):
        learn(lane, [], NOON + timedelta(seconds=second))
    assert capacity(lane) == LEAST


def test_time_in_which_nobody_issued_says_nothing_about_a_lane() -> None:
    """A restart, or a night without batches: the window is what it was."""
    lane = Lane(name="m")
    learn(lane, words(300), NOON)
    learn(lane, words(100, at=NOON + timedelta(seconds=1)), NOON + timedelta(hours=9))
    assert capacity(lane) == 400


def test_a_lane_that_answers_now_and_then_is_no_fast_one() -> None:
    """All is issued, nobody looks but when an answer comes."""
    lane = Lane(name="m")
    for minute in range(100):
        learn(lane, words(30, at=NOON + timedelta(minutes=minute)), NOON + timedelta(minutes=minute))
    assert capacity(lane) == LEAST


def test_the_window_outlives_the_process(house: IngestHouse) -> None:
    records = house.batch(range(2, 402), until=Phase.GENERATE, register=False)
    for command in house.issue():
        house.hear(*answers(command))
    assert len(house.issue()) == LEAST
    for record in records[LEAST : 2 * LEAST]:
        house.hear(*answers(AssignIuv(record=record)))
    assert len(house.issue()) == 2 * LEAST
    house.clock.forward(hours=1)
    house.crash()
    house.service.pacer.tick()
    assert capacity(lane_row(house, "render")) == 2 * LEAST


def test_a_lane_whose_row_is_gone_gets_another(house: IngestHouse) -> None:
    """The database was restored under a running ingest."""
    house.batch(range(2, 2 + LEAST + 5), until=Phase.GENERATE)
    commands = house.issue()
    with house.service.database.write() as session:
        session.connection().execute(delete(Lane))
    house.hear(*[fact for command in commands[:10] for fact in answers(command)])
    issued = [len(house.issue()) for _ in range(2)]
    assert issued == [0, 5], "one tick finds out, the next goes on"


def test_facts_that_are_told_again_do_not_make_a_lane_look_fast(house: IngestHouse) -> None:
    records = house.batch(range(2, 202))
    house.issue()
    for _ in range(10):
        house.hear(*(stated(StageName.IUV, record) for record in records[:LEAST]))
    house.issue()
    assert lane_row(house, "iuv:c_x999").answered == LEAST


def test_a_full_lane_holds_up_nobody_who_goes_elsewhere(house: IngestHouse) -> None:
    rendered(house, house.batch(range(2, 102), register=False, delivery=PEC))
    other = uuid4()
    assert len(house.issue()) == LEAST
    mixed = house.batch(range(2, 62), batch_id=other, register=False, delivery=PEC)
    mail = house.batch((900,), batch_id=uuid4(), register=False, delivery=MAIL)
    rendered(house, [*mixed, *mail])
    assert [command.record.id for command in house.issue()] == [mail[0].id]


def test_rows_for_a_full_lane_do_not_stand_before_others_of_their_own_batch(house: IngestHouse) -> None:
    """The first hundred rows go by PEC, whose lane is full; the next by e-mail, and the last have no notice yet."""
    records = house.batch(range(2, 152), register=False, delivery=PEC)
    rendered(house, records[:120])
    first = house.issue()
    assert Counter(type(each) for each in first) == {DispatchNotice: LEAST, AssignIuv: 30}


def test_the_rooms_of_several_lanes_are_those_of_the_fullest() -> None:
    rooms = Rooms({name: Lane(name=name) for name in "ab"}, NOON)
    rooms.in_flight(["a"], 40)
    assert (rooms.left(["a", "b"]), rooms.left(["b"])) == (LEAST - 40, LEAST)
    rooms.take(["a", "b"], 20)
    assert (rooms.left(["a"]), rooms.left(["b"])) == (0, LEAST - 20)


def test_a_lane_that_another_replica_holds_takes_nothing() -> None:
    rooms = Rooms({"a": Lane(name="a")}, NOON)
    assert (rooms.left(["a"]), rooms.left(["a", "b"])) == (LEAST, 0)


def test_the_lanes_ahead_are_those_of_the_phase() -> None:
    assert lanes_ahead("iuv", "c", "pec") == ["iuv:c", "render"]
    assert lanes_ahead("protocol", "c", "pec") == ["protocol:c", "dispatch:c:pec"]
    assert lanes_ahead("withdraw", "c", "pec") == ["iuv:c"]


# -- whose turn it is


def test_two_batches_share_a_lane(house: IngestHouse) -> None:
    one, two = uuid4(), uuid4()
    for batch_id in (one, two):
        house.batch(range(2, 502), batch_id=batch_id)
    assert by_batch(house.issue()) == {one: TURN, two: LEAST - TURN}


def test_places_that_fall_free_go_round(house: IngestHouse) -> None:
    one, two = uuid4(), uuid4()
    for batch_id in (one, two):
        house.batch(range(2, 502), batch_id=batch_id, until=Phase.GENERATE)
    in_flight = house.issue()
    served: Counter[UUID] = Counter()
    for _ in range(20):
        done, in_flight = in_flight[0], in_flight[1:]
        house.hear(*answers(done))
        more = house.issue()
        served += by_batch(more)
        in_flight += more
    assert served == {one: 10, two: 10}


def test_a_small_batch_overtakes_a_large_one(house: IngestHouse) -> None:
    large, small = uuid4(), uuid4()
    house.batch(range(2, 1002), batch_id=large, until=Phase.GENERATE)
    in_flight = house.issue()
    house.batch(range(2, 5), batch_id=small, until=Phase.GENERATE)
    served: Counter[UUID] = Counter()
    for done in in_flight[:6]:
        house.hear(*answers(done))
        served += by_batch(house.issue())
    assert served[small] == 3


def test_creditors_take_turns_and_not_their_batches() -> None:
    names = ("large", "large", "large", "small")
    waiting = {each.id: each for each in (Waiting(uuid4(), name, 0, []) for name in names)}
    served: list[Waiting] = []
    for _ in range(3):  # a tick, of whichever replica, begins from what is in the rows
        last = {name: max(each.turn for each in waiting.values() if each.creditor == name) for name in set(names)}
        turns = Turns(last, NOON)
        for _ in range(2):
            served.append(turns.next(waiting))
            turns.served(served[-1])
        waiting = {each.id: replace(each, turn=turns.had.get(each.id, each.turn)) for each in waiting.values()}
    assert Counter(batch.creditor for batch in served) == {"large": 3, "small": 3}
    assert len({batch.id for batch in served}) == 4


def test_places_go_round_whichever_replica_gives_them_away(house: IngestHouse) -> None:
    one, two = uuid4(), uuid4()
    for batch_id in (one, two):
        house.batch(range(2, 502), batch_id=batch_id, until=Phase.GENERATE)
    in_flight = house.issue()
    served: Counter[UUID] = Counter()
    for _ in range(10):
        done, in_flight = in_flight[0], in_flight[1:]
        house.hear(*answers(done))
        house.crash()
        more = house.issue()
        served += by_batch(more)
        in_flight += more
    assert served == {one: 5, two: 5}


# -- closed lanes


def bounced(house: IngestHouse, *records: Record, seconds: float, issue: int = 1) -> None:
    house.hear(*(house.deferred(record, seconds=seconds, issue=issue) for record in records))


def test_a_closed_lane_gets_one_record_when_its_probe_is_due(house: IngestHouse) -> None:
    records = house.batch(range(2, 202), until=Phase.GENERATE)
    house.issue()
    bounced(house, *records[:LEAST], seconds=5)
    assert house.issue() == []
    house.clock.forward(seconds=5)
    probe = house.issue_one()
    assert house.issue() == []
    bounced(house, probe.record, seconds=15, issue=probe.issue)
    house.clock.forward(seconds=14)
    assert house.issue() == []
    house.clock.forward(seconds=1)
    probe = house.issue_one()
    house.hear(stated(StageName.IUV, probe.record, issue=probe.issue))
    assert len(house.issue()) == LEAST - 1  # the probe is at the renderer now


def test_nothing_is_issued_towards_a_closed_lane_further_on(house: IngestHouse) -> None:
    records = house.batch(range(2, 202))
    rendered(house, records)
    first = house.issue()
    registered = [answers(command)[0] for command in first]
    house.hear(*registered)
    until = house.clock.time + timedelta(seconds=60)
    for command in first:
        house.hear(
            house.deferred(command.record, seconds=60).model_copy(update={"stage": StageName.DISPATCH, "until": until})
        )
    assert house.issue() == []  # registered in vain, to wait at the door
    house.clock.forward(seconds=60)
    assert isinstance(house.issue_one(), DispatchNotice)


def test_a_probe_that_is_lost_is_followed_by_another(house: IngestHouse) -> None:
    records = house.batch(range(2, 62), until=Phase.GENERATE)
    house.issue()
    bounced(house, *records[:LEAST], seconds=5)
    house.clock.forward(seconds=5)
    house.issue_one()
    house.clock.forward(seconds=PROBE_PATIENCE.total_seconds() - 1)
    assert house.issue() == []
    house.clock.forward(seconds=1)
    house.issue_one()


# -- hours of sending


def written(house: IngestHouse) -> list[str]:
    """What a tick does besides reading."""
    asked: list[str] = []
    engine = house.service.database.engine
    listener = lambda _c, _cursor, statement, *_: asked.append(statement)  # noqa: E731
    event.listen(engine, "before_cursor_execute", listener)
    house.service.pacer.tick()
    event.remove(engine, "before_cursor_execute", listener)
    reads = ("BEGIN", "SELECT", "WITH")
    return [each for each in asked if not each.startswith(reads) or "IMMEDIATE" in each or "UPDATE" in each]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[IngestHouse]:
    """PEC goes out from eight to eight on working days; it is Tuesday, thirteen o'clock."""
    hours = {"send_hours": "08:00-20:00", "send_days": ["mon", "tue", "wed", "thu", "fri"]}
    creditor = CREDITORS.creditors["c_x999"]
    boxes = creditor.mailboxes | {"pec": creditor.mailboxes["pec"].model_copy(update=hours)}
    creditors = CREDITORS.model_copy(update={"creditors": {"c_x999": creditor.model_copy(update={"mailboxes": boxes})}})
    house = IngestHouse(tmp_path, creditors)
    yield house
    house.close()


def test_outside_its_hours_nothing_is_registered_or_sent_by_a_mailbox(office: IngestHouse) -> None:
    rendered(office, office.batch(range(2, 5)))
    office.clock.forward(hours=7)  # eight in the evening
    assert office.issue() == []
    office.clock.forward(hours=11, minutes=59)
    assert office.issue() == []
    office.clock.forward(minutes=1)
    assert [type(each) for each in office.issue()] == [RegisterNotice] * 3


def test_what_is_not_sent_by_it_goes_on(office: IngestHouse) -> None:
    """E-mail, the notices of the same batch, and withdrawals."""
    rendered(office, office.batch((2,)))
    rendered(office, office.batch((2,), batch_id=uuid4(), delivery=MAIL))
    office.batch((2,), batch_id=uuid4())
    office.clock.forward(hours=8)
    assert Counter(type(each) for each in office.issue()) == {AssignIuv: 1, RegisterNotice: 1}


def test_a_night_outside_the_hours_costs_the_clock_nothing(office: IngestHouse) -> None:
    rendered(office, office.batch(range(2, 5)))
    office.service.pacer.tick()
    office.out.take()
    records = office.batch(range(2, 5), batch_id=uuid4())
    rendered(office, records)
    office.clock.forward(hours=8)
    office.service.pacer.tick()  # takes in what was said of the lanes
    assert written(office) == []


# -- when the broker or the process is lost


def test_what_was_not_confirmed_is_published_at_the_next_tick_and_nothing_more_meanwhile(house: IngestHouse) -> None:
    house.batch(range(2, 202))
    house.out.away = True
    for _ in range(3):
        with pytest.raises(ConnectionError):
            house.service.pacer.tick()
    house.out.away = False
    assert len(house.issue()) == LEAST
    assert sum(house.row(number).state == RowState.ISSUED for number in range(2, 202)) == LEAST


def test_after_a_crash_what_is_issued_is_published_again_under_the_same_id(house: IngestHouse) -> None:
    house.batch(range(2, 252))
    house.service.pacer.tick()
    before = {envelope.id: envelope.body for envelope in house.out.take_envelopes()}
    house.crash()
    assert house.service.recover() == len(before) == LEAST
    after = {envelope.id: envelope.body for envelope in house.out.take_envelopes() if "restate" not in envelope.key}
    assert after == before


def test_republishing_goes_through_all_that_is_issued(house: IngestHouse) -> None:
    for _ in range(5):
        house.batch(range(2, 102), batch_id=uuid4(), until=Phase.GENERATE)
    with house.service.database.write() as session:
        session.connection().execute(text("UPDATE row SET state = 'issued', issue = 1"))
    assert house.service.recover() == 500
    assert len({command.record.id for command in house.out.take() if isinstance(command, RecordCommand)}) == 500


# -- letters to look at


def previews(house: IngestHouse) -> list[PreviewRecord]:
    return [each for each in house.issue() if isinstance(each, PreviewRecord)]


def shown(record: Record, revision: int = 1) -> PreviewRendered:
    return PreviewRendered(batch_id=record.batch_id, record_id=record.id, revision=revision, letter=a_letter())


def test_letters_are_previewed_a_bounded_number_at_a_time(house: IngestHouse) -> None:
    records = house.batch(range(2, 102), until=Phase.PREVIEW, letter="scuolabus")
    assert len(previews(house)) == PREVIEWS_IN_FLIGHT
    assert previews(house) == []
    house.hear(*(shown(record) for record in records[:PREVIEWS_IN_FLIGHT]))
    assert [each.record.row for each in previews(house)] == [4, 5]


def test_a_preview_that_failed_by_a_bug_of_ours_holds_up_no_other(house: IngestHouse) -> None:
    records = house.batch(range(2, 6), until=Phase.PREVIEW, letter="scuolabus")
    previews(house)
    house.hear(*(failed(each, StageName.RENDER, code="unexpected-KeyError") for each in records[:PREVIEWS_IN_FLIGHT]))
    assert [each.record.row for each in previews(house)] == [4, 5]
    assert house.row().previewed == {"code": "unexpected-KeyError"}
    assert house.row().state == RowState.READY


def test_only_letters_are_previewed_and_only_before_anything_is_generated(house: IngestHouse) -> None:
    house.batch(batch_id=uuid4(), until=Phase.PREVIEW)
    house.batch(batch_id=uuid4(), until=Phase.GENERATE, letter="scuolabus")
    assert previews(house) == []


def test_a_preview_that_a_crash_lost_is_asked_again(house: IngestHouse) -> None:
    house.batch(until=Phase.PREVIEW, letter="scuolabus")
    assert len(previews(house)) == 1
    house.crash()
    house.service.recover()
    assert len(previews(house)) == 1


def test_the_letter_of_values_that_were_corrected_since_is_not_kept(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.PREVIEW, letter="scuolabus")
    house.hear(shown(record, revision=0))
    assert house.row().previewed is None
    house.hear(shown(record))
    assert house.row().previewed is not None


# -- what it costs


def plans(house: IngestHouse, work: Any) -> list[tuple[str, str]]:
    """(statement, plan) of what `work` asks of the rows."""
    asked: list[tuple[str, Any]] = []
    engine = house.service.database.engine
    listener = lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters))  # noqa: E731
    event.listen(engine, "before_cursor_execute", listener)
    work()
    event.remove(engine, "before_cursor_execute", listener)
    found = []
    with engine.connect() as connection:
        for statement, parameters in asked:
            if '"row"' in statement and "INSERT" not in statement:
                one = parameters[0] if isinstance(parameters, list) else parameters
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", one)
                found.append((statement, "\n".join(line[-1] for line in plan)))
    return found


@pytest.mark.sqlite
@pytest.mark.parametrize("until", list(Phase))
def test_the_clock_never_scans_the_rows(house: IngestHouse, until: Phase) -> None:
    records = house.batch(range(2, 12), until=until, letter="scuolabus")
    house.batch(batch_id=uuid4(), until=Phase.PREVIEW, letter="scuolabus")
    found = plans(house, house.service.tick)
    rendered(house, records[:3])
    found += plans(house, house.service.tick)
    house.tell(CancelBatch(**about()))
    found += plans(house, house.service.tick)
    assert found
    for statement, plan in found:
        # a scan of the partial index: it holds what is still to be told, and nothing else
        assert "SCAN row" not in plan.replace("SCAN row USING INDEX row_to_tell", ""), statement


def test_an_idle_batch_is_not_counted_at_every_tick(house: IngestHouse) -> None:
    house.batch(range(2, 12), until=Phase.GENERATE)
    house.go_on()
    assert house.stored().stated == "generated"
    found = plans(house, house.service.tick)
    assert not any("count(" in statement and "batch_id" in statement.partition("GROUP BY")[2] for statement, _ in found)
    house.tell(SendNotices(**about(BATCH)))
    assert any(isinstance(each, RegisterNotice) for each in house.issue())
