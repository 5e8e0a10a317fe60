"""A record row's derived columns, from what the row holds: its state and what it is searched by."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Any

from services.status.model import PHASES, Standing, State, Trouble, TroubleKind, next_stage, verdict_of
from services.status.tables import RecordRow
from shared.contracts.base import Phase, StageName
from shared.contracts.record import Orders, Record


def standing_of(row: RecordRow, record: Record | None, *, cancelled: bool) -> Standing:
    """The row as the model wants it."""
    return Standing(
        record=record,
        orders=Orders.model_validate(row.orders),
        rejected=row.rejected,
        cancelled=cancelled,
        issues={Phase(phase): issue for phase, issue in row.issues.items()},
        troubles={Phase(phase): trouble_from(kept) for phase, kept in row.troubles.items()},
    )


def trouble_from(kept: dict[str, Any]) -> Trouble:
    """A trouble out of its JSON."""
    until = datetime.fromisoformat(kept["until"]) if kept["until"] else None
    kind, stage = TroubleKind(kept["kind"]), StageName(kept["stage"])
    return Trouble(kind, stage, kept["issue"], kept["order"], kept["code"], until)


def derive(row: RecordRow, record: Record | None, *, cancelled: bool) -> None:
    """Set the derived columns."""
    standing = standing_of(row, record, cancelled=cancelled)
    verdict = verdict_of(standing)
    trouble = standing.trouble
    stage = verdict.stage or (trouble.stage if trouble else next_stage(standing))
    row.state = verdict.state.value
    row.stage = stage.value if stage else ""
    row.phase = next((phase.value for phase in reversed(PHASES) if phase.value in row.issues), "")
    row.code = verdict.code or (trouble.code if trouble else "")
    row.detail = verdict.detail
    if row.cells is not None and (record is None or verdict.state is State.TO_CORRECT):
        _from_cells(row, row.cells)
    elif record is not None:
        _from_record(row, record)
    words = (row.debtor_name, row.fiscal_code, row.notice_code, row.iuv, row.protocol_number, row.address, str(row.row))
    row.haystack = searchable(" ".join(word for word in words if word))


def searchable(text: str) -> str:
    """Case and accents folded away."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def _from_record(row: RecordRow, record: Record) -> None:
    position, registration = record.position, record.registration
    row.row = record.row
    row.debtor_name, row.fiscal_code = record.debtor.name, record.debtor.fiscal_code
    row.amount_cents, row.due_date = record.payment.amount_cents, record.payment.due_date
    row.channel, row.address = record.delivery.channel.value, record.delivery.address
    row.notice_code, row.iuv = (position.notice_code, position.iuv) if position else ("", "")
    row.protocol_number = f"{registration.number}/{registration.year}" if registration and registration.number else ""


def _from_cells(row: RecordRow, cells: dict[str, str]) -> None:
    """What can be read of a row that must be corrected, so that it can be found."""
    known = {re.sub(r"[\W_]", "", searchable(heading)): value.strip() for heading, value in cells.items()}
    row.debtor_name = known.get("intestazione", "")
    row.fiscal_code = known.get("codicefiscale", "") or known.get("partitaiva", "")
    row.address = known.get("indirizzopec", "")
    row.amount_cents, row.due_date, row.channel = 0, None, ""
    row.notice_code = row.iuv = row.protocol_number = ""
