"""Where a record stands, by its sections; what a correction changes."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.ingest.model import (
    BY_HAND,
    RowState,
    Standing,
    Step,
    content_hash,
    corrected,
    duplicate_key,
    may_be_open,
    raised,
    standing,
)
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import Correction
from shared.contracts.record import SECTIONS, Delivery, Orders, Record, SectionState, with_section
from tests.builders import a_record

Told = tuple[StageName, int, SectionState]
STAGES = list(StageName)
DONE = SectionState.DONE
told_things = st.lists(
    st.tuples(st.sampled_from(STAGES), st.integers(1, 3), st.sampled_from(list(SectionState))), max_size=12
)
some_orders = st.builds(Orders, **{stage.value: st.integers(1, 3) for stage in STAGES})


def hearing(things: list[Told], record: Record | None = None) -> Record:
    """The record after these sections came in."""
    record = record or a_record()
    for stage, order, state in things:
        record = with_section(record, stage, SECTIONS[stage][1](order=order, state=state, code=f"{state.value}-code"))
    return record


def after(*stages: StageName) -> Record:
    """A record that these stages did."""
    return hearing([(stage, 1, DONE) for stage in stages])


@given(told_things, some_orders, st.randoms())
def test_late_swapped_and_repeated_sections_lead_to_the_same_standing(
    things: list[Told], orders: Orders, dice: Random
) -> None:
    shuffled = [*things, *things[:3]]
    dice.shuffle(shuffled)
    assert standing(hearing(shuffled), orders) == standing(hearing(things), orders)


@given(told_things, some_orders)
def test_only_sections_of_the_standing_orders_count(things: list[Told], orders: Orders) -> None:
    current = [thing for thing in things if thing[1] == orders.of(thing[0])]
    newest = {stage: max((order for each, order, _ in things if each is stage), default=0) for stage in STAGES}
    if all(newest[stage] <= orders.of(stage) for stage in STAGES):
        assert standing(hearing(things), orders) == standing(hearing(current), orders)


@pytest.mark.parametrize("done", range(5))
def test_the_next_step_follows_the_stages(done: int) -> None:
    step = [Step.IUV, Step.RENDER, Step.PROTOCOL, Step.DISPATCH, Step.NOTHING][done]
    now = standing(after(*STAGES[:done]), Orders())
    assert now == Standing(step, RowState.FINISHED if done == 4 else RowState.READY)
    assert now.phase is (Phase.GENERATE if done < 2 else Phase.SEND)


def test_a_record_that_is_not_registered_goes_from_render_to_dispatch() -> None:
    record = hearing([(StageName.IUV, 1, DONE), (StageName.RENDER, 1, DONE)], a_record(protocol=None))
    assert standing(record, Orders()).step is Step.DISPATCH


def test_a_record_without_an_address_is_registered_and_handed_over_by_hand() -> None:
    nowhere = a_record(delivery=Delivery(channel=Channel.PEC))
    rendered = hearing([(StageName.IUV, 1, DONE), (StageName.RENDER, 1, DONE)], nowhere)
    assert standing(rendered, Orders()).step is Step.PROTOCOL
    registered = hearing([(StageName.PROTOCOL, 1, DONE)], rendered)
    assert standing(registered, Orders()) == Standing(Step.NOTHING, RowState.FINISHED, BY_HAND)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (SectionState.UNCERTAIN, RowState.UNCERTAIN),
        (SectionState.REFUSED, RowState.REFUSED),
        (SectionState.WITHDRAWN, RowState.CANCELLED),
    ],
)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_did_not_say_yes_stops_the_record_with_its_code(
    stage: StageName, state: SectionState, expected: RowState
) -> None:
    before = STAGES[: STAGES.index(stage)]
    record = hearing([(stage, 1, state)], after(*before))
    assert standing(record, Orders()) == Standing(Step(stage.value), expected, f"{state.value}-code")


def test_a_refused_notice_stays_refused_though_its_position_was_withdrawn() -> None:
    things = [(StageName.IUV, 1, SectionState.WITHDRAWN), (StageName.RENDER, 1, SectionState.REFUSED)]
    assert standing(hearing(things), Orders()).state is RowState.REFUSED


def test_a_raised_order_begins_its_stage_anew() -> None:
    sent = after(*STAGES)
    assert standing(sent, Orders(dispatch=2)) == Standing(Step.DISPATCH, RowState.READY)
    assert standing(sent, Orders(protocol=2, dispatch=2)) == Standing(Step.PROTOCOL, RowState.READY)
    assert standing(sent, Orders(iuv=2, render=2, protocol=2, dispatch=2)) == Standing(Step.IUV, RowState.READY)


# -- corrections


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        (Correction(), Orders(dispatch=2)),
        (Correction(address="altra@pec.example"), Orders(dispatch=2)),
        (Correction(channel=Channel.EMAIL), Orders(dispatch=2)),
        (Correction(subject="Altro oggetto"), Orders(protocol=2, dispatch=2)),
        (Correction(amount_cents=1), Orders(iuv=2, render=2, protocol=2, dispatch=2)),
        (Correction(name="Verdi Anna"), Orders(iuv=2, render=2, protocol=2, dispatch=2)),
        (Correction(due_date=date(2027, 2, 1)), Orders(iuv=2, render=2, protocol=2, dispatch=2)),
        (Correction(amount_cents=a_record().payment.amount_cents), Orders(dispatch=2)),
    ],
)
def test_each_stage_whose_input_changes_does_the_record_anew(correction: Correction, expected: Orders) -> None:
    before = after(*STAGES)
    assert raised(Orders(), before, corrected(before, correction)) == expected


def test_a_correction_leaves_the_sections_and_the_rest_as_they_were() -> None:
    before = after(*STAGES)
    changed = corrected(before, Correction(amount_cents=1, address="altra@pec.example"))
    assert changed.payment.amount_cents == 1
    assert changed.delivery.address == "altra@pec.example"
    assert changed.model_copy(update={"payment": before.payment, "delivery": before.delivery}) == before


@pytest.mark.parametrize(
    "correction",
    [
        Correction(amount_cents=0),
        Correction(name=""),
        Correction(fiscal_code="x"),
        Correction(reason="x" * 141),
        Correction(subject=""),
    ],
)
def test_a_value_out_of_bounds_is_no_correction(correction: Correction) -> None:
    with pytest.raises(ValidationError):
        corrected(a_record(), correction)


@pytest.mark.parametrize(
    ("things", "is_open"),
    [
        ([], True),
        ([(StageName.IUV, 1, DONE)], True),
        ([(StageName.IUV, 1, SectionState.REFUSED)], False),
        ([(StageName.IUV, 1, SectionState.WITHDRAWN)], False),
    ],
)
def test_a_position_may_be_open_until_somebody_says_that_it_is_not(things: list[Told], is_open: bool) -> None:
    assert may_be_open(hearing(things), Orders()) is is_open


def test_a_withdrawn_position_says_nothing_of_the_next_one() -> None:
    assert may_be_open(hearing([(StageName.IUV, 1, SectionState.WITHDRAWN)]), Orders(iuv=2))


# -- what makes two rows the same


def test_what_the_stages_wrote_does_not_change_a_rows_content() -> None:
    assert content_hash(after(*STAGES)) == content_hash(a_record())


def test_everything_that_a_person_wrote_does() -> None:
    record = a_record()
    corrections = [
        Correction(name="Verdi Anna"), Correction(amount_cents=1), Correction(reason="Altro"), Correction(subject="Altro"),
        Correction(address="altra@pec.example"), Correction(channel=Channel.EMAIL),
    ]  # fmt: skip
    hashes = [content_hash(record), *(content_hash(corrected(record, each)) for each in corrections)]
    assert len(set(hashes)) == len(hashes)


def test_a_moved_row_is_known_by_debtor_amount_due_date_and_reason() -> None:
    here, there = a_record(2), a_record(9, delivery=Delivery(channel=Channel.EMAIL, address="x@example.org"))
    assert duplicate_key(here) == duplicate_key(there)
    others = [corrected(here, Correction(amount_cents=amount)) for amount in (1, 2)]
    assert all(duplicate_key(one) != duplicate_key(two) for one, two in pairwise([here, *others]))
