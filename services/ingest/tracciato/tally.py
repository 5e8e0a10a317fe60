"""What the checked rows of a spreadsheet, or of a list, come to."""

from __future__ import annotations

from collections import Counter

from services.ingest.tracciato.problems import COUNTS
from services.ingest.tracciato.rows import CheckedRow
from shared.contracts.facts import WarningCount


class Tally:
    """The counts of the rows since `begin`."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count anew."""
        self.accepted = self.rejected = self.total_cents = 0
        self._warned: Counter[str] = Counter()

    def counted(self, checked: CheckedRow) -> CheckedRow:
        """The row, counted."""
        self._warned.update({warning.code for warning in checked.warnings})
        if checked.draft is None:
            self.rejected += 1
        else:
            self.accepted += 1
            self.total_cents += checked.draft.payment.amount_cents
        return checked

    @property
    def warnings(self) -> list[WarningCount]:
        """Rows with each cause's warning, of accepted and rejected rows alike."""
        return [
            WarningCount(code=code, count=count, message=COUNTS[code].format(count=count))
            for code, count in sorted(self._warned.items(), key=lambda item: (-item[1], item[0]))
        ]
