"""Lanes: when one is closed, who may probe it, what is said of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.bus.lanes import FAILURES_TO_CLOSE, PROBE_WAITS, LaneEvent, Lanes
from tests.fakes import NOON, Clock


def closed(clock: Clock) -> Lanes:
    """A lane `m` that failed five times."""
    lanes = Lanes(clock)
    for _ in range(FAILURES_TO_CLOSE):
        lanes.failed("m", "no-connection")
    return lanes


def test_five_failures_in_a_row_close_a_lane_and_it_is_said_once() -> None:
    lanes = Lanes(Clock())
    said = [lanes.failed("m", f"code-{number}") for number in range(1, 8)]
    assert said == [None] * 4 + [LaneEvent("m", "code-5", NOON), None, None]
    assert lanes.closed() == {"m": ("code-5", NOON)}


def test_an_answer_between_failures_keeps_a_lane_open() -> None:
    lanes = Lanes(Clock())
    for _ in range(20):
        for _ in range(FAILURES_TO_CLOSE - 1):
            lanes.failed("m", "timeout")
        lanes.succeeded("m")
    assert lanes.admit("m") is None
    assert lanes.closed() == {}


def test_a_refusal_on_a_silent_lane_is_said_and_so_is_the_silence_after_it() -> None:
    clock = Clock()
    lanes = closed(clock)
    clock.forward(minutes=1)
    assert lanes.failed("m", "login-refused", shut=True) == LaneEvent("m", "login-refused", clock.time)
    assert lanes.failed("m", "login-refused", shut=True) is None
    clock.forward(minutes=1)
    assert lanes.failed("m", "timeout") == LaneEvent("m", "timeout", clock.time)
    assert lanes.closed() == {"m": ("timeout", clock.time)}


def test_a_refused_login_closes_a_lane_at_once() -> None:
    lanes = Lanes(Clock())
    assert lanes.failed("m", "login-refused", shut=True) == LaneEvent("m", "login-refused", NOON)


def test_lanes_do_not_close_one_another() -> None:
    assert closed(Clock()).admit("other") is None


def test_nobody_is_admitted_to_a_closed_lane_before_its_probe() -> None:
    clock = Clock()
    lanes = closed(clock)
    assert lanes.admit("m") == NOON + PROBE_WAITS[0]
    clock.forward(seconds=4.9)
    assert lanes.admit("m") is not None


def test_one_at_a_time_probes_a_closed_lane() -> None:
    clock = Clock()
    lanes = closed(clock)
    clock.forward(seconds=5)
    assert lanes.admit("m") is None
    assert lanes.admit("m") == clock.time + timedelta(seconds=1)


def test_a_probe_that_said_nothing_leaves_its_place_to_another() -> None:
    clock = Clock()
    lanes = closed(clock)
    clock.forward(seconds=5)
    lanes.admit("m")
    lanes.release("m")
    assert lanes.admit("m") is None


def test_a_probe_whose_worker_vanished_is_replaced_after_two_minutes() -> None:
    clock = Clock()
    lanes = closed(clock)
    clock.forward(seconds=5)
    lanes.admit("m")
    clock.forward(minutes=2)
    assert lanes.admit("m") is None


def test_the_waits_between_probes_grow() -> None:
    clock = Clock()
    lanes = closed(clock)
    waited = []
    for _ in range(5):
        until = lanes.closed_until("m")
        assert until is not None
        waited.append(until - clock.time)
        clock.time = until
        assert lanes.admit("m") is None
        assert lanes.failed("m", "timeout") is None
    assert waited == [*PROBE_WAITS, PROBE_WAITS[-1]]


def test_failures_of_what_was_under_way_do_not_put_off_the_probe() -> None:
    clock = Clock()
    lanes = closed(clock)
    clock.forward(seconds=1)
    lanes.failed("m", "timeout")
    assert lanes.closed_until("m") == NOON + PROBE_WAITS[0]


def test_an_answer_opens_a_closed_lane_and_it_is_said_once() -> None:
    clock = Clock()
    lanes = closed(clock)
    clock.forward(seconds=5)
    lanes.admit("m")
    assert lanes.succeeded("m") == LaneEvent("m", "", clock.time)
    assert lanes.succeeded("m") is None
    assert lanes.admit("m") is None


def test_what_was_admitted_before_a_lane_closed_is_held_back() -> None:
    clock = Clock()
    lanes = Lanes(clock)
    started = clock.time
    assert lanes.closed_after("m", started) is None
    clock.forward(seconds=1)
    lanes.failed("m", "login-refused", shut=True)
    assert lanes.closed_after("m", started) == clock.time + PROBE_WAITS[0]
    assert lanes.closed_after("m", clock.time + timedelta(seconds=1)) is None


def test_after_a_start_the_first_answer_is_said_for_the_lane_may_have_been_closed_before() -> None:
    assert Lanes(Clock()).succeeded("m") == LaneEvent("m", "", NOON)


@pytest.mark.parametrize("is_closed", [True, False])
def test_what_did_not_get_out_is_said_at_the_next_outcome(is_closed: bool) -> None:
    lanes = closed(Clock()) if is_closed else Lanes(Clock())
    lanes.untold()
    event = lanes.failed("m", "timeout") if is_closed else lanes.succeeded("m")
    assert event == LaneEvent("m", "no-connection" if is_closed else "", NOON)


def test_how_every_lane_stands_can_be_told() -> None:
    lanes = closed(Clock())
    lanes.succeeded("other")
    lanes.admit("never tried")
    assert lanes.standing() == [LaneEvent("m", "no-connection", NOON), LaneEvent("other", "", NOON)]
