"""Ends: when a phase or a batch is over, and how a batch is cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.ingest.model import RowState
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import (
    CancelBatch,
    CorrectRecord,
    Message,
    PauseBatch,
    RecordCommand,
    RetryRecords,
    SendNotices,
    WithdrawPosition,
)
from shared.contracts.facts import BatchCancelled, BatchGenerated, BatchSent, BatchSettled, CommandTaken
from shared.contracts.record import Delivery, Orders, Record, SectionState
from tests.builders import BATCH
from tests.ingest_house import IngestHouse, about, answers, failed, stated

ENDS = (BatchGenerated, BatchSent, BatchSettled, BatchCancelled)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def ends(messages: list[Message]) -> list[type]:
    return [type(message) for message in messages if isinstance(message, ENDS)]


def generated(house: IngestHouse, *records: Record) -> list[Record]:
    """These rows with their notices made."""
    made = []
    for record in records:
        with_position = stated(StageName.IUV, record).record
        fact = stated(StageName.RENDER, with_position)
        house.hear(stated(StageName.IUV, record), fact)
        made.append(fact.record)
    return made


# -- phases


@pytest.mark.parametrize(
    ("until", "expected"),
    [(Phase.PREVIEW, []), (Phase.GENERATE, [BatchGenerated]), (Phase.SEND, [BatchGenerated, BatchSent, BatchSettled])],
)
def test_each_end_is_stated_once(house: IngestHouse, until: Phase, expected: list[type]) -> None:
    house.batch(range(2, 72), until=until)
    assert ends(house.go_on()) == expected
    assert ends(house.go_on()) == []


def test_generated_is_stated_when_the_last_notice_is_made_whatever_is_being_sent(house: IngestHouse) -> None:
    records = house.batch((2, 3))
    house.issue()
    generated(house, records[0])
    house.issue()
    assert house.close_up() == []
    generated(house, records[1])
    assert ends(house.close_up()) == [BatchGenerated]


def test_sending_that_is_allowed_later_is_stated_later(house: IngestHouse) -> None:
    house.batch((2, 3), until=Phase.GENERATE)
    house.go_on()
    house.tell(SendNotices(**about()))
    assert ends(house.go_on()) == [BatchSent, BatchSettled]


def test_what_waits_keeps_a_batch_open_and_what_is_parked_does_not(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.GENERATE)
    house.issue()
    house.hear(failed(record))
    assert house.close_up() == []
    house.clock.forward(minutes=1)
    house.issue()
    house.hear(failed(record, issue=2, permanent=True))
    assert ends(house.close_up()) == [BatchGenerated]


def test_a_paused_batch_has_not_ended(house: IngestHouse) -> None:
    house.batch()
    house.tell(PauseBatch(**about()))
    assert house.close_up() == []


def test_the_counts_tell_how_the_rows_stand(house: IngestHouse) -> None:
    records = house.batch((2, 3, 4), until=Phase.GENERATE)
    house.issue()
    generated(house, records[0])
    house.hear(stated(StageName.IUV, records[1], state=SectionState.REFUSED), failed(records[2], permanent=True))
    [end] = house.close_up()
    assert isinstance(end, BatchGenerated)
    assert end.counts == {"ready": 1, "refused": 1, "parked": 1}


def test_a_retry_opens_the_batch_again(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record, permanent=True))
    assert BatchSent in ends(house.close_up())
    house.tell(RetryRecords(**about()))
    assert ends(house.close_up()) == []
    assert ends(house.go_on()) == [BatchGenerated, BatchSent, BatchSettled]


def test_a_late_word_opens_a_batch_that_had_ended(house: IngestHouse) -> None:
    [record] = house.batch()
    [made] = generated(house, record)
    house.issue()
    house.hear(stated(StageName.PROTOCOL, made, state=SectionState.UNCERTAIN))
    assert BatchSent in ends(house.close_up())
    assert BATCH in house.service.unsettled()
    house.hear(stated(StageName.PROTOCOL, made))
    assert BatchSent not in ends(house.close_up())
    assert BatchSent in ends(house.go_on())
    assert house.row().state == RowState.FINISHED


def test_an_end_that_a_broker_did_not_take_is_stated_again_after_a_crash(house: IngestHouse) -> None:
    house.batch((2, 3), until=Phase.GENERATE)
    for command in house.issue():
        house.hear(*answers(command))
    house.out.away = True
    with pytest.raises(ConnectionError):
        house.service.closing.tick()
    house.crash()
    house.out.away = False
    assert ends(house.close_up()) == [BatchGenerated]


def test_a_settled_batch_is_settled(house: IngestHouse) -> None:
    house.batch()
    assert house.service.unsettled() == [BATCH]
    house.go_on()
    assert house.service.unsettled() == []


# -- cancelling


def withdrawals(messages: list[Message]) -> list[int]:
    return sorted(each.record.row for each in messages if isinstance(each, WithdrawPosition))


def cancelled(messages: list[Message]) -> BatchCancelled:
    [end] = [each for each in messages if isinstance(each, BatchCancelled)]
    return end


def test_a_batch_of_which_nothing_was_issued_is_cancelled_at_once(house: IngestHouse) -> None:
    house.batch(range(2, 502))
    house.tell(CancelBatch(**about()))
    heard = house.go_on()
    assert not any(isinstance(each, RecordCommand) for each in heard)
    assert cancelled(heard).withdrawn == 0
    assert {house.row(number).state for number in range(2, 502)} == {RowState.CANCELLED.value}
    assert house.stored().cancelled


def test_what_is_in_flight_ends_before_a_batch_is_cancelled(house: IngestHouse) -> None:
    house.batch()
    command = house.issue_one()
    house.tell(CancelBatch(**about()))
    house.service.tick()
    assert house.out.take() == []
    house.hear(*answers(command))
    assert withdrawals(house.go_on()) == [2]
    assert house.row().state == RowState.CANCELLED


def test_positions_of_what_was_neither_sent_nor_is_uncertain_are_withdrawn(house: IngestHouse) -> None:
    sent, uncertain, made, refused, untouched = house.batch(range(2, 7), register=False)
    made_records = generated(house, sent, uncertain, made, refused)
    house.hear(stated(StageName.DISPATCH, made_records[0]))
    house.hear(stated(StageName.DISPATCH, made_records[1], state=SectionState.UNCERTAIN))
    house.hear(stated(StageName.DISPATCH, made_records[3], state=SectionState.REFUSED))
    with house.service.database.write() as session:  # as if they had been issued
        for number in range(2, 6):
            row = house.row(number)
            row.issue = 1
            session.add(row)
    house.tell(CancelBatch(**about()))
    heard = house.go_on()
    assert withdrawals(heard) == [made.row, refused.row]
    end = cancelled(heard)
    assert (end.sent, end.withdrawn, end.registered_not_sent) == (1, 2, 0)
    assert Counter(house.row(number).state for number in range(2, 7)) == {"finished": 1, "uncertain": 1, "cancelled": 3}
    assert untouched.row == 6


def test_registered_and_not_sent_is_counted(house: IngestHouse) -> None:
    [record] = house.batch()
    [made] = generated(house, record)
    house.issue()
    house.hear(stated(StageName.PROTOCOL, made), failed(record, StageName.DISPATCH, permanent=True))
    house.tell(CancelBatch(**about()))
    assert cancelled(house.go_on()).registered_not_sent == 1


def test_a_position_whose_answer_was_lost_is_withdrawn_too(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(failed(record, code="pagopa-no-answer"))
    house.tell(CancelBatch(**about()))
    assert withdrawals(house.go_on()) == [2]


def test_a_notice_to_be_handed_over_by_hand_was_not_sent(house: IngestHouse) -> None:
    house.batch(register=False, delivery=Delivery(channel=Channel.PEC))
    for command in house.issue():
        house.hear(*answers(command))
    assert house.row().state == RowState.FINISHED
    house.tell(CancelBatch(**about()))
    assert withdrawals(house.go_on()) == [2]
    assert house.row().state == RowState.CANCELLED


def test_what_the_debtor_paid_stands_and_the_batch_is_cancelled_all_the_same(house: IngestHouse) -> None:
    [record] = house.batch()
    for command in house.issue():
        house.hear(*answers(command))
    house.tell(CancelBatch(**about()))
    house.service.tick()
    house.service.tick()
    [command] = [each for each in house.out.take() if isinstance(each, WithdrawPosition)]
    house.hear(failed(record, issue=command.issue, code="already-paid", permanent=True))
    heard = house.go_on()
    assert withdrawals(heard) == []
    assert cancelled(heard).withdrawn == 0
    assert (house.row().state, house.row().code) == (RowState.CANCELLED, "already-paid")


def test_a_paused_batch_can_be_cancelled(house: IngestHouse) -> None:
    house.batch()
    for command in house.issue():
        house.hear(*answers(command))
    house.tell(PauseBatch(**about()))
    house.tell(CancelBatch(**about()))
    assert withdrawals(house.go_on()) == [2]
    assert house.stored().cancelled


def test_a_batch_that_is_sent_can_be_cancelled(house: IngestHouse) -> None:
    house.batch()
    house.go_on()
    house.tell(CancelBatch(**about()))
    assert cancelled(house.go_on()).sent == 1


def test_a_withdrawal_that_was_parked_is_retried_in_a_cancelled_batch(house: IngestHouse) -> None:
    [record] = house.batch()
    for command in house.issue():
        house.hear(*answers(command))
    house.tell(CancelBatch(**about()))
    house.service.tick()
    command = house.issue_one()
    assert isinstance(command, WithdrawPosition)
    house.hear(failed(record, issue=command.issue, code="withdraw-pagopa-unwell", permanent=True))
    assert cancelled(house.go_on()).withdrawn == 0
    [answer] = house.tell(RetryRecords(**about()))
    assert isinstance(answer, CommandTaken)
    heard = house.go_on()
    assert withdrawals(heard) == [2]
    assert cancelled(heard).withdrawn == 1
    assert house.row().state == RowState.CANCELLED


def test_a_correction_that_waits_for_a_withdrawal_ends_with_its_batch(house: IngestHouse) -> None:
    [record] = house.batch()
    for command in house.issue():
        house.hear(*answers(command))
    house.tell(CorrectRecord(**about(record_id=record.id, orders=Orders(), correction={"amount_cents": 1})))
    house.tell(CancelBatch(**about()))
    heard = house.go_on()
    assert [each.orders.iuv for each in heard if isinstance(each, WithdrawPosition)] == [1, 2]
    assert house.row().state == RowState.CANCELLED


def test_an_end_of_cancelling_that_a_crash_left_unsaid_is_said(house: IngestHouse) -> None:
    house.batch()
    house.tell(CancelBatch(**about()))
    house.service.closing.tick()
    house.out.take()
    house.out.away = True
    with pytest.raises(ConnectionError):
        house.service.closing.tick()
    house.crash()
    house.out.away = False
    assert cancelled(house.go_on()).batch_id == BATCH


def test_cancelling_one_batch_leaves_the_others_alone(house: IngestHouse) -> None:
    house.batch()
    other = uuid4()
    house.batch(batch_id=other)
    house.tell(CancelBatch(**about(other)))
    assert ends(house.go_on()).count(BatchSent) == 1
    assert house.row().state == RowState.FINISHED


def test_what_is_not_answered_after_the_longest_lease_is_counted_and_settled_later(house: IngestHouse) -> None:
    house.batch((2, 3), until=Phase.GENERATE)
    late, other = house.issue()
    house.hear(*answers(other))
    house.tell(CancelBatch(**about()))
    said = house.go_on()
    assert ends(said) == []
    house.clock.forward(minutes=16)
    [end] = [each for each in house.go_on() if isinstance(each, BatchCancelled)]
    assert (end.unanswered, end.withdrawn) == (1, 1)
    assert house.service.unsettled() == [BATCH]
    house.hear(*answers(late))
    [end] = [each for each in house.go_on() if isinstance(each, BatchCancelled)]
    assert (end.unanswered, end.withdrawn) == (0, 2)
