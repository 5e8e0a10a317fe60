"""Withdrawals: what they answer, and what they leave in the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.iuv.model import PositionStatus
from services.iuv.ports import NoAnswer, Unreachable
from shared.contracts.facts import PositionWithdrawn, StageDeferred, StageFailed
from shared.contracts.record import Position, Record, SectionState
from shared.db.ledger import LedgerState
from shared.ids import iupd
from shared.stage import Done
from tests.iuv_hand import FakePositions, Hand, a_debt, a_hand, withdraw, withdrawals

LATER = datetime.now(UTC) + timedelta(minutes=10)


def opened(hand: Hand, record: Record) -> Record:
    """The record with its position."""
    (outcome,) = hand.assign(record)
    assert isinstance(outcome, Done)
    assert isinstance(outcome.section, Position)
    return record.model_copy(update={"position": outcome.section})


def test_an_open_position_is_withdrawn_once_and_told_each_time(tmp_path: Path) -> None:
    positions = FakePositions()
    hand = a_hand(tmp_path, positions)
    record = opened(hand, a_debt())
    handler = withdrawals(hand, positions, LATER)
    (first,), (second,) = handler(withdraw(record)), handler(withdraw(record))
    assert isinstance(first, PositionWithdrawn)
    assert first == second
    assert first.record.position is not None
    assert first.record.position.state is SectionState.WITHDRAWN
    assert record.position is not None
    assert first.record.position.notice_code == record.position.notice_code
    assert positions.positions[iupd(record.id, 1)].status is PositionStatus.INVALID
    assert hand.row(record).state == LedgerState.WITHDRAWN


def test_the_order_of_the_section_is_withdrawn_not_the_one_that_follows(tmp_path: Path) -> None:
    positions = FakePositions()
    hand = a_hand(tmp_path, positions)
    record = opened(hand, a_debt())
    hand.assign(record, order=2)
    withdrawals(hand, positions, LATER)(withdraw(record, order=2))
    assert (hand.row(record).state, hand.row(record, 2).state) == (LedgerState.WITHDRAWN, LedgerState.DONE)


def test_a_paid_position_stands_and_is_told_as_paid(tmp_path: Path) -> None:
    positions = FakePositions()
    hand = a_hand(tmp_path, positions)
    record = opened(hand, a_debt())
    positions.change(iupd(record.id, 1), status=PositionStatus.PAID)
    (fact,) = withdrawals(hand, positions, LATER)(withdraw(record))
    assert isinstance(fact, StageFailed)
    assert (fact.code, fact.permanent) == ("already-paid", True)
    assert hand.row(record).state == LedgerState.DONE


@pytest.mark.parametrize("status", [PositionStatus.INVALID, PositionStatus.EXPIRED, PositionStatus.DRAFT])
def test_what_nobody_can_pay_any_more_counts_as_withdrawn(tmp_path: Path, status: PositionStatus) -> None:
    positions = FakePositions()
    hand = a_hand(tmp_path, positions)
    record = opened(hand, a_debt())
    positions.change(iupd(record.id, 1), status=status)
    (fact,) = withdrawals(hand, positions, LATER)(withdraw(record))
    assert isinstance(fact, PositionWithdrawn)
    if status is PositionStatus.DRAFT:
        assert positions.positions[iupd(record.id, 1)].status is PositionStatus.INVALID


def test_a_lost_answer_is_looked_up(tmp_path: Path) -> None:
    positions = FakePositions()
    hand = a_hand(tmp_path, positions)
    record = opened(hand, a_debt())
    positions.after = [NoAnswer()]
    (fact,) = withdrawals(hand, positions, LATER)(withdraw(record))
    assert isinstance(fact, PositionWithdrawn)


def test_an_outage_leaves_all_as_it_was(tmp_path: Path) -> None:
    positions = FakePositions()
    hand = a_hand(tmp_path, positions)
    record = opened(hand, a_debt())
    positions.answers = [Unreachable()]
    (fact,) = withdrawals(hand, positions, LATER)(withdraw(record))
    assert isinstance(fact, StageFailed)
    assert (fact.code, fact.permanent) == ("withdraw-pagopa-unreachable", False)
    assert hand.row(record).state == LedgerState.DONE


def test_a_position_that_may_be_opening_now_is_withdrawn_later(tmp_path: Path) -> None:
    positions = FakePositions()
    hand, record = a_hand(tmp_path, positions), a_debt()
    hand.reserve(record)
    (fact,) = withdrawals(hand, positions, datetime.now(UTC))(withdraw(record))
    assert isinstance(fact, StageDeferred)
    assert fact.code == "still-opening"
    (later,) = withdrawals(hand, positions, fact.until)(withdraw(record))
    assert isinstance(later, PositionWithdrawn)
    assert hand.row(record).state == LedgerState.WITHDRAWN


def test_what_was_never_asked_for_leaves_a_tombstone(tmp_path: Path) -> None:
    positions = FakePositions()
    hand, record = a_hand(tmp_path, positions), a_debt()
    (fact,) = withdrawals(hand, positions, LATER)(withdraw(record))
    assert isinstance(fact, PositionWithdrawn)
    assert hand.row(record).state == LedgerState.WITHDRAWN


def test_a_creditor_that_is_not_configured_is_said(tmp_path: Path) -> None:
    positions = FakePositions()
    record = a_debt().model_copy(update={"creditor": "c_y000"})
    (fact,) = withdrawals(a_hand(tmp_path, positions), positions, LATER)(withdraw(record))
    assert isinstance(fact, StageFailed)
    assert (fact.code, fact.permanent) == ("creditor-unknown", True)
