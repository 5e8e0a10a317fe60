"""One record, printed and read back: what a worker does. No state but fonts, styles and compiled templates."""

from __future__ import annotations

from services.render.adapters.kit import Kit
from services.render.adapters.letter import LetterPress
from services.render.adapters.notice import QR_BOX_MM, NoticePress
from services.render.adapters.readback import Misread, read_letter, read_notice
from services.render.adapters.sandbox import LetterTemplate, opened
from services.render.model import Unprintable, letter_columns, letter_variables, notice_of
from services.render.ports import Answer, Job, Misprint, Printed, Unmade


class Printer:
    """Turns a job into an answer. Never raises for what the record or the template is to blame for."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._notices = NoticePress(kit.texts)
        self._letters = LetterPress(kit.limits.html_bytes, kit.limits.letter_pages)
        self._last: tuple[tuple[str, bytes], LetterTemplate] | None = None

    def make(self, job: Job) -> Answer:
        """The documents of one record."""
        try:
            return Printed(notice=None if job.preview else self._notice(job), letter=self._letter(job))
        except Unprintable as refusal:
            return Unmade(refusal.code, refusal.detail)
        except Misread as difference:
            return Misprint(difference.code)

    def _notice(self, job: Job) -> bytes:
        record, facsimile = job.record, self._kit.rehearsal
        creditor = self._kit.creditors[record.creditor]
        pdf = self._notices.pdf(notice_of(record, creditor), self._kit.logos.get(record.creditor), facsimile=facsimile)
        read_notice(pdf, record, creditor, QR_BOX_MM, facsimile=facsimile)
        return pdf

    def _letter(self, job: Job) -> bytes | None:
        record = job.record
        if record.letter is None:
            return None
        creditor, facsimile = self._kit.creditors[record.creditor], self._kit.rehearsal or job.preview
        archive = job.template or self._kit.letters[record.creditor, record.payment.payment_type, record.letter]
        letter = self._opened(record.letter, archive)
        values = letter_variables(record, creditor, job.dated) | letter_columns(record.columns, list(letter.columns))
        pdf = self._letters.pdf(letter, values, self._kit.logos.get(record.creditor), facsimile=facsimile)
        read_letter(pdf, record, letter.stamp, facsimile=facsimile)
        return pdf

    def _opened(self, name: str, archive: bytes) -> LetterTemplate:
        """The last one is kept: a batch prints one letter."""
        if self._last is None or self._last[0] != (name, archive):
            self._last = (name, archive), opened(name, archive)
        return self._last[1]
