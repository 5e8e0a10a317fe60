"""A person's verdict on a message whose end is unclear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from services.dispatch.stage import STATES
from services.dispatch.tables import SendingRow
from shared.contracts.base import StageName
from shared.contracts.commands import SettleSending
from shared.contracts.facts import CommandRefused, CommandTaken, Fact
from shared.contracts.record import Orders, Record, SectionState, Sending, with_section
from shared.db.engine import Database
from shared.db.ledger import LedgerState

NOT_SENT = "settled-not-sent"
SETTLED = {"done": (LedgerState.DONE, SectionState.DONE, ""), "not-done": (LedgerState.REFUSED, SectionState.REFUSED, NOT_SENT)}  # fmt: skip
NOT_UNCERTAIN = (
    "L'invio non è più da verificare: nel frattempo è arrivato un esito. Ricaricare la pagina e guardare lo stato."
)


class Settlement:
    """Handler of `SettleSending`. *Sent* completes the row with what is known (not the time); *not sent* refuses it, and
    ingest, told so, has it sent anew under the next order."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    def __call__(self, command: SettleSending) -> Sequence[Fact]:
        """`CommandTaken` and the fact; the same again for a repeat; `CommandRefused` where nothing is uncertain."""
        state, section_state, code = SETTLED[command.verdict]
        with self._database.write() as session:
            row = session.get(SendingRow, (command.record_id, command.order), with_for_update=True)
            if row is not None and row.state == LedgerState.UNCERTAIN:
                known = Sending.model_validate(row.section)
                section = known.model_copy(update={"state": section_state, "code": code, "detail": ""})
                row.state = state.value
                row.section = section.model_dump(mode="json", exclude_none=True)
                row.updated_at = self._now()
                session.add(row)
            elif row is None or row.state != state or (code and (row.section or {}).get("code") != code):
                return [self._refusal(command)]
        return [
            CommandTaken(command_id=command.command_id, batch_id=command.batch_id, record_ids=[command.record_id]),
            self._fact(row, section_state),
        ]

    def _fact(self, row: SendingRow, state: SectionState) -> Fact:
        record = with_section(
            Record.model_validate(row.request["record"]), StageName.DISPATCH, Sending.model_validate(row.section)
        )
        return STATES[state](record=record, orders=Orders.model_validate(row.request["orders"]), issue=row.issue)

    def _refusal(self, command: SettleSending) -> Fact:
        return CommandRefused(
            command_id=command.command_id, batch_id=command.batch_id, code="not-uncertain", message=NOT_UNCERTAIN
        )
