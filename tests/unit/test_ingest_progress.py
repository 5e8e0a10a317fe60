"""What the stages' facts do to ingest's rows: in any order, any number of times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from services.ingest.model import RowState, Step
from services.ingest.settings import IngestSettings
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import (
    AssignIuv,
    CorrectRecord,
    DispatchNotice,
    Message,
    RegisterNotice,
    RetryRecords,
    WithdrawPosition,
)
from shared.contracts.facts import PreviewRendered, RecordFact, RecordParked, RecordsAccepted, Restated
from shared.contracts.record import Delivery, Orders, Record, SectionState
from tests.builders import a_record
from tests.fakes import delivered
from tests.ingest_house import IngestHouse, a_letter, about, answers, failed, stated

REFUSED, UNCERTAIN = SectionState.REFUSED, SectionState.UNCERTAIN


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def whole_way(record: Record) -> list[RecordFact]:
    """What the four stages say of a record that all goes well with."""
    generated = answers(AssignIuv(record=record))
    return [*generated, *answers(RegisterNotice(record=generated[-1].record, issue=2))]


# -- folding


def test_a_record_goes_its_way(house: IngestHouse) -> None:
    [record] = house.batch()
    seen = []
    house.issue()
    for fact in whole_way(record):
        house.hear(fact)
        seen.append((house.row().step, house.row().state))
        house.issue()
    assert seen == [
        (Step.RENDER, RowState.ISSUED),
        (Step.PROTOCOL, RowState.READY),
        (Step.DISPATCH, RowState.ISSUED),
        (Step.NOTHING, RowState.FINISHED),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_facts_that_come_swapped_and_twice_lead_to_the_same_row(house: IngestHouse, seed: int) -> None:
    [record] = house.batch()
    facts = whole_way(record) * 2
    Random(seed).shuffle(facts)
    for fact in facts:
        house.hear(fact)
    row = house.row()
    assert (row.step, row.state, row.phase) == (Step.NOTHING, RowState.FINISHED, Phase.SEND)
    assert all(getattr(row.whole, name) for name in ("position", "documents", "registration", "sending"))


def test_a_handful_is_folded_whole(house: IngestHouse) -> None:
    records = house.batch(range(2, 12))
    house.issue()
    house.hear(*(fact for record in records for fact in answers(AssignIuv(record=record))))
    assert {house.row(number).step for number in range(2, 12)} == {Step.PROTOCOL.value}


def test_facts_about_strangers_are_left_alone(house: IngestHouse) -> None:
    house.batch()
    assert house.hear(stated(StageName.IUV, a_record(99)), failed(a_record(98))) == []


@pytest.mark.parametrize(("state", "expected"), [(REFUSED, RowState.REFUSED), (UNCERTAIN, RowState.UNCERTAIN)])
def test_a_stage_that_did_not_say_yes_stops_the_record(
    house: IngestHouse, state: SectionState, expected: RowState
) -> None:
    [record] = house.batch(register=False)
    *_, made = answers(AssignIuv(record=record))
    house.hear(*answers(AssignIuv(record=record)))
    house.issue()
    house.hear(stated(StageName.DISPATCH, made.record, state=state, code="why"))
    assert (house.row().state, house.row().code) == (expected, "why")
    assert house.issue() == []


def test_a_late_yes_overrules_a_doubt(house: IngestHouse) -> None:
    [record] = house.batch()
    *_, registered, sent = whole_way(record)
    house.hear(*whole_way(record)[:3], stated(StageName.DISPATCH, registered.record, state=UNCERTAIN))
    assert house.row().state == RowState.UNCERTAIN
    house.hear(sent)
    assert house.row().state == RowState.FINISHED


def test_one_fact_that_cannot_be_folded_does_not_hold_up_the_others(house: IngestHouse) -> None:
    good, bad = house.batch((2, 3))
    row = house.row(3)
    row.orders = {"iuv": "not a number"}
    with house.service.database.write() as session:
        session.add(row)
    house.hear(stated(StageName.IUV, bad), stated(StageName.IUV, good))
    assert house.row(2).step == Step.RENDER


def test_a_broker_that_is_away_loses_nothing_that_was_said(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.out.away = True
    with pytest.raises(ConnectionError):
        house.hear(failed(record, permanent=True))
    house.out.away = False
    assert any(isinstance(each, RecordParked) for each in house.hear(failed(record, permanent=True)))


# -- failures and deferrals


def test_a_failure_is_tried_again_after_growing_waits_and_the_fourth_parks(house: IngestHouse) -> None:
    [record] = house.batch()
    for issue, wait in enumerate(IngestSettings().retry_waits, start=1):
        house.issue()
        assert house.hear(failed(record, issue=issue)) == []
        assert (house.row().state, house.row().next_at) == (RowState.WAITING, house.clock.time + wait)
        house.clock.time += wait
    house.issue()
    [parked] = house.hear(failed(record, issue=4))
    assert isinstance(parked, RecordParked)
    assert (parked.stage, parked.issue, parked.code) == (StageName.IUV, 4, "pagopa-unwell")
    assert (house.row().state, house.row().next_at) == (RowState.PARKED, None)
    house.clock.forward(days=1)
    assert house.issue() == []


def test_a_permanent_failure_parks_at_once(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record, permanent=True))
    assert house.row().state == RowState.PARKED


def test_parked_is_said_again_when_its_failure_is_told_again(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    first = house.hear(failed(record, permanent=True))
    assert house.hear(failed(record, permanent=True)) == first


@pytest.mark.parametrize("issue", [1, 3])
def test_a_failure_of_another_issue_moves_nothing(house: IngestHouse, issue: int) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(house.deferred(record, seconds=0))
    house.issue()
    assert house.hear(failed(record, issue=issue, permanent=True)) == []
    assert (house.row().state, house.row().attempts) == (RowState.ISSUED, 0)


def test_a_deferral_is_no_attempt(house: IngestHouse) -> None:
    [record] = house.batch()
    for issue in range(1, 8):
        house.issue()
        house.hear(house.deferred(record, seconds=1, issue=issue))
        house.clock.forward(seconds=1)
    assert (house.row().state, house.row().attempts) == (RowState.WAITING, 0)


def test_each_stage_has_its_own_attempts(house: IngestHouse) -> None:
    [record] = house.batch()
    for issue in (1, 2, 3):
        house.issue()
        house.hear(failed(record, issue=issue))
        house.clock.forward(hours=2)
    house.issue()
    house.hear(stated(StageName.IUV, record, issue=4))
    assert house.hear(failed(record, StageName.RENDER, issue=4)) == []
    assert (house.row().state, house.row().attempts) == (RowState.WAITING, 1)


def test_a_section_that_comes_after_all_frees_a_parked_record(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record, permanent=True))
    house.hear(stated(StageName.IUV, record))
    assert (house.row().state, house.row().step, house.row().code) == (RowState.READY, Step.RENDER, "")


def test_a_retried_record_is_issued_under_a_new_issue_and_the_same_orders(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record, permanent=True))
    house.tell(RetryRecords(**about()))
    command = house.issue_one()
    assert (command.issue, command.orders) == (2, Orders())


# -- what a person settled


def accepted(messages: list[Message]) -> list[tuple[int, Orders, int]]:
    """(amount, orders, revision) of the rows that were told."""
    return [
        (each.record.payment.amount_cents, each.orders, each.revision)
        for message in messages
        if isinstance(message, RecordsAccepted)
        for each in message.records
    ]


@pytest.mark.parametrize(
    ("stage", "code", "orders", "command"),
    [
        (StageName.DISPATCH, "settled-not-sent", Orders(dispatch=2), DispatchNotice),
        (StageName.PROTOCOL, "settled-not-registered", Orders(protocol=2, dispatch=2), RegisterNotice),
    ],
)
def test_what_did_not_happen_is_done_anew(
    house: IngestHouse, stage: StageName, code: str, orders: Orders, command: type
) -> None:
    [record] = house.batch()
    way = whole_way(record)
    before = way[2] if stage is StageName.DISPATCH else way[1]
    house.hear(*way[: way.index(before) + 1])
    house.hear(stated(stage, before.record, state=UNCERTAIN))
    verdict = stated(stage, before.record, state=REFUSED, code=code)
    assert accepted(house.hear(verdict)) == [(record.payment.amount_cents, orders, 1)]
    house.hear(verdict)  # told again
    again = house.issue_one()
    assert isinstance(again, command)
    assert again.orders == orders


# -- withdrawals


def a_wrong_amount(house: IngestHouse, record: Record, orders: Orders | None = None) -> list[Message]:
    """A person corrects the amount of an issued record to 1 cent."""
    return house.tell(
        CorrectRecord(**about(record_id=record.id, orders=orders or Orders(), correction={"amount_cents": 1}))
    )


def withdrawn(command: Message) -> RecordFact:
    assert isinstance(command, WithdrawPosition)
    [fact] = answers(command)
    return fact


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_correction_takes_the_place_of_the_position_once_it_is_gone(house: IngestHouse, steps: int) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(*whole_way(record)[:steps])
    if house.row().state == RowState.ISSUED:
        house.hear(failed(record, permanent=True))
    a_wrong_amount(house, record)
    gone = withdrawn(house.issue_one())
    new = Orders(iuv=2, render=2, protocol=2, dispatch=2)
    assert accepted(house.hear(gone)) == [(1, new, 3)]
    command = house.issue_one()
    assert isinstance(command, AssignIuv)
    assert (command.record.payment.amount_cents, command.orders) == (1, new)
    house.hear(gone)  # told again
    assert house.row().state == RowState.ISSUED


def test_a_position_whose_answer_was_lost_is_withdrawn_before_another_is_opened(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record, code="pagopa-no-answer"))
    a_wrong_amount(house, record)
    command = house.issue_one()
    assert isinstance(command, WithdrawPosition)
    assert command.orders.iuv == 1
    house.hear(withdrawn(command))
    assert house.issue_one().orders.iuv == 2


def test_the_second_correction_withdraws_the_second_position(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(*whole_way(record)[:2])
    a_wrong_amount(house, record)
    house.hear(withdrawn(house.issue_one()))
    again = house.issue_one()
    house.hear(failed(again.record, issue=again.issue, order=2, permanent=True))
    correction = {"amount_cents": 2}
    house.tell(CorrectRecord(**about(record_id=record.id, orders=again.orders, correction=correction)))
    command = house.issue_one()
    assert isinstance(command, WithdrawPosition)
    assert (command.record.position, command.orders.iuv) == (None, 2)
    house.hear(withdrawn(command))
    assert house.issue_one().orders.iuv == 3


def test_facts_that_come_while_a_position_is_withdrawn_do_not_stop_the_withdrawal(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    position, notice = whole_way(record)[:2]
    house.hear(position, failed(record, StageName.RENDER, permanent=True))
    a_wrong_amount(house, record)
    command = house.issue_one()
    house.hear(notice)
    assert (house.row().state, house.row().errand) == (RowState.ISSUED, "withdraw")
    house.hear(withdrawn(command))
    assert isinstance(house.issue_one(), AssignIuv)


def test_what_was_paid_stands_as_it_was(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(*whole_way(record))
    a_wrong_amount(house, record)
    command = house.issue_one()
    house.hear(failed(record, issue=command.issue, code="already-paid", permanent=True))
    row = house.row()
    assert (row.state, row.code, row.errand, row.correction) == (RowState.FINISHED, "already-paid", "", None)
    assert row.whole.payment == record.payment
    assert house.issue() == []


def test_a_notice_that_cannot_be_printed_leaves_no_debt_open(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    position = whole_way(record)[0]
    refusal = stated(StageName.RENDER, position.record, state=REFUSED, code="does-not-fit")
    house.hear(position, refusal)
    command = house.issue_one()
    house.hear(refusal)  # told again
    house.hear(withdrawn(command))
    assert (house.row().state, house.row().code) == (RowState.REFUSED, "does-not-fit")
    assert house.issue() == []


def test_a_notice_that_cannot_be_printed_and_was_paid_is_not_withdrawn_for_ever(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    position = whole_way(record)[0]
    refusal = stated(StageName.RENDER, position.record, state=REFUSED, code="does-not-fit")
    house.hear(position, refusal)
    command = house.issue_one()
    house.hear(failed(record, issue=command.issue, code="already-paid", permanent=True))
    house.hear(refusal)
    assert (house.row().state, house.row().code) == (RowState.REFUSED, "already-paid")
    assert house.issue() == []


def test_a_withdrawal_waits_as_long_as_the_stage_says(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record))
    a_wrong_amount(house, record)
    command = house.issue_one()
    house.hear(house.deferred(record, seconds=60, issue=command.issue, code="still-opening"))
    assert house.issue() == []
    house.clock.time += timedelta(seconds=60)
    assert isinstance(house.issue_one(), WithdrawPosition)


# -- the rest


def test_previews_are_kept(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.PREVIEW, letter="scuolabus")
    house.issue()
    house.hear(PreviewRendered(batch_id=record.batch_id, record_id=record.id, letter=a_letter()))
    row = house.row()
    assert row.preview == "done"
    assert row.previewed is not None
    assert row.previewed["letter"]["sha256"] == a_letter().sha256


def test_a_record_without_an_address_ends_when_it_is_registered(house: IngestHouse) -> None:
    house.batch(delivery=Delivery(channel=Channel.PEC))
    house.issue()
    assert house.row().state == RowState.ISSUED
    house.hear(*whole_way(house.row().whole)[:3])
    assert (house.row().state, house.row().code) == (RowState.FINISHED, "by-hand")


def test_who_has_restated_is_heard(house: IngestHouse) -> None:
    request = uuid4()
    assert not house.service.recovering.await_restated(request, ["iuv", "render"], seconds=0)
    house.service.take_facts([delivered(Restated(service=name, request_id=request)) for name in ("iuv", "render")])
    assert house.service.recovering.await_restated(request, ["iuv", "render"], seconds=0)
