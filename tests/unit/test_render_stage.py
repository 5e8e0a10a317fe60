"""The render stage: what it answers to what the press answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from services.render.ports import Answer, Job, Lost, Misprint, Printed, Unmade
from services.render.stage import MISPRINTED, PreviewDesk, RenderStage
from services.render.tables import RenderRow
from shared.contracts.base import StageName
from shared.contracts.commands import PreviewRecord
from shared.contracts.facts import PreviewRendered
from shared.contracts.record import DocumentRef, Documents, Position, Record, SectionState
from shared.creditors import load_creditors
from shared.db.ledger import fingerprint
from shared.documents import FolderStore
from shared.stage import Done, Outcome, Permanent, Refused, Request, Transient, Work
from tests.builders import a_document, a_record, a_rendered_record

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
        (Misprint("read-back-sum"), Refused("read-back-sum", MISPRINTED)),
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


def preview(tmp_path: Path, press: FakePress, record: Record) -> PreviewRendered:
    desk = PreviewDesk(press, FolderStore(tmp_path), CREDITORS, lambda: TODAY)
    (fact,) = desk(PreviewRecord(record=record, revision=7))
    return fact


def test_a_preview_is_notice_and_letter_each_a_job_of_its_own(tmp_path: Path) -> None:
    press = FakePress()
    fact = preview(tmp_path, press, a_record(letter="scuolabus"))
    assert (fact.notice, fact.letter) == (a_document(b"%PDF notice"), a_document(b"%PDF letter"))
    assert (fact.record_id, fact.revision, fact.code, fact.detail) == (a_record().id, 7, "", "")
    assert [(job.notice, job.letter, job.preview) for job in press.asked] == [(True, False, True), (False, True, True)]


def test_a_record_without_letter_has_its_notice_alone(tmp_path: Path) -> None:
    press = FakePress()
    fact = preview(tmp_path, press, a_record())
    assert (fact.notice, fact.letter) == (a_document(b"%PDF notice"), None)
    assert len(press.asked) == 1


@pytest.mark.parametrize(
    "answer", [Unmade("letter-variable-missing", "Manca."), Misprint("read-back-letter-name"), Lost("x")]
)
def test_a_letter_that_cannot_be_made_hides_no_notice(tmp_path: Path, answer: Unmade | Misprint | Lost) -> None:
    class NoLetter(FakePress):
        def make(self, jobs: Sequence[Job]) -> Sequence[Answer]:
            return [answer if job.letter else GOOD for job in jobs]

    fact = preview(tmp_path, NoLetter(), a_record(letter="scuolabus"))
    assert (fact.notice, fact.letter, fact.code) == (a_document(b"%PDF notice"), None, answer.code)
    assert fact.detail


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"letter": "altra"}, "unknown-letter"),
        ({"creditor": "altro"}, "unknown-creditor"),
        ({"letter": "scuolabus", "letter_template": a_document(b"gone")}, "letter-template-missing"),
    ],
)
def test_what_is_not_configured_any_more_is_said_in_the_preview(
    tmp_path: Path, parts: dict[str, Any], code: str
) -> None:
    fact = preview(tmp_path, FakePress(), a_record(**parts))
    assert (fact.code, fact.notice) == (code, None)
    assert fact.detail
