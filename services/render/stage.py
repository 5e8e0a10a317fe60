"""The render stage: documents into the store, then the section. Printing twice is harmless: nothing needs a lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from services.render.ports import Answer, Job, Lost, Misprint, Press, Printed, Unmade
from services.render.tables import RenderRow
from shared.contracts.base import StageName
from shared.contracts.commands import PreviewRecord
from shared.contracts.facts import NoticeRendered, PreviewRendered, RecordFact, RenderRefused
from shared.contracts.record import DocumentRef, Documents, Record, SectionState
from shared.creditors import Creditors
from shared.documents import PDF, DocumentCorrupt, DocumentMissing, DocumentStore
from shared.stage import Done, Outcome, Permanent, Refused, Request, Transient, Work

if TYPE_CHECKING:
    from sqlmodel import Session

LANE = "render"
PRINTED = {"creditor", "debtor", "payment", "letter", "letter_template", "merged", "columns"}


def misfit(record: Record, creditors: Creditors) -> str | None:
    """Why the configuration cannot print this record (a stable code), or `None`."""
    creditor = creditors.creditors.get(record.creditor)
    payment_type = creditor.payment_types.get(record.payment.payment_type) if creditor else None
    if payment_type is None:
        return "unknown-payment-type" if creditor else "unknown-creditor"
    if record.letter is None or record.letter_template is not None:
        return None
    return None if record.letter in payment_type.letters else "unknown-letter"


class RenderStage:
    """A `shared.stage.Stage`."""

    name: ClassVar[StageName] = StageName.RENDER
    row_type = RenderRow
    lookable = True
    connections = 1
    lease_seconds = 600.0
    states: Mapping[SectionState, type[RecordFact]] = {
        SectionState.DONE: NoticeRendered,
        SectionState.REFUSED: RenderRefused,
    }

    def __init__(self, press: Press, documents: DocumentStore, creditors: Creditors, today: Callable[[], date]) -> None:
        self._press, self._documents, self._creditors, self._today = press, documents, creditors, today

    def lane(self, request: Request) -> str:  # noqa: ARG002
        """One pace for all: the processors'."""
        return LANE

    def acted_on(self, request: Request) -> object:
        """All that is printed."""
        record = request.record
        position = record.position
        return {
            **record.model_dump(mode="json", include=PRINTED),
            "notice_code": position.notice_code if position else "",
            "instalments": {each.number: each.notice_code for each in position.instalments} if position else {},
        }

    def reserve(self, session: Session, works: Sequence[Work[RenderRow]]) -> None:  # noqa: ARG002
        """Today is the letter's date, also if it is printed again tomorrow."""
        for work in works:
            work.row.dated = self._today()

    def renew(self, session: Session, work: Work[RenderRow]) -> None:
        """Nothing is reserved that could prove unusable."""

    def act(self, works: Sequence[Work[RenderRow]]) -> Sequence[Outcome]:
        """Print the handful, put the documents into the store."""
        asked = [self._hindrance(work.request.record) or self._job(work) for work in works]
        answers = iter(self._press.make([each for each in asked if isinstance(each, Job)]))
        return [
            self._outcome(next(answers), work.request.order) if isinstance(each, Job) else each
            for work, each in zip(works, asked, strict=True)
        ]

    def look(self, work: Work[RenderRow]) -> Outcome | None:  # noqa: ARG002
        """Nothing is known outside: print again."""
        return None

    def _hindrance(self, record: Record) -> Outcome | None:
        position = record.position
        if position is None or position.state is not SectionState.DONE:
            return Permanent("no-position")
        if [each.number for each in position.instalments] != [each.number for each in record.payment.instalments]:
            return Permanent("no-position")
        code = misfit(record, self._creditors)
        return Permanent(code) if code else None

    def _job(self, work: Work[RenderRow]) -> Job | Outcome:
        record = work.request.record
        try:
            return Job(record, work.row.dated or self._today(), template=template(self._documents, record))
        except (DocumentMissing, DocumentCorrupt):
            return Permanent("letter-template-missing")
        except OSError:
            return Transient("document-store-failed", lane=True)

    def _outcome(self, answer: Answer, order: int) -> Outcome:
        match answer:
            case Printed():
                try:
                    notice, letter = keep(self._documents, answer.notice), keep(self._documents, answer.letter)
                except OSError:
                    return Transient("document-store-failed", lane=True)
                return Done(
                    Documents(
                        order=order, state=SectionState.DONE, notice=notice, letter=letter, verified=answer.verified
                    )
                )
            case Unmade(code, detail):
                return Refused(code, detail)
            case Misprint(code):
                return Refused(code, MISPRINTED)
            case Lost(code):
                return Permanent(code)


def template(documents: DocumentStore, record: Record) -> bytes | None:
    """The letter's template as it was when the row was read. Raises as `DocumentStore.get` does."""
    return None if record.letter_template is None else documents.get(record.letter_template)


def keep(documents: DocumentStore, content: bytes | None) -> DocumentRef | None:
    """Put a PDF into the store; nothing where there is none."""
    return None if content is None else documents.put(content, PDF)


NOT_CONFIGURED = "La configurazione non ha più questa tipologia o questa lettera."
MISPRINTED = (
    "Il documento preparato non dice quello che dice il foglio, e non viene usato: avvisare chi gestisce il sistema."
)
NOT_PRINTED = "Il documento non si è potuto preparare: avvisare chi gestisce il sistema."


class PreviewDesk:
    """The handler of `PreviewRecord`: notice and letter of a record, as FAC-SIMILE."""

    def __init__(self, press: Press, documents: DocumentStore, creditors: Creditors, today: Callable[[], date]) -> None:
        self._press, self._documents, self._creditors, self._today = press, documents, creditors, today

    def __call__(self, message: PreviewRecord) -> Sequence[PreviewRendered]:
        """One record. Its letter is a job of its own: one that cannot be made hides no notice."""
        record = message.record
        told: dict[str, Any] = {"batch_id": record.batch_id, "record_id": record.id, "revision": message.revision}
        try:
            code, archive = misfit(record, self._creditors), template(self._documents, record)
        except (DocumentMissing, DocumentCorrupt):
            code, archive = "letter-template-missing", None
        if code:
            return [PreviewRendered(**told, code=code, detail=NOT_CONFIGURED)]
        jobs = {"notice": Job(record, self._today(), preview=True, letter=False)}
        if record.letter is not None:
            jobs["letter"] = Job(record, self._today(), preview=True, template=archive, notice=False)
        for kind, answer in zip(jobs, self._press.make(list(jobs.values())), strict=True):
            match answer:
                case Printed():
                    told[kind] = keep(self._documents, getattr(answer, kind))
                case Unmade(code, detail):
                    told |= {"code": code, "detail": detail}
                case Misprint(code) | Lost(code):
                    told |= {"code": code, "detail": NOT_PRINTED}
        return [PreviewRendered(**told)]
