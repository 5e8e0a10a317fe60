"""Facts come late, twice, swapped and restated: the read model is the same."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.status.fold import fold_handful
from shared.contracts import facts
from shared.contracts.base import Phase, StageName
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope
from shared.contracts.record import Documents, Orders, Position, Record, SectionState, Sending
from shared.ids import record_id
from tests import databases
from tests.builders import BATCH, a_document, a_record
from tests.fold_hand import NOON, database, ingested, model_after, one_by_one, states, wrapped


def story() -> list[tuple[Message, str]]:
    """Three rows: sent after a retry; parked, then corrected and numbered again; wrong, then mended by a new sheet."""
    sent, parked = a_record(2, protocol=None), a_record(3)
    position = Position(order=1, state=SectionState.DONE, iuv="12000000000004287", notice_code="312000000000004287")
    numbered = sent.model_copy(update={"position": position})
    rendered = numbered.model_copy(
        update={"documents": Documents(order=1, state=SectionState.DONE, notice=a_document())}
    )
    doubt = rendered.model_copy(update={"sending": Sending(order=1, state=SectionState.UNCERTAIN, code="cut-in-data")})
    gone = rendered.model_copy(update={"sending": Sending(order=1, state=SectionState.DONE, sent_at=NOON)})
    corrected = parked.model_copy(update={"payment": parked.payment.model_copy(update={"amount_cents": 9900})})
    again = corrected.model_copy(
        update={"position": Position(order=2, state=SectionState.DONE, iuv="12000000000004388")}
    )
    wrong = facts.Problem(row=4, column="Importo", code="zero", message="Scrivere un importo maggiore di zero.")
    rejected = facts.RejectedRow(
        record_id=record_id(BATCH, 4), row=4, cells={"Intestazione": "Bianchi Ada"}, problems=[wrong]
    )
    mended = facts.AcceptedRecord(record=a_record(4), revision=2)
    first = [facts.AcceptedRecord(record=sent), facts.AcceptedRecord(record=parked)]
    anew = facts.AcceptedRecord(record=corrected, orders=Orders(iuv=2, render=2), revision=2)
    return [
        (ingested(), "ingest"),
        (facts.RecordsAccepted(batch_id=BATCH, records=first), "ingest"),
        (facts.RecordsRejected(batch_id=BATCH, rows=[rejected]), "ingest"),
        (facts.PreviewRendered(batch_id=BATCH, record_id=sent.id, letter=a_document(b"letter")), "render"),
        (facts.BatchAllowed(batch_id=BATCH, revision=2, until=Phase.GENERATE), "ingest"),
        (facts.LaneClosed(stage=StageName.IUV, lane="pagopa", code="timeout", since=NOON), "iuv"),
        (failed(sent, 1), "iuv"),
        (facts.LaneOpened(stage=StageName.IUV, lane="pagopa"), "iuv"),
        (facts.IuvAssigned(record=numbered, issue=2), "iuv"),
        (facts.StageFailed(batch_id=BATCH, record_id=parked.id, stage=StageName.IUV, order=1, issue=4, code="http-500"), "iuv"),
        (facts.RecordParked(batch_id=BATCH, record_id=parked.id, stage=StageName.IUV, issue=4, code="http-500"), "ingest"),
        (facts.NoticeRendered(record=rendered, issue=2), "render"),
        (facts.BatchGenerated(batch_id=BATCH, revision=3), "ingest"),
        (facts.RecordsAccepted(batch_id=BATCH, revision=4, records=[mended, anew]), "ingest"),
        (facts.IuvAssigned(record=again, orders=Orders(iuv=2, render=2), issue=5), "iuv"),
        (facts.BatchAllowed(batch_id=BATCH, revision=5, until=Phase.SEND), "ingest"),
        (facts.BatchPaused(batch_id=BATCH, revision=6), "ingest"),
        (facts.BatchResumed(batch_id=BATCH, revision=7), "ingest"),
        (facts.SendingUncertain(record=doubt), "dispatch"),
        (facts.NoticeSent(record=gone), "dispatch"),
    ]  # fmt: skip


def failed(record: Record, issue: int) -> facts.StageFailed:
    return facts.StageFailed(
        batch_id=BATCH, record_id=record.id, stage=StageName.IUV, order=1, issue=issue, code="http-503"
    )


STORY = [wrapped(message, minute, source=source) for minute, (message, source) in enumerate(story())]
RETOLD = [
    wrapped(message, 600 + minute, source=source, restated=True) for minute, (message, source) in enumerate(story())
]


TOLD_ONCE = model_after(one_by_one(STORY))


def test_the_story_ends_where_it_should() -> None:
    assert states(TOLD_ONCE) == {2: "sent", 3: "ready", 4: "ready"}
    corrected = next(row for row in TOLD_ONCE["RecordRow"] if row["row"] == 3)
    assert (corrected["amount_cents"], corrected["iuv"], corrected["code"]) == (9900, "12000000000004388", "")
    assert TOLD_ONCE["ProblemRow"] == []
    batch = TOLD_ONCE["BatchRow"][0]
    assert (batch["until"], batch["milestone"], batch["paused"]) == ("send", "generated", False)


def test_a_handful_is_the_same_as_one_by_one() -> None:
    assert model_after([STORY]) == TOLD_ONCE


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(range(len(STORY))), st.lists(st.integers(0, len(STORY) - 1), max_size=8), st.integers(1, 7))
def test_shuffled_and_repeated_facts_give_the_same_model(order: list[int], repeats: list[int], size: int) -> None:
    told = [STORY[index] for index in [*order, *repeats]]
    random.Random(size).shuffle(told)
    assert model_after(told[i : i + size] for i in range(0, len(told), size)) == TOLD_ONCE


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(range(len(STORY))), st.sets(st.integers(0, len(STORY) - 1)), st.booleans())
def test_a_restated_fact_adds_nothing_where_the_original_is_there(
    order: list[int], retold: set[int], before: bool
) -> None:
    original, again = [STORY[index] for index in order], [RETOLD[index] for index in retold]
    # a lane that is restated as open is open at that time: it is said of now, not of then
    again = [envelope for envelope in again if "lane-opened" not in envelope.key]
    told = [*again, *original] if before else [*original, *again]
    assert model_after(one_by_one(told)) == TOLD_ONCE


def test_restated_facts_alone_build_the_model_again_and_the_timeline_says_so() -> None:
    told, once = model_after([RETOLD]), TOLD_ONCE
    assert told["BatchRow"] == once["BatchRow"]
    assert told["RecordRow"] == once["RecordRow"]
    assert [row["id"] for row in told["TimelineRow"]] == [row["id"] for row in once["TimelineRow"]]
    assert all(row["restated"] for row in told["TimelineRow"])


def test_a_sending_is_dated_by_the_mailbox_not_by_the_telling() -> None:
    told = model_after([[RETOLD[-1]]])["TimelineRow"]
    assert [row["at"] for row in told] == [NOON]


def test_an_old_failure_does_not_stop_a_record_that_was_issued_again() -> None:
    record = a_record(2)
    late = facts.StageFailed(
        batch_id=BATCH, record_id=record.id, stage=StageName.IUV, order=1, issue=1, code="bug", permanent=True
    )
    newer = facts.StageDeferred(
        batch_id=BATCH, record_id=record.id, stage=StageName.IUV, order=1, issue=2, code="limiter", until=NOON
    )
    accepted = facts.RecordsAccepted(batch_id=BATCH, records=[facts.AcceptedRecord(record=record)])
    assert states(model_after([[wrapped(accepted), wrapped(newer), wrapped(late)]])) == {2: "ready"}
    assert states(model_after([[wrapped(accepted), wrapped(late)]])) == {2: "stuck"}


def test_a_cancelled_batch_stops_the_rows_that_have_no_number_whenever_they_come() -> None:
    accepted = facts.RecordsAccepted(batch_id=BATCH, records=[facts.AcceptedRecord(record=a_record(2))])
    cancelled = facts.BatchCancelled(batch_id=BATCH, revision=9, withdrawn=0)
    told = [wrapped(accepted), wrapped(cancelled)]
    assert states(model_after(one_by_one(told))) == states(model_after(one_by_one(told[::-1]))) == {2: "cancelled"}


def test_a_fact_that_this_version_does_not_know_is_left_out() -> None:
    strange = Envelope(id="1", key="dispatch.notice-teleported.v1", exchange="facts", source="x", time=NOON, body=b"{}")
    broken = Envelope(id="2", key="iuv.iuv-assigned.v1", exchange="facts", source="x", time=NOON, body=b"{}")
    with database(databases.where()).write() as session:
        assert fold_handful(session, [strange, broken, STORY[0]]).unreadable == 2


def test_a_thousand_records_are_folded_in_a_few_handfuls() -> None:
    records = [a_record(row) for row in range(2, 1002)]
    chunks = [
        wrapped(
            facts.RecordsAccepted(
                batch_id=BATCH, records=[facts.AcceptedRecord(record=item) for item in records[i : i + 200]]
            )
        )
        for i in range(0, 1000, 200)
    ]
    assert len(model_after([chunks])["RecordRow"]) == 1000
