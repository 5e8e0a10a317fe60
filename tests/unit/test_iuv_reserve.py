"""Numbers: in order, once, never given back."""

from __future__ import annotations

import threading
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select, update
from structlog.testing import capture_logs

from services.iuv.model import NoticeCode
from services.iuv.ports import Unreachable
from services.iuv.tables import BurntNumber, IuvCounter, IuvRow, burnt_count
from shared.bus.runner import StageRunner
from shared.contracts.commands import AssignIuv
from shared.contracts.facts import IuvAssigned, RecordFact, StageFailed
from shared.db.insert import insert_missing
from shared.ids import iupd
from shared.stage import Done, Permanent, Transient
from shared.wiring import StageService
from tests.fakes import Out, delivered
from tests.iuv_hand import CREDITOR, FakePositions, a_debt, a_hand, the_creditor


def test_numbers_follow_the_order_of_record_ids(tmp_path: Path) -> None:
    hand = a_hand(tmp_path, iuv_start=500)
    records = [a_debt(row) for row in range(2, 22)]
    hand.reserve(*records)
    by_id = [hand.row(record).number for record in sorted(records, key=lambda each: each.id)]
    assert by_id == list(range(500, 520))


def test_a_row_has_the_code_of_its_number_and_the_iupd_of_its_order(tmp_path: Path) -> None:
    hand = a_hand(tmp_path)
    record = a_debt()
    hand.reserve(record, order=3)
    row = hand.row(record, 3)
    assert (row.number, row.nav, row.iupd) == (1, NoticeCode.of("12", 1).nav, iupd(record.id, 3))


def test_a_repeat_keeps_its_number(tmp_path: Path) -> None:
    hand = a_hand(tmp_path)
    first, second = a_debt(2), a_debt(3)
    hand.reserve(first)
    number = hand.row(first).number
    hand.reserve(first, second)
    assert (hand.row(first).number, hand.row(second).number) == (number, 2)


def test_two_workers_at_once_never_share_a_number(tmp_path: Path) -> None:
    hand = a_hand(tmp_path)
    threads = [
        threading.Thread(target=hand.reserve, args=[a_debt(row) for row in range(start, start + 10)])
        for start in range(2, 82, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with hand.database.read() as session:
        numbers = sorted(session.exec(select(IuvRow.number)).all(), key=lambda number: number or 0)
    assert numbers == list(range(1, 81))


def test_a_start_that_is_raised_moves_the_counter_on_and_a_lowered_one_never_back(tmp_path: Path) -> None:
    a_hand(tmp_path, iuv_start=10).reserve(a_debt(2))
    raised = a_hand(tmp_path, iuv_start=1000)
    raised.reserve(a_debt(3))
    lowered = a_hand(tmp_path, iuv_start=1)
    lowered.reserve(a_debt(4))
    assert [lowered.row(a_debt(row)).number for row in (2, 3, 4)] == [10, 1000, 1001]


def test_a_counter_that_is_behind_its_ledger_goes_on_after_the_last_number_there(tmp_path: Path) -> None:
    """The counter's table alone was restored: each number that it would give is a record's already."""
    hand = a_hand(tmp_path, iuv_start=500)
    hand.assign(*[a_debt(row) for row in range(2, 7)])
    with hand.database.write() as session:
        session.connection().execute(update(IuvCounter).values(next_number=501))
    out = Out()
    runner = StageRunner(StageService(hand.database, hand.stage, frozenset({AssignIuv})), out, "worker")
    with capture_logs() as logs:
        runner.handle([delivered(AssignIuv(record=a_debt(row))) for row in (7, 8)])
        runner.handle([delivered(AssignIuv(record=a_debt(9)))])
    runner.close()
    assert [type(fact) for fact in out.take() if isinstance(fact, RecordFact | StageFailed)] == [IuvAssigned] * 3
    assert sorted(hand.row(a_debt(row)).number or 0 for row in (7, 8, 9)) == [505, 506, 507]
    assert [line["behind"] for line in logs if line["event"] == "iuv.counter_behind"] == [4]


def test_what_another_constraint_refuses_is_an_error_and_no_other_workers_row(tmp_path: Path) -> None:
    hand = a_hand(tmp_path)
    hand.reserve(a_debt(2))
    standing = hand.row(a_debt(2))
    other = IuvRow(**{**standing.model_dump(), "record_id": UUID(int=7), "iupd": "another"})
    with hand.database.write() as session:
        assert insert_missing(session, [standing]) == 0
    with pytest.raises(IntegrityError), hand.database.write() as session:
        insert_missing(session, [other])


def test_rows_beyond_the_range_are_parked_and_their_neighbours_go_on(tmp_path: Path) -> None:
    hand = a_hand(tmp_path, iuv_start=8, iuv_end=9)
    outcomes = hand.assign(*[a_debt(row) for row in range(2, 6)])
    assert outcomes.count(Permanent("iuv-range-exhausted")) == 2
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 2


def test_a_row_that_found_the_range_used_up_gets_a_number_when_it_is_retried_in_a_wider_one(tmp_path: Path) -> None:
    record = a_debt(3)
    narrow = a_hand(tmp_path, iuv_end=1)
    narrow.assign(a_debt(2))
    assert narrow.assign(record) == [Permanent("iuv-range-exhausted")]
    assert narrow.assign(record, issue=2) == [Permanent("iuv-range-exhausted")]
    wider = a_hand(tmp_path, iuv_end=100)
    assert isinstance(wider.assign(record, issue=3)[0], Done)
    assert wider.row(record).number == 2


def test_a_number_that_is_somebody_elses_is_burnt_and_counted(tmp_path: Path) -> None:
    positions = FakePositions(taken={NoticeCode.of("12", 1).iuv, NoticeCode.of("12", 2).iuv})
    hand = a_hand(tmp_path, positions)
    record = a_debt()
    (outcome,) = hand.assign(record)
    assert isinstance(outcome, Done)
    assert hand.row(record).number == 3
    with hand.database.read() as session:
        burnt = session.exec(select(BurntNumber)).all()
        assert {(number.nav, number.code) for number in burnt} == {
            (NoticeCode.of("12", number).nav, "iuv-taken") for number in (1, 2)
        }
        assert burnt_count(session, the_creditor().creditors[CREDITOR]) == 2


def test_a_creditor_or_payment_type_that_is_not_configured_parks_the_record(tmp_path: Path) -> None:
    hand = a_hand(tmp_path)
    assert hand.assign(a_debt(2).model_copy(update={"creditor": "c_y000"})) == [Permanent("creditor-unknown")]
    assert hand.assign(a_debt(3, payment_type="palestra")) == [Permanent("payment-type-unknown")]


def test_after_an_outage_of_one_lane_the_rest_of_the_handful_is_not_asked(tmp_path: Path) -> None:
    positions = FakePositions(answers=[Unreachable() for _ in range(50)])
    outcomes = a_hand(tmp_path, positions).assign(*[a_debt(row) for row in range(2, 22)])
    assert len(positions.opened) == 5
    assert outcomes.count(Transient("pagopa-unreachable", lane=True)) == 5
