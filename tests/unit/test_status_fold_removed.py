"""Rows that a corrected spreadsheet no longer has leave the read model, in whatever order that is told."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts import facts
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope
from shared.contracts.record import Position, SectionState
from shared.ids import record_id
from tests.builders import BATCH, a_document, a_record
from tests.fold_hand import ingested, model_after, one_by_one, states, wrapped


def accepted(row: int, revision: int) -> facts.RecordsAccepted:
    warning = facts.Problem(row=row, column="IndirizzoPec", code="near-miss", message="Controllare.", warning=True)
    item = facts.AcceptedRecord(record=a_record(row, protocol=None), warnings=[warning], revision=revision)
    return facts.RecordsAccepted(batch_id=BATCH, revision=revision, records=[item])


def rejected(row: int, revision: int) -> facts.RecordsRejected:
    wrong = facts.Problem(row=row, column="Importo", code="zero", message="Scrivere un importo maggiore di zero.")
    item = facts.RejectedRow(
        record_id=record_id(BATCH, row), row=row, cells={"Intestazione": "Bianchi Ada"}, problems=[wrong],
        revision=revision,
    )  # fmt: skip
    return facts.RecordsRejected(batch_id=BATCH, revision=revision, rows=[item])


def preview(row: int, revision: int) -> facts.PreviewRendered:
    letter = a_document(f"letter {revision}".encode())
    return facts.PreviewRendered(batch_id=BATCH, record_id=record_id(BATCH, row), revision=revision, letter=letter)


def assigned(row: int) -> facts.IuvAssigned:
    position = Position(order=1, state=SectionState.DONE, iuv="12000000000004287", notice_code="312000000000004287")
    return facts.IuvAssigned(record=a_record(row, protocol=None, position=position), issue=1)


def told(story: Sequence[Message], after: int = 0, *, restated: bool = False) -> list[Envelope]:
    return [wrapped(message, after + minute, restated=restated) for minute, message in enumerate(story)]


SHEETS: tuple[Message, ...] = (
    *(ingested(1), accepted(2, 1), accepted(3, 1), rejected(4, 1), accepted(5, 1), preview(3, 1), preview(5, 1)),
    *(accepted(2, 2), ingested(3, removed=[3, 4, 5])),
    # row 5 comes back, is taken out, and comes back for good
    *(accepted(5, 4), ingested(5, removed=[3, 4]), ingested(7, removed=[3, 4, 5])),
    *(accepted(5, 8), preview(5, 8), ingested(9, removed=[3, 4]), assigned(5)),
)
STORY, RETOLD = told(SHEETS), told(SHEETS, 600, restated=True)
TOLD_ONCE = model_after(one_by_one(STORY))


def test_a_removed_row_leaves_nothing_behind_but_that_it_was_removed() -> None:
    assert states(TOLD_ONCE) == {2: "ready", 5: "ready"}
    gone = {record_id(BATCH, row) for row in (3, 4)}
    for table in ("RecordRow", "ProblemRow", "TimelineRow"):
        assert not gone & {row.get("record_id") or row["id"] for row in TOLD_ONCE[table]}
    assert {(row["record_id"], row["revision"]) for row in TOLD_ONCE["RemovedRow"]} >= {(each, 9) for each in gone}


def test_a_row_that_came_back_is_as_if_it_were_new() -> None:
    fifth = record_id(BATCH, 5)
    back = next(row for row in TOLD_ONCE["RecordRow"] if row["id"] == fifth)
    assert (back["row_revision"], back["preview_revision"], back["iuv"]) == (8, 8, "12000000000004287")
    kinds = [(row["kind"], row["revision"]) for row in TOLD_ONCE["TimelineRow"] if row["record_id"] == fifth]
    assert sorted(kinds) == [("iuv-assigned", 0), ("record-accepted", 8)]
    assert [row["revision"] for row in TOLD_ONCE["ProblemRow"] if row["record_id"] == fifth] == [8]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.permutations(range(len(STORY))),
    st.lists(st.tuples(st.integers(0, len(STORY) - 1), st.integers(0, 40)), max_size=8),
    st.integers(1, 7),
)
def test_shuffled_repeated_and_restated_facts_give_the_same_model(
    order: list[int], again: list[tuple[int, int]], size: int
) -> None:
    envelopes = [STORY[index] for index in order]
    for index, place in again:
        envelopes.insert(place, RETOLD[index])
    assert model_after(envelopes[at : at + size] for at in range(0, len(envelopes), size)) == TOLD_ONCE


def test_what_the_ledgers_restate_builds_the_same_rows() -> None:
    left = [accepted(2, 2), accepted(5, 8), preview(5, 8), ingested(9, removed=[3, 4]), assigned(5)]
    rebuilt = model_after([told(left, restated=True)])
    for table in ("BatchRow", "RecordRow", "ProblemRow"):
        assert rebuilt[table] == TOLD_ONCE[table]


def test_a_thousand_rows_are_removed_at_once_and_come_late_in_vain() -> None:
    rows = range(2, 1002)
    records = [facts.AcceptedRecord(record=a_record(row)) for row in rows]
    whole = wrapped(facts.RecordsAccepted(batch_id=BATCH, records=records))
    model = model_after([[whole], [wrapped(ingested(3, removed=rows))], [whole]])
    assert (model["RecordRow"], model["ProblemRow"]) == ([], [])
    assert [row["kind"] for row in model["TimelineRow"]] == ["batch-ingested"]
