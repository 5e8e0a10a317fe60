"""What the facts about one record add up to, as people see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.status.model import (
    TITLES,
    BatchStanding,
    BatchState,
    Standing,
    State,
    Trouble,
    TroubleKind,
    batch_state_of,
    next_stage,
    verdict_of,
)
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.record import Delivery, Documents, Orders, Position, Record, Registration, SectionState, Sending
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


def parked(stage: StageName, issue: int = 1) -> dict[Phase, Trouble]:
    phase = Phase.GENERATE if stage in (StageName.IUV, StageName.RENDER) else Phase.SEND
    return {phase: Trouble(TroubleKind.PARKED, stage, issue, 0, "http-500")}


GENERATED = {"iuv": DONE, "render": DONE}
TABLE: list[tuple[str, Standing, State]] = [
    ("a row with problems", Standing(None, rejected=True), State.TO_CORRECT),
    ("a row read well", Standing(record()), State.READY),
    ("only a failure was heard of", Standing(None), State.READY),
    ("a number and no documents yet", Standing(record(iuv=DONE)), State.READY),
    ("documents are there", Standing(record(**GENERATED)), State.GENERATED),
    ("nobody to write to", Standing(record(**GENERATED, by_hand=True)), State.BY_HAND),
    ("nobody to write to, to be registered first", Standing(record(**GENERATED, by_hand=True, registers=True)), State.GENERATED),
    ("nobody to write to, registered", Standing(record(**GENERATED, protocol=DONE, by_hand=True, registers=True)), State.BY_HAND),
    ("registered", Standing(record(**GENERATED, protocol=DONE, registers=True)), State.REGISTERED),
    ("sent", Standing(record(**GENERATED, dispatch=DONE)), State.SENT),
    ("perhaps sent", Standing(record(**GENERATED, dispatch=UNCERTAIN)), State.TO_VERIFY),
    ("perhaps registered", Standing(record(**GENERATED, protocol=UNCERTAIN, registers=True)), State.STUCK),
    ("pagoPA said no", Standing(record(iuv=REFUSED)), State.TO_CORRECT),
    ("cannot be printed", Standing(record(iuv=DONE, render=REFUSED)), State.TO_CORRECT),
    ("cannot be printed, position withdrawn", Standing(record(iuv=WITHDRAWN, render=REFUSED)), State.TO_CORRECT),
    ("the register said no", Standing(record(**GENERATED, protocol=REFUSED, registers=True)), State.TO_CORRECT),
    ("the mail server said no", Standing(record(**GENERATED, dispatch=REFUSED)), State.TO_CORRECT),
    ("withdrawn", Standing(record(iuv=WITHDRAWN, render=DONE)), State.CANCELLED),
    ("the batch stopped before its turn", Standing(record(), cancelled=True), State.CANCELLED),
    ("the batch stopped, the notice is not withdrawn yet", Standing(record(**GENERATED), cancelled=True), State.GENERATED),
    ("the batch stopped after it was sent", Standing(record(**GENERATED, dispatch=DONE), cancelled=True), State.SENT),
    ("the batch stopped, the row was wrong anyway", Standing(None, rejected=True, cancelled=True), State.TO_CORRECT),
    ("parked", Standing(record(), troubles=parked(StageName.IUV)), State.STUCK),
    ("parked in an earlier issue", Standing(record(), issues={Phase.GENERATE: 2}, troubles=parked(StageName.IUV)), State.READY),
    ("parked before the stage did it after all", Standing(record(**GENERATED), troubles=parked(StageName.RENDER), answers={StageName.RENDER: 1}), State.GENERATED),
    ("parked on its way out", Standing(record(**GENERATED), troubles=parked(StageName.DISPATCH)), State.STUCK),
    ("its withdrawal failed", Standing(record(**GENERATED), issues={Phase.GENERATE: 3}, troubles=parked(StageName.IUV, 3), answers={StageName.IUV: 1}), State.STUCK),
    ("paid before it could be withdrawn", Standing(record(**GENERATED), troubles={Phase.GENERATE: Trouble(TroubleKind.PARKED, StageName.IUV, 1, 1, "already-paid")}), State.PAID),
    ("parked, then overtaken in the other phase", Standing(record(**GENERATED), issues={Phase.GENERATE: 1, Phase.SEND: 2}, troubles=parked(StageName.IUV)), State.GENERATED),
    ("to be sent anew", Standing(record(**GENERATED, dispatch=DONE), orders=Orders(dispatch=2)), State.GENERATED),
    ("refused, then corrected", Standing(record(**GENERATED, dispatch=REFUSED), orders=Orders(dispatch=2)), State.GENERATED),
    ("everything anew", Standing(record(iuv=WITHDRAWN, render=DONE), orders=Orders(iuv=2, render=2)), State.READY),
]  # fmt: skip


@pytest.mark.parametrize(("standing", "state"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_record_has_the_state(standing: Standing, state: State) -> None:
    assert verdict_of(standing).state is state


def test_every_state_has_a_title_of_its_own() -> None:
    assert set(TITLES) == set(State)
    assert len(set(TITLES.values())) == len(State)


def test_a_refusal_names_its_stage_and_code() -> None:
    verdict = verdict_of(Standing(record(**GENERATED, dispatch=REFUSED)))
    assert (verdict.stage, verdict.code) == (StageName.DISPATCH, "why")


def test_a_deferral_is_no_state_but_counts_as_trouble_while_it_is_current() -> None:
    until = datetime(2026, 3, 1, tzinfo=UTC)
    deferred = Trouble(TroubleKind.DEFERRED, StageName.IUV, 1, 1, "limiter", until)
    standing = Standing(record(), troubles={Phase.GENERATE: deferred})
    assert verdict_of(standing).state is State.READY
    assert standing.trouble == deferred


@pytest.mark.parametrize(
    ("standing", "stage"),
    [
        (Standing(record()), StageName.IUV),
        (Standing(record(iuv=DONE)), StageName.RENDER),
        (Standing(record(**GENERATED, registers=True)), StageName.PROTOCOL),
        (Standing(record(**GENERATED)), StageName.DISPATCH),
        (Standing(record(**GENERATED, dispatch=DONE)), None),
        (Standing(record(iuv=REFUSED)), None),
    ],
)
def test_the_next_stage_is_the_first_that_is_wanted_and_not_done(standing: Standing, stage: StageName | None) -> None:
    assert next_stage(standing) is stage


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
