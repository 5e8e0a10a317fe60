"""One record, printed and read back: what a worker does. No state but fonts, styles and compiled templates."""

from __future__ import annotations

from uuid import UUID

from services.render.adapters.content import notice_of
from services.render.adapters.kit import Kit
from services.render.adapters.letter import LetterPress
from services.render.adapters.merge import merged
from services.render.adapters.notice import NoticePress
from services.render.adapters.notice_readback import read_notice
from services.render.adapters.readback import Misread, read_letter
from services.render.adapters.sandbox import LetterTemplate, opened
from services.render.model import Unprintable, letter_columns, letter_variables, stand_in
from services.render.ports import DRAWN, READ, Answer, Job, Misprint, Printed, Unmade
from shared.contracts.record import Record


class Printer:
    """Turns a job into an answer. Never raises for what the record or the template is to blame for."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._notices = NoticePress(kit.words, kit.slip_words, kit.marks)
        self._letters = LetterPress(kit.limits.html_bytes, kit.limits.letter_pages)
        self._last: tuple[tuple[str, bytes], LetterTemplate] | None = None

    def make(self, job: Job) -> Answer:
        """The documents of one record."""
        record = stand_in(job.record) if job.preview else job.record
        facsimile = self._kit.rehearsal or job.preview
        try:
            raster = _drawn_by(record.id, self._kit.raster_every)
            notice = self._notice(record, facsimile=facsimile, raster=raster) if job.notice else None
            verified = DRAWN if raster else READ
            if record.letter is None or not job.letter:
                return Printed(notice, None, verified)
            template = self._template(record, record.letter, job.template)
            letter = self._letter(record, template, job, facsimile=facsimile)
            if record.merged and notice is not None:
                return Printed(merged(letter, notice, template.language), None, verified)
            return Printed(notice, letter, verified)
        except Unprintable as refusal:
            return Unmade(refusal.code, refusal.detail)
        except Misread as difference:
            return Misprint(difference.code)

    def _notice(self, record: Record, *, facsimile: bool, raster: bool) -> bytes:
        creditor = self._kit.creditors[record.creditor]
        logo = self._kit.logos.get(record.creditor)
        notice = notice_of(record, creditor, logo=logo is not None)
        pdf = self._notices.pdf(notice, logo, facsimile=facsimile)
        sheet = self._notices.sheet(notice.shape)
        read_notice(pdf, sheet, record, creditor, facsimile=facsimile, raster=raster)
        return pdf

    def _letter(self, record: Record, template: LetterTemplate, job: Job, *, facsimile: bool) -> bytes:
        creditor = self._kit.creditors[record.creditor]
        values = letter_variables(record, creditor, job.dated) | letter_columns(record.columns, list(template.columns))
        pdf = self._letters.pdf(template, values, self._kit.logos.get(record.creditor), facsimile=facsimile)
        read_letter(pdf, record, template.stamp, facsimile=facsimile)
        return pdf

    def _template(self, record: Record, name: str, archive: bytes | None) -> LetterTemplate:
        """Opened; the last one is kept, for a batch prints one letter."""
        archive = archive or self._kit.letters[record.creditor, record.payment.payment_type, name]
        if self._last is None or self._last[0] != (name, archive):
            self._last = (name, archive), opened(name, archive)
        return self._last[1]


def _drawn_by(record: UUID, every: int) -> bool:
    """Whether the record is one of those whose notice is drawn: always the same ones, so that what is printed again after a
    crash is verified in the same way."""
    return every > 0 and record.int % every == 0
