"""What people decide: each command counts once, is answered, and can be said again after any crash."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.ingest.model import RowState, Step
from services.ingest.refusals import REFUSALS
from shared.bus.topology import Topology
from shared.bus.users import users
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import (
    AssignIuv,
    BatchCommand,
    CancelBatch,
    CorrectRecord,
    DispatchNotice,
    GenerateNotices,
    Message,
    PauseBatch,
    PreviewRecord,
    RegisterNotice,
    Restate,
    ResumeBatch,
    RetryRecords,
    SendNotices,
)
from shared.contracts.facts import (
    BatchAllowed,
    BatchCancelled,
    BatchGenerated,
    BatchIngested,
    BatchPaused,
    BatchResumed,
    BatchSent,
    CommandRefused,
    CommandTaken,
    PreviewRendered,
    RecordParked,
    RecordsAccepted,
    Restated,
)
from shared.contracts.record import Delivery, Orders, Record, SectionState
from tests.builders import BATCH
from tests.fakes import delivered
from tests.ingest_house import IngestHouse, a_letter, about, answers, failed, stated


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def answer(house: IngestHouse, command: BatchCommand) -> CommandTaken | CommandRefused:
    """What a command is answered; the last word that is said to it."""
    *_, last = house.tell(command)
    assert isinstance(last, CommandTaken | CommandRefused)
    assert last.command_id == command.command_id
    return last


def refusal(house: IngestHouse, command: BatchCommand) -> str:
    refused = answer(house, command)
    assert isinstance(refused, CommandRefused)
    assert refused.message == REFUSALS[refused.code]
    return refused.code


def kinds(messages: list[Message]) -> set[type]:
    return {type(message) for message in messages}


def correcting(record: Record, orders: Orders | None = None, **values: Any) -> CorrectRecord:
    return CorrectRecord(**about(record_id=record.id, orders=orders or Orders(), correction=values))


# -- phases


def test_generating_and_sending_are_allowed_one_after_the_other(house: IngestHouse) -> None:
    house.batch(until=Phase.PREVIEW)
    assert refusal(house, SendNotices(**about())) == "generate-first"
    allowed, taken = house.tell(GenerateNotices(**about()))
    assert isinstance(allowed, BatchAllowed)
    assert (allowed.until, type(taken)) == (Phase.GENERATE, CommandTaken)
    assert isinstance(house.issue_one(), AssignIuv)
    house.tell(SendNotices(**about()))
    assert house.stored().until == Phase.SEND


def test_a_phase_is_never_taken_back(house: IngestHouse) -> None:
    house.batch(until=Phase.SEND)
    allowed, _ = house.tell(GenerateNotices(**about()))
    assert isinstance(allowed, BatchAllowed)
    assert allowed.until is Phase.SEND


def test_pausing_and_resuming_are_told_with_rising_revisions(house: IngestHouse) -> None:
    house.batch()
    paused, _ = house.tell(PauseBatch(**about()))
    resumed, _ = house.tell(ResumeBatch(**about()))
    assert isinstance(paused, BatchPaused)
    assert isinstance(resumed, BatchResumed)
    assert resumed.revision > paused.revision


# -- once


def test_a_command_that_comes_twice_counts_once_and_all_is_said_again(house: IngestHouse) -> None:
    house.batch()
    command = PauseBatch(**about())
    house.tell(command)
    house.tell(ResumeBatch(**about()))
    again = house.tell(command)
    assert not house.stored().paused
    assert BatchResumed in kinds(again)
    assert again[-1] == CommandTaken(command_id=command.command_id, batch_id=BATCH)


def test_a_refused_command_that_comes_twice_is_refused_twice(house: IngestHouse) -> None:
    house.batch(until=Phase.PREVIEW)
    command = SendNotices(**about())
    first = house.tell(command)
    house.tell(GenerateNotices(**about()))
    assert house.tell(command) == first


def test_two_people_who_correct_the_same_record_count_once(house: IngestHouse) -> None:
    [record] = house.batch()
    house.go_on()
    assert isinstance(answer(house, correcting(record, address="nuova@pec.example")), CommandTaken)
    assert refusal(house, correcting(record, address="altra@pec.example")) == "orders-moved"


def test_a_crash_before_the_answer_went_out_loses_nothing(house: IngestHouse) -> None:
    [record] = house.batch()
    command = correcting(record, amount_cents=1)
    house.out.away = True
    with pytest.raises(ConnectionError):
        house.tell(command)
    house.crash()
    house.out.away = False
    said = house.tell(command)
    [rows] = [each for each in said if isinstance(each, RecordsAccepted)]
    assert rows.records[0].record.payment.amount_cents == 1
    assert isinstance(said[-1], CommandTaken)


def test_an_outage_of_the_broker_keeps_what_was_to_be_said(house: IngestHouse) -> None:
    house.batch()
    command = PauseBatch(**about())
    house.out.away = True
    with pytest.raises(ConnectionError):
        house.tell(command)
    house.out.away = False
    assert kinds(house.tell(command)) >= {BatchPaused, CommandTaken}


# -- refusals


@pytest.mark.parametrize("kind", [GenerateNotices, SendNotices, PauseBatch, ResumeBatch, CancelBatch, RetryRecords])
def test_a_batch_that_nobody_knows_is_refused(house: IngestHouse, kind: type[BatchCommand]) -> None:
    assert refusal(house, kind(**about())) == "unknown-batch"


@pytest.mark.parametrize("flag", [{"ingested": False}, {"merging": True}])
def test_a_batch_that_is_being_read_is_not_ready(house: IngestHouse, flag: dict[str, bool]) -> None:
    house.batch()
    batch = house.stored()
    for name, value in flag.items():
        setattr(batch, name, value)
    with house.service.database.write() as session:
        session.add(batch)
    assert refusal(house, PauseBatch(**about())) == "batch-not-ready"


def test_a_cancelled_batch_cannot_be_changed(house: IngestHouse) -> None:
    house.batch()
    house.tell(CancelBatch(**about()))
    assert refusal(house, SendNotices(**about())) == "batch-cancelled"
    house.go_on()
    assert refusal(house, ResumeBatch(**about())) == "batch-cancelled"


def test_a_record_of_another_batch_is_unknown(house: IngestHouse) -> None:
    house.batch()
    [other] = house.batch(batch_id=uuid4())
    assert refusal(house, correcting(other)) == "unknown-record"


def test_a_record_in_flight_is_not_corrected(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    assert refusal(house, correcting(record, amount_cents=1)) == "in-flight"


def test_a_record_in_doubt_is_not_corrected(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(stated(StageName.PROTOCOL, answers(AssignIuv(record=record))[-1].record, state=SectionState.UNCERTAIN))
    house.hear(*answers(AssignIuv(record=record)))
    assert house.row().state == RowState.UNCERTAIN
    assert refusal(house, correcting(record)) == "in-doubt"


@pytest.mark.parametrize(
    "values",
    [
        {"amount_cents": 0}, {"name": ""}, {"name": "名前"}, {"reason": "€" * 140 + "x"}, {"reason": "emoji \U0001f600"},
        {"fiscal_code": "RSSMRA85T50H501X"}, {"fiscal_code": "12345678901"}, {"address": "nowhere"},
        {"address": "a@b@c.example"}, {"due_date": date(2026, 11, 23)}, {"subject": ""},
    ],
)  # fmt: skip
def test_values_that_the_spreadsheet_would_not_let_in_are_no_correction(
    house: IngestHouse, values: dict[str, Any]
) -> None:
    [record] = house.batch()
    assert refusal(house, correcting(record, **values)) == "correction-invalid"
    assert house.row().whole == record


# -- corrections


def test_a_correction_before_the_first_issue_changes_the_row_and_no_order(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.PREVIEW)
    said = house.tell(correcting(record, amount_cents=1))
    [rows] = [each for each in said if isinstance(each, RecordsAccepted)]
    [told] = rows.records
    assert (told.record.payment.amount_cents, told.orders) == (1, Orders())
    assert told.revision > 1
    assert house.stored().revision == told.revision


def test_the_letter_of_a_corrected_row_is_made_anew(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.PREVIEW, letter="scuolabus")
    house.issue()
    house.hear(PreviewRendered(batch_id=BATCH, record_id=record.id, letter=a_letter()))
    house.tell(correcting(record, amount_cents=1))
    command = house.issue_one()
    assert isinstance(command, PreviewRecord)
    assert command.record.payment.amount_cents == 1
    house.hear(PreviewRendered(batch_id=BATCH, record_id=record.id, revision=1, letter=a_letter()))
    assert house.row().previewed is None


def test_a_resend_goes_to_dispatch_alone(house: IngestHouse) -> None:
    [record] = house.batch()
    house.go_on()
    house.tell(correcting(record))
    command = house.issue_one()
    assert isinstance(command, DispatchNotice)
    assert command.orders == Orders(dispatch=2)
    assert command.record.registration is not None


def test_a_corrected_subject_is_registered_anew(house: IngestHouse) -> None:
    [record] = house.batch()
    house.go_on()
    house.tell(correcting(record, subject="Avviso corretto"))
    command = house.issue_one()
    assert isinstance(command, RegisterNotice)
    assert command.orders == Orders(protocol=2, dispatch=2)


def test_a_corrected_address_of_a_record_without_a_notice_does_not_send_it_before_its_time(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(stated(StageName.IUV, record), failed(record, StageName.RENDER, permanent=True))
    house.tell(correcting(record, address="nuova@pec.example"))
    assert (house.row().step, house.row().phase) == (Step.RENDER, Phase.GENERATE)
    assert isinstance(house.issue_one(), AssignIuv)


def test_a_record_without_an_address_is_not_resent_but_goes_out_once_it_has_one(house: IngestHouse) -> None:
    [record] = house.batch(delivery=Delivery(channel=Channel.AUTO))
    house.issue()
    house.hear(*answers(AssignIuv(record=record)))
    registering = house.issue_one()
    house.hear(answers(registering)[0])
    assert house.row().code == "by-hand"
    assert refusal(house, correcting(record)) == "address-missing"
    house.tell(correcting(record, address="Maria.Rossi@PEC.esempio.example"))
    command = house.issue_one()
    assert isinstance(command, DispatchNotice)
    assert command.record.delivery == Delivery(channel=Channel.PEC, address="Maria.Rossi@pec.esempio.example")


def test_a_new_address_decides_the_channel_where_the_batch_says_so(house: IngestHouse) -> None:
    [record] = house.batch()
    house.go_on()
    house.tell(correcting(record, address="maria@example.org"))
    assert house.issue_one().record.delivery.channel is Channel.EMAIL


def test_a_channel_that_a_person_chose_stands(house: IngestHouse) -> None:
    [record] = house.batch()
    house.go_on()
    house.tell(correcting(record, address="maria@example.org", channel=Channel.PEC))
    assert house.issue_one().record.delivery.channel is Channel.PEC


def test_what_was_paid_is_not_corrected(house: IngestHouse) -> None:
    [record] = house.batch()
    house.go_on()
    house.tell(correcting(record, amount_cents=1))
    command = house.issue_one()
    house.hear(failed(record, issue=command.issue, code="already-paid", permanent=True))
    assert refusal(house, correcting(record, amount_cents=2)) == "already-paid"
    assert isinstance(answer(house, correcting(record)), CommandTaken)


def test_a_refused_position_is_opened_anew_without_a_withdrawal(house: IngestHouse) -> None:
    [record] = house.batch()
    house.issue()
    house.hear(stated(StageName.IUV, record, state=SectionState.REFUSED, code="pagopa-rejected"))
    house.tell(correcting(record, name="Verdi Anna"))
    command = house.issue_one()
    assert isinstance(command, AssignIuv)
    assert command.orders.iuv == 2


# -- retrying


def parked(house: IngestHouse, *rows: int) -> list[Record]:
    records = house.batch(rows)
    house.issue()
    house.hear(*(failed(record, permanent=True) for record in records))
    return records


def test_all_parked_records_are_retried(house: IngestHouse) -> None:
    parked(house, 2, 3, 4)
    assert isinstance(answer(house, RetryRecords(**about())), CommandTaken)
    assert [command.record.row for command in house.issue()] == [2, 3, 4]
    assert house.row().attempts == 0


def test_named_records_are_retried_where_they_are_parked(house: IngestHouse) -> None:
    first, second, _ = parked(house, 2, 3, 4)
    taken = answer(house, RetryRecords(**about(record_ids=[first.id, uuid4()])))
    assert isinstance(taken, CommandTaken)
    assert taken.record_ids == [first.id]
    assert [command.record.id for command in house.issue()] == [first.id]
    assert house.row(second.row).state == RowState.PARKED


def test_a_great_many_named_records_are_retried(house: IngestHouse) -> None:
    records = parked(house, 2)
    house.tell(RetryRecords(**about(record_ids=[*(uuid4() for _ in range(1500)), records[0].id])))
    assert len(house.issue()) == 1


# -- restating


MAY_STATE = next(user.keys["facts"] for user in users(Topology()) if user.name == "ingest")


def restated(house: IngestHouse, *batch_ids: UUID) -> list[Message]:
    request = uuid4()
    house.service.take_control([delivered(Restate(request_id=request, batch_ids=list(batch_ids) or None))])
    envelopes = house.out.take_envelopes()
    assert all(envelope.restated for envelope in envelopes[:-1])
    refused = [envelope.key for envelope in envelopes if not re.match(MAY_STATE, envelope.key)]
    assert not refused  # RabbitMQ would close the channel, and the request be tried for ever
    *said, last = [envelope.message() for envelope in envelopes]
    assert last == Restated(service="ingest", request_id=request)
    return said


def test_an_outage_keeps_one_repetition_however_often_it_is_tried(house: IngestHouse) -> None:
    house.batch()
    told = len(restated(house)) + 1
    again = [delivered(Restate(request_id=uuid4()))]
    house.out.away = True
    for _ in range(5):
        with pytest.raises(ConnectionError):
            house.service.take_control(again)
    house.out.away = False
    house.service.take_control(again)
    assert told < len(house.out.take_envelopes()) < 2 * told


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda _: None, {BatchIngested, BatchAllowed, BatchResumed, RecordsAccepted}),
        (lambda house: house.tell(PauseBatch(**about())), {BatchPaused}),
        (lambda house: house.go_on(), {BatchGenerated, BatchSent}),
        (lambda house: (house.tell(CancelBatch(**about())), house.go_on()), {BatchCancelled}),
        (lambda house: (house.issue(), house.hear(failed(house.row().whole, permanent=True))), {RecordParked}),
    ],
)
def test_all_that_ingest_knows_can_be_told_again(
    house: IngestHouse, make: Callable[[IngestHouse], object], expected: set[type]
) -> None:
    house.batch()
    make(house)
    house.crash()
    assert kinds(restated(house)) >= expected


def test_a_cancelled_batch_is_told_again_with_its_counts(house: IngestHouse) -> None:
    house.batch()
    house.go_on()
    house.tell(CancelBatch(**about()))
    first = [each for each in house.go_on() if isinstance(each, BatchCancelled)]
    assert [each for each in restated(house) if isinstance(each, BatchCancelled)] == first
    assert first[0].sent == 1


def test_letters_that_were_made_are_told_again_for_nobody_else_keeps_them(house: IngestHouse) -> None:
    [record] = house.batch(until=Phase.PREVIEW, letter="scuolabus")
    shown = PreviewRendered(batch_id=BATCH, record_id=record.id, letter=a_letter())
    house.issue()
    house.hear(shown)
    assert [each for each in restated(house) if isinstance(each, PreviewRendered)] == [shown]


def test_only_the_batches_that_were_asked_for_are_told_again(house: IngestHouse) -> None:
    house.batch()
    other = uuid4()
    house.batch(batch_id=other)
    told = [each for each in restated(house, other) if isinstance(each, BatchIngested)]
    assert [each.batch_id for each in told] == [other]


def test_a_large_batch_is_told_again_in_chunks_and_nothing_is_done(house: IngestHouse) -> None:
    house.batch(range(2, 452))
    chunks = [each for each in restated(house) if isinstance(each, RecordsAccepted)]
    assert [len(chunk.records) for chunk in chunks] == [200, 200, 50]
    assert house.row().state == RowState.READY
