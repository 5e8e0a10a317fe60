"""What the facts about one record add up to, as people see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.status.fold.batch_state import BatchStanding, BatchState, batch_state_of
from services.status.model import (
    TITLES,
    Standing,
    State,
    Trouble,
    TroubleKind,
    next_stage,
    verdict_of,
)
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.record import (
    Delivery,
    Documents,
    Orders,
    Position,
    Record,
    Registration,
    SectionState,
    Sending,
)
from tests.builders import a_record

DONE, REFUSED, UNCERTAIN, WITHDRAWN = (
    SectionState.DONE, SectionState.REFUSED, SectionState.UNCERTAIN, SectionState.WITHDRAWN,
)  # fmt: skip


def record(**parts: Any) -> Record:
    """A record with sections: `iuv=DONE` is a position that is done, of order 1; `registers`, `by_hand`: as they say."""
    kinds = {"iuv": ("position", Position), "render": ("documents", Documents)}
    kinds |= {"protocol": ("registration", Registration), "dispatch": ("sending", Sending)}
    sections = {
        kinds[name][0]: kinds[name][1](order=1, state=state, code="why")
        for name, state in parts.items()
        if name in kinds
    }
    plain = a_record().model_copy(update=sections)
    if not parts.get("registers"):
        plain = plain.model_copy(update={"protocol": None})
    return plain.model_copy(update={"delivery": Delivery(channel=Channel.PEC)}) if parts.get("by_hand") else plain


def standing(record: Record | None, *, orders: Orders = Orders(), **known: Any) -> Standing:
    """What is known where this is the record."""
    return Standing(**known) if record is None else Standing.of(record, orders, **known)


def parked(stage: StageName, issue: int = 1) -> dict[Phase, Trouble]:
    phase = Phase.GENERATE if stage in (StageName.IUV, StageName.RENDER) else Phase.SEND
    return {phase: Trouble(TroubleKind.PARKED, stage, issue, 0, "http-500")}


GENERATED = {"iuv": DONE, "render": DONE}
TABLE: list[tuple[str, Standing, State]] = [
    ("a row with problems", standing(None, rejected=True), State.TO_CORRECT),
    ("a row read well", standing(record()), State.READY),
    ("only a failure was heard of", standing(None), State.READY),
    ("a number and no documents yet", standing(record(iuv=DONE)), State.READY),
    ("documents are there", standing(record(**GENERATED)), State.GENERATED),
    ("nobody to write to", standing(record(**GENERATED, by_hand=True)), State.BY_HAND),
    ("nobody to write to, to be registered first", standing(record(**GENERATED, by_hand=True, registers=True)), State.GENERATED),
    ("nobody to write to, registered", standing(record(**GENERATED, protocol=DONE, by_hand=True, registers=True)), State.BY_HAND),
    ("registered", standing(record(**GENERATED, protocol=DONE, registers=True)), State.REGISTERED),
    ("sent", standing(record(**GENERATED, dispatch=DONE)), State.SENT),
    ("perhaps sent", standing(record(**GENERATED, dispatch=UNCERTAIN)), State.TO_VERIFY),
    ("perhaps registered", standing(record(**GENERATED, protocol=UNCERTAIN, registers=True)), State.STUCK),
    ("pagoPA said no", standing(record(iuv=REFUSED)), State.TO_CORRECT),
    ("cannot be printed", standing(record(iuv=DONE, render=REFUSED)), State.TO_CORRECT),
    ("cannot be printed, position withdrawn", standing(record(iuv=WITHDRAWN, render=REFUSED)), State.TO_CORRECT),
    ("the register said no", standing(record(**GENERATED, protocol=REFUSED, registers=True)), State.TO_CORRECT),
    ("the mail server said no", standing(record(**GENERATED, dispatch=REFUSED)), State.TO_CORRECT),
    ("withdrawn", standing(record(iuv=WITHDRAWN, render=DONE)), State.CANCELLED),
    ("the batch stopped before its turn", standing(record(), cancelled=True), State.CANCELLED),
    ("the batch stopped, the notice is not withdrawn yet", standing(record(**GENERATED), cancelled=True), State.GENERATED),
    ("the batch stopped after it was sent", standing(record(**GENERATED, dispatch=DONE), cancelled=True), State.SENT),
    ("the batch stopped, the row was wrong anyway", standing(None, rejected=True, cancelled=True), State.TO_CORRECT),
    ("parked", standing(record(), troubles=parked(StageName.IUV)), State.STUCK),
    ("parked in an earlier issue", standing(record(), issues={Phase.GENERATE: 2}, troubles=parked(StageName.IUV)), State.READY),
    ("parked before the stage did it after all", standing(record(**GENERATED), troubles=parked(StageName.RENDER), answers={StageName.RENDER: 1}), State.GENERATED),
    ("parked on its way out", standing(record(**GENERATED), troubles=parked(StageName.DISPATCH)), State.STUCK),
    ("its withdrawal failed", standing(record(**GENERATED), issues={Phase.GENERATE: 3}, troubles=parked(StageName.IUV, 3), answers={StageName.IUV: 1}), State.STUCK),
    ("paid before it could be withdrawn", standing(record(**GENERATED), troubles={Phase.GENERATE: Trouble(TroubleKind.PARKED, StageName.IUV, 1, 1, "already-paid")}), State.PAID),
    ("parked, then overtaken in the other phase", standing(record(**GENERATED), issues={Phase.GENERATE: 1, Phase.SEND: 2}, troubles=parked(StageName.IUV)), State.GENERATED),
    ("to be sent anew", standing(record(**GENERATED, dispatch=DONE), orders=Orders(dispatch=2)), State.GENERATED),
    ("refused, then corrected", standing(record(**GENERATED, dispatch=REFUSED), orders=Orders(dispatch=2)), State.GENERATED),
    ("everything anew", standing(record(iuv=WITHDRAWN, render=DONE), orders=Orders(iuv=2, render=2)), State.READY),
]  # fmt: skip


@pytest.mark.parametrize(("known", "state"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_record_has_the_state(known: Standing, state: State) -> None:
    assert verdict_of(known).state is state


def test_every_state_has_a_title_of_its_own() -> None:
    assert set(TITLES) == set(State)
    assert len(set(TITLES.values())) == len(State)


def test_a_refusal_names_its_stage_and_code() -> None:
    verdict = verdict_of(standing(record(**GENERATED, dispatch=REFUSED)))
    assert (verdict.stage, verdict.code) == (StageName.DISPATCH, "why")


def test_a_deferral_is_no_state_but_counts_as_trouble_while_it_is_current() -> None:
    until = datetime(2026, 3, 1, tzinfo=UTC)
    deferred = Trouble(TroubleKind.DEFERRED, StageName.IUV, 1, 1, "limiter", until)
    known = standing(record(), troubles={Phase.GENERATE: deferred})
    assert verdict_of(known).state is State.READY
    assert known.trouble == deferred


@pytest.mark.parametrize(
    ("known", "stage"),
    [
        (standing(record()), StageName.IUV),
        (standing(record(iuv=DONE)), StageName.RENDER),
        (standing(record(**GENERATED, registers=True)), StageName.PROTOCOL),
        (standing(record(**GENERATED)), StageName.DISPATCH),
        (standing(record(**GENERATED, dispatch=DONE)), None),
        (standing(record(iuv=REFUSED)), None),
    ],
)
def test_the_next_stage_is_the_first_that_is_wanted_and_not_done(known: Standing, stage: StageName | None) -> None:
    assert next_stage(known, verdict_of(known).state) is stage


@pytest.mark.parametrize(
    ("batch", "state"),
    [
        (BatchStanding(known=False), BatchState.PENDING),
        (BatchStanding(known=False, refused=True), BatchState.REFUSED),
        (BatchStanding(known=True, refused=True), BatchState.PREVIEW),
        (BatchStanding(known=True, until=Phase.GENERATE), BatchState.GENERATING),
        (BatchStanding(known=True, until=Phase.GENERATE, paused=True), BatchState.PAUSED),
        (BatchStanding(known=True, until=Phase.GENERATE, milestone="generated"), BatchState.GENERATED),
        (BatchStanding(known=True, until=Phase.SEND, milestone="generated"), BatchState.SENDING),
        (BatchStanding(known=True, until=Phase.SEND, milestone="sent"), BatchState.SENT),
        (BatchStanding(known=True, until=Phase.SEND, milestone="settled", moving=True), BatchState.SENDING),
        (BatchStanding(known=True, until=Phase.GENERATE, milestone="generated", moving=True), BatchState.GENERATING),
        (BatchStanding(known=True, until=Phase.SEND, milestone="settled"), BatchState.SETTLED),
        (BatchStanding(known=True, until=Phase.SEND, milestone="sent", cancelled=True), BatchState.CANCELLED),
    ],
)
def test_a_batch_has_the_state(batch: BatchStanding, state: BatchState) -> None:
    assert batch_state_of(batch) is state
