"""What the stage makes of what pagoPA says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.iuv.model import PositionStatus
from services.iuv.ports import (
    KeyRefused,
    NoAnswer,
    PagoPaError,
    TooManyCalls,
    Unacceptable,
    Unreachable,
    Unwell,
)
from shared.contracts.record import Position, SectionState
from shared.ids import iupd
from shared.stage import Deferred, Done, Outcome, Permanent, Refused, Transient
from tests.iuv_hand import FakePositions, a_debt, a_hand


def test_an_opened_position_is_told_whole(tmp_path: Path) -> None:
    hand, record = a_hand(tmp_path), a_debt()
    (outcome,) = hand.assign(record, order=2)
    row = hand.row(record, 2)
    assert row.nav is not None
    assert outcome == Done(
        Position(order=2, state=SectionState.DONE, iupd=iupd(record.id, 2), iuv=row.nav[1:], notice_code=row.nav)
    )


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unreachable(), Transient("pagopa-unreachable", lane=True)),
        (TooManyCalls(), Transient("pagopa-too-many-calls", lane=True)),
        (Unwell("pagopa-503"), Transient("pagopa-503", lane=True)),
        (KeyRefused("pagopa-key-refused"), Transient("pagopa-key-refused", lane=True, shut=True)),
    ],
)
def test_an_error_says_what_happens_next(tmp_path: Path, error: PagoPaError, outcome: Outcome) -> None:
    assert a_hand(tmp_path, FakePositions(answers=[error])).assign(a_debt()) == [outcome]


def test_when_pagopa_says_when_the_record_waits_until_then_but_no_longer_than_an_hour(tmp_path: Path) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    positions = FakePositions(answers=[TooManyCalls(soon)])
    hand = a_hand(tmp_path, positions)
    assert hand.assign(a_debt()) == [Deferred(soon, "pagopa-too-many-calls")]
    positions.answers = [Unwell("pagopa-503", soon + timedelta(days=30))]
    (late,) = hand.assign(a_debt(3))
    assert isinstance(late, Deferred)
    assert late.until <= datetime.now(UTC) + timedelta(hours=1)


def test_a_rejected_request_is_refused_in_words_for_the_clerk(tmp_path: Path) -> None:
    rejected = Unacceptable("pagopa-rejected")
    hand = a_hand(tmp_path, FakePositions(answers=[rejected, rejected]))
    (outcome,) = hand.assign(a_debt())
    assert isinstance(outcome, Refused)
    assert outcome.code == "pagopa-rejected"
    assert outcome.detail.startswith("pagoPA non accetta i dati di questo avviso")
    yesterday = datetime.now(UTC).date() - timedelta(days=2)
    (late,) = hand.assign(a_debt(3, due=yesterday))
    assert isinstance(late, Refused)
    assert late.code == "due-date-past"


def test_a_lost_answer_is_looked_up_at_once(tmp_path: Path) -> None:
    positions = FakePositions(after=[NoAnswer()])
    assert isinstance(a_hand(tmp_path, positions).assign(a_debt())[0], Done)
    assert len(positions.opened) == 1


def test_what_never_arrived_is_opened_by_the_repeat_under_the_same_number(tmp_path: Path) -> None:
    positions = FakePositions(answers=[NoAnswer()])
    hand, record = a_hand(tmp_path, positions), a_debt()
    assert hand.assign(record) == [Transient("pagopa-no-answer", lane=True)]
    number = hand.row(record).number
    assert isinstance(hand.assign(record)[0], Done)
    assert hand.row(record).number == number


def test_what_arrived_after_all_is_not_opened_again(tmp_path: Path) -> None:
    positions = FakePositions(after=[NoAnswer()])
    hand, record = a_hand(tmp_path, positions), a_debt()
    ((work, _),) = hand.reserve(record)
    positions.after, positions.answers = [NoAnswer()], []
    hand.stage.act([work])  # and the process dies before it records
    assert isinstance(hand.assign(record)[0], Done)
    assert len(positions.opened) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"iuv": "12000000000009999"},
        {"amount_cents": 1},
        {"due": datetime(2031, 1, 1, tzinfo=UTC)},
        {"due": None},
        {"fingerprint": "another debtor"},
    ],
)
def test_a_position_with_other_values_is_never_taken_for_ours(tmp_path: Path, change: dict[str, Any]) -> None:
    positions = FakePositions(after=[NoAnswer()])
    hand, record = a_hand(tmp_path, positions), a_debt()
    ((work, _),) = hand.reserve(record)
    hand.stage.act([work])
    positions.change(iupd(record.id, 1), **change)
    assert hand.assign(record) == [Permanent("position-differs")]


def test_a_position_without_our_mark_is_judged_by_the_rest(tmp_path: Path) -> None:
    positions = FakePositions()
    hand, record = a_hand(tmp_path, positions), a_debt()
    ((work, _),) = hand.reserve(record)
    hand.stage.act([work])
    positions.change(iupd(record.id, 1), fingerprint="")
    assert isinstance(hand.assign(record)[0], Done)


def test_a_draft_is_published(tmp_path: Path) -> None:
    positions = FakePositions(status=PositionStatus.DRAFT)
    record = a_debt()
    assert isinstance(a_hand(tmp_path, positions).assign(record)[0], Done)
    assert positions.positions[iupd(record.id, 1)].status is PositionStatus.VALID


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (PositionStatus.PUBLISHED, lambda outcome: isinstance(outcome, Done)),
        (PositionStatus.PAID, lambda outcome: isinstance(outcome, Done)),
        (PositionStatus.INVALID, lambda outcome: outcome == Permanent("position-invalid")),
        (PositionStatus.EXPIRED, lambda outcome: outcome == Permanent("position-expired")),
    ],
)
def test_what_is_found_is_judged_by_its_status(
    tmp_path: Path, status: PositionStatus, expected: Callable[[Outcome], bool]
) -> None:
    positions = FakePositions()
    hand, record = a_hand(tmp_path, positions), a_debt()
    ((work, _),) = hand.reserve(record)
    hand.stage.act([work])
    positions.change(iupd(record.id, 1), status=status)
    assert expected(hand.assign(record)[0])


def test_the_same_order_with_other_values_has_another_fingerprint(tmp_path: Path) -> None:
    hand = a_hand(tmp_path)
    hand.reserve(a_debt(2))
    hand.reserve(a_debt(2, amount_cents=1), order=2)
    assert hand.row(a_debt(2)).fingerprint != hand.row(a_debt(2), 2).fingerprint


def test_a_handful_has_an_end_and_what_did_not_start_waits(tmp_path: Path) -> None:
    silent = threading.Event()
    positions = FakePositions(silent=silent)
    hand = a_hand(tmp_path, positions, act_seconds=0.2)
    first, *rest = sorted([a_debt(row) for row in range(2, 6)], key=lambda each: each.id)
    outcomes = hand.assign(first, *rest)
    silent.set()
    assert outcomes[0] == Transient("pagopa-no-answer", lane=True)
    assert [isinstance(each, Deferred) and each.why for each in outcomes[1:]] == ["handful-too-slow"] * 3
    hand.stage.close()
    assert len(positions.opened) == 1
