"""The render stage: what it answers to what the press answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.render.ports import Answer, Job, Lost, Misprint, Printed, Unmade
from services.render.stage import PreviewDesk, RenderStage
from services.render.tables import RenderRow
from shared.contracts.base import StageName
from shared.contracts.commands import PreviewRecord
from shared.contracts.record import DocumentRef, Documents, Position, Record, SectionState
from shared.creditors import load_creditors
from shared.db.ledger import fingerprint
from shared.documents import FolderStore
from shared.stage import Done, Outcome, Permanent, Refused, Request, Transient, Work
from tests.builders import a_document, a_record, a_record_in_instalments, a_rendered_record

ROOT = Path(__file__).resolve().parents[2]
CREDITORS = load_creditors(ROOT / "deploy/examples/creditors.toml")
TODAY = date(2026, 11, 24)
GOOD = Printed(b"%PDF notice", b"%PDF letter")


@dataclass
class FakePress:
    """Answers what it was told to, by row; keeps what it was asked."""

    answers: dict[int, Answer] = field(default_factory=dict)
    asked: list[Job] = field(default_factory=list)

    def make(self, jobs: Sequence[Job]) -> Sequence[Answer]:
        self.asked += jobs
        return [self.answers.get(job.record.row, GOOD) for job in jobs]


class FullStore(FolderStore):
    def put(self, content: bytes, media_type: str) -> DocumentRef:
        raise OSError(28, "No space left on device")


def work(record: Record, *, dated: date | None = TODAY) -> Work[RenderRow]:
    request = Request.of(PreviewRecord(record=record), StageName.RENDER)
    row = RenderRow(
        record_id=record.id, order=1, batch_id=record.batch_id, fingerprint="", request={}, dated=dated,
        updated_at=datetime.now(UTC),
    )  # fmt: skip
    return Work(request, row)


def stage(tmp_path: Path, press: FakePress) -> RenderStage:
    return RenderStage(press, FolderStore(tmp_path), CREDITORS, lambda: TODAY)


def outcome(tmp_path: Path, answer: Answer) -> Outcome:
    (only,) = stage(tmp_path, FakePress({2: answer})).act([work(a_rendered_record())])
    return only


def test_documents_are_in_the_store_before_they_are_recorded(tmp_path: Path) -> None:
    done = outcome(tmp_path, GOOD)
    assert isinstance(done, Done)
    assert isinstance(done.section, Documents)
    assert done.section.state is SectionState.DONE
    assert (done.section.notice, done.section.letter) == (a_document(b"%PDF notice"), a_document(b"%PDF letter"))
    assert FolderStore(tmp_path).get(a_document(b"%PDF letter")) == b"%PDF letter"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Unmade("letter-too-slow", "Il modello non finisce."), Refused("letter-too-slow", "Il modello non finisce.")),
        (Misprint("read-back-amount"), Permanent("read-back-amount")),
        (Lost("render-crashed"), Permanent("render-crashed")),
    ],
)
def test_what_was_not_printed_is_refused_or_parked(tmp_path: Path, answer: Answer, expected: Outcome) -> None:
    assert outcome(tmp_path, answer) == expected


def test_a_full_store_is_nobodys_failure(tmp_path: Path) -> None:
    full = RenderStage(FakePress(), FullStore(tmp_path), CREDITORS, lambda: TODAY)
    assert full.act([work(a_rendered_record())]) == [Transient("document-store-failed", lane=True)]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (a_record(), "no-position"),
        (a_record(position=Position(order=1, state=SectionState.WITHDRAWN)), "no-position"),
        (a_rendered_record(letter="altra"), "unknown-letter"),
        (a_rendered_record(creditor="altro"), "unknown-creditor"),
    ],
)
def test_a_record_that_cannot_be_printed_is_parked_and_its_neighbours_are_printed(
    tmp_path: Path, record: Record, code: str
) -> None:
    press = FakePress()
    first, second, third = stage(tmp_path, press).act(
        [work(a_rendered_record(3)), work(record), work(a_rendered_record(4))]
    )
    assert isinstance(first, Done)
    assert second == Permanent(code)
    assert isinstance(third, Done)
    assert [job.record.row for job in press.asked] == [3, 4]


def test_a_letter_keeps_its_date_when_it_is_printed_again(tmp_path: Path) -> None:
    press = FakePress()
    stage(tmp_path, press).act([work(a_rendered_record(), dated=date(2026, 11, 20))])
    assert press.asked[0].dated == date(2026, 11, 20)


def test_all_that_is_printed_counts_as_content_and_nothing_else(tmp_path: Path) -> None:
    render = stage(tmp_path, FakePress())

    def content(record: Record) -> str:
        return fingerprint(render.acted_on(work(record).request))

    record = a_rendered_record()
    assert content(record) == content(record.model_copy(update={"documents": None, "protocol": None}))
    for change in ({"letter": "scuolabus"}, {"columns": {"Alunno": "x"}}, {"position": None}):
        assert content(record) != content(record.model_copy(update=change))


def test_previews_of_many_records_are_printed_together_and_answered_in_order(tmp_path: Path) -> None:
    press = FakePress({3: Unmade("letter-variable-missing", "Manca la colonna."), 4: Misprint("read-back-letter-name")})
    desk = PreviewDesk(press, FolderStore(tmp_path), CREDITORS, lambda: TODAY)
    records = [a_record(row, letter="scuolabus") for row in (2, 3, 4)]
    facts = desk.many([PreviewRecord(record=each) for each in (*records, a_record(5), a_record(6, letter="altra"))])
    assert [fact.record_id for fact in facts] == [a_record(row).id for row in (2, 3, 4, 5, 6)]
    assert [fact.code for fact in facts] == [
        "", "letter-variable-missing", "read-back-letter-name", "", "unknown-letter",
    ]  # fmt: skip
    assert facts[0].letter == a_document(b"%PDF letter")
    assert [fact.letter for fact in facts[1:]] == [None] * 4
    assert all(job.preview for job in press.asked)
    assert all(bool(fact.detail) == bool(fact.code) for fact in facts)


def test_instalments_without_notice_codes_are_not_printed(tmp_path: Path) -> None:
    record, press = a_record_in_instalments(3), FakePress()
    assert record.position is not None
    short = record.position.model_copy(update={"instalments": record.position.instalments[:2]})
    assert stage(tmp_path, press).act([work(record.model_copy(update={"position": short}))]) == [
        Permanent("no-position")
    ]
    assert press.asked == []


def test_another_code_of_an_instalment_is_another_notice(tmp_path: Path) -> None:
    printing, record = stage(tmp_path, FakePress()), a_record_in_instalments(3)
    assert record.position is not None
    *rest, last = record.position.instalments
    other = record.position.model_copy(
        update={"instalments": [*rest, last.model_copy(update={"notice_code": "312000000000099999"})]}
    )
    asked = [work(each).request for each in (record, record.model_copy(update={"position": other}))]
    assert len({fingerprint(printing.acted_on(request)) for request in asked}) == 2
