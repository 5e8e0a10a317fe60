"""`read_tracciato`: a spreadsheet in, checked rows out, in order and one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from services.ingest.tracciato.cells import Grid
from services.ingest.tracciato.findings import Findings
from services.ingest.tracciato.headings import ADDRESS, AMOUNT, NAME, REASON, SUBJECT
from services.ingest.tracciato.limits import Limits
from services.ingest.tracciato.package import Package, open_package
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.rows import CheckedRow, Standards, check_row
from services.ingest.tracciato.survey import Covered, Survey, find_headings, has_content, survey
from services.ingest.tracciato.tally import Tally
from services.ingest.tracciato.workbook import Workbook, read_workbook
from shared.contracts.commands import BatchOptions
from shared.creditors import Creditor

ROME: Final = ZoneInfo("Europe/Rome")


class Reading(Tally):
    """A spreadsheet whose structure is right. Iterate for its rows; a context manager that closes the file.

    The sheet's own counts are there at once; `accepted`, `rejected`, `total_cents` and `warnings` are of the last
    iteration.
    """

    def __init__(self, package: Package, book: Workbook, outline: Survey, standards: Standards) -> None:
        self._package, self._book, self._outline, self._standards = package, book, outline, standards
        self.sheet_name = outline.sheet.name
        self.headings = outline.headings
        self.rows = outline.rows
        """Visible rows with content under the headings."""
        self.hidden_rows = outline.hidden_rows
        self.hidden_sheets = sum(not sheet.visible for sheet in book.sheets)
        self.blank_rows = outline.blank_rows
        """Empty rows between the headings and the last row."""
        self.ignored_columns = list(outline.headings.ignored)
        super().__init__()

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._package.__exit__()

    def __iter__(self) -> Iterator[CheckedRow]:
        """The rows, in order; what may be wrong with the file was found before. One iteration at a time."""
        self.begin()
        covered = Covered(self._outline.merged)
        for row in Grid(self._package, self._book, self._outline.sheet, self.headings.last):
            if row.number <= self.headings.row or row.hidden or not has_content(row, self.headings):
                continue
            findings = Findings(row.number, self.headings, row.cells, covered.at(row.number, self.headings))
            self._outline.across.warn(findings)
            checked = check_row(findings, self._standards)
            yield self.counted(checked)


def standards_of(options: BatchOptions, creditor: Creditor, today: date | None = None) -> Standards:
    """What the batch says where a row says nothing. `today` is Rome's date unless given. Raises `StructureError` for options that
    cannot be."""
    payment_type = creditor.payment_types.get(options.payment_type)
    if payment_type is None:
        raise StructureError("unknown-payment-type")
    if options.letter and options.letter not in payment_type.letters:
        raise StructureError("unknown-letter")
    if options.due_date < (today or datetime.now(ROME).date()):
        raise StructureError("due-date-past")
    return Standards.of(options, creditor)


def read_tracciato(
    path: Path, options: BatchOptions, creditor: Creditor, *, limits: Limits = Limits(), today: date | None = None
) -> Reading:
    """Open and survey the spreadsheet at `path`. `today` is Rome's date unless given.

    Raises `StructureError` for the first thing that is wrong with the options or with the file as a whole.
    """
    standards = standards_of(options, creditor, today)
    required = [NAME, AMOUNT, ADDRESS]
    required += [] if standards.reason else [REASON]
    required += [SUBJECT] if options.register_options and not standards.subject else []
    package = open_package(path, limits)
    try:
        book = read_workbook(package)
        sheet, headings = find_headings(package, book, required, standards.letter_columns)
        return Reading(package, book, survey(package, book, sheet, headings), standards)
    except BaseException:
        package.__exit__()
        raise
