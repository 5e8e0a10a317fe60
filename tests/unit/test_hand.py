"""How many messages the broker may give at once."""

from __future__ import annotations

import pytest

from shared.bus.hand import Hand

SIZE = 50


def filled(hand: Hand, items: int) -> int:
    """More wait than are let in, and none is done: take until the prefetch stays. How many messages are in hand then."""
    tag = 0
    while True:
        for _ in range(hand.prefetch):
            tag += 1
            hand.take(tag, items, again=False)
        wanted = hand.wanted()
        if wanted == hand.prefetch:
            return tag
        hand.let_in(wanted)


@pytest.mark.parametrize(("items", "prefetch"), [(1, 16), (10, 4), (25, 2), (50, 1), (500, 1)])
def test_about_a_handful_is_let_in_whatever_a_message_holds(items: int, prefetch: int) -> None:
    hand = Hand(SIZE)
    assert filled(hand, items) * items < max(2 * SIZE, 2 * items)
    assert hand.prefetch >= prefetch


def test_a_trickle_lets_little_more_in() -> None:
    hand = Hand(SIZE)
    for tag in range(100):
        hand.take(tag, 1, again=False)
        if (wanted := hand.wanted()) != hand.prefetch:
            hand.let_in(wanted)
        hand.let_go([tag])
    assert hand.prefetch <= 4


def test_it_does_not_change_while_something_may_be_on_its_way() -> None:
    hand = Hand(SIZE)
    hand.take(1, 1, again=False)
    hand.let_in(hand.wanted())
    assert hand.prefetch == 4
    for tag in (2, 3, 4):
        hand.take(tag, 1, again=False)
        assert hand.wanted() == 4  # the first one does not count for the new consumer
    hand.take(5, 1, again=False)
    assert hand.wanted() == 16
    hand.let_go([1, 2])
    assert hand.wanted() == 4


def test_parcels_after_many_single_messages_narrow_it_again() -> None:
    hand = Hand(SIZE)
    hand.let_in(SIZE)
    for tag in range(SIZE):
        hand.take(tag, 25, again=False)
    assert hand.wanted() == 2


def test_what_came_before_is_alone_in_hand_until_it_is_through() -> None:
    hand = Hand(SIZE)
    hand.let_in(SIZE)
    hand.take(1, 1, again=False)
    hand.take(2, 25, again=True)
    assert hand.wanted() == 1
    hand.let_in(1)
    hand.let_go([1, 2])
    assert hand.wanted() == 1  # more of them may wait
    hand.take(3, 1, again=False)
    assert hand.wanted() > 1


def test_what_is_done_out_of_turn_waits_for_nobody() -> None:
    hand = Hand(SIZE)
    for tag in (1, 2, 3, 4):
        hand.take(tag, 1, again=False)
    assert hand.done_from_the_first({1, 2, 4}) == [1, 2]
    hand.let_go({1, 2, 4})
    assert hand.done_from_the_first({3}) == [3]
    assert hand.done_from_the_first({9}) == []
