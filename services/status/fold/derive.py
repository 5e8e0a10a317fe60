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

SEARCHED = ("debtor_name", "fiscal_code", "notice_code", "iuv", "protocol_number", "address", "row")


def standing_of(row: RecordRow, record: Record | None, *, cancelled: bool) -> Standing:
    """The row as the model wants it."""
    return Standing(
        record=record,
        orders=Orders.model_validate(row.orders),
        rejected=row.rejected,
        cancelled=cancelled,
        issues={Phase(phase): issue for phase, issue in row.issues.items()},
        troubles={Phase(phase): trouble_from(kept) for phase, kept in row.troubles.items()},
        answers={StageName(stage): issue for stage, issue in row.answers.items()},
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
    values: dict[str, Any] = {
        "state": verdict.state.value,
        "stage": stage.value if stage else "",
        "phase": next((phase.value for phase in reversed(PHASES) if phase.value in row.issues), ""),
        "code": verdict.code or (trouble.code if trouble else ""),
        "detail": verdict.detail,
        "trouble": trouble.kind.value if trouble else "",
        "waiting_until": trouble.until if trouble else None,
    }
    if row.cells is not None and (record is None or verdict.state is State.TO_CORRECT):
        values |= _from_cells(row.row, row.cells)
    elif record is not None:
        values |= _from_record(record)
    words = [str(values.get(name) or "") for name in SEARCHED]
    values["haystack"] = searchable(" ".join(word for word in words if word))
    for name, value in values.items():
        if getattr(row, name) != value:  # to read is cheap, to set is not
            setattr(row, name, value)


def searchable(text: str) -> str:
    """Case and accents folded away."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in spread if not unicodedata.combining(letter))


def _from_record(record: Record) -> dict[str, Any]:
    position, registration = record.position, record.registration
    return {
        "row": record.row,
        "debtor_name": record.debtor.name,
        "fiscal_code": record.debtor.fiscal_code,
        "amount_cents": record.payment.amount_cents,
        "due_date": record.payment.due_date,
        "channel": record.delivery.channel.value,
        "address": record.delivery.address,
        "notice_code": position.notice_code if position else "",
        "iuv": position.iuv if position else "",
        "protocol_number": f"{registration.number}/{registration.year}" if registration and registration.number else "",
    }


def _from_cells(row: int, cells: dict[str, str]) -> dict[str, Any]:
    """What can be read of a row that must be corrected, so that it can be found."""
    known = {re.sub(r"[\W_]", "", searchable(heading)): value.strip() for heading, value in cells.items()}
    return {
        "row": row,
        "debtor_name": known.get("intestazione", ""),
        "fiscal_code": known.get("codicefiscale", "") or known.get("partitaiva", ""),
        "amount_cents": 0,
        "due_date": None,
        "channel": "",
        "address": known.get("indirizzopec", ""),
        "notice_code": "",
        "iuv": "",
        "protocol_number": "",
    }
