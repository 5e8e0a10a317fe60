"""A record row's derived columns, from what the row holds: its state and what it is searched by."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from services.status.fold.rows import Row
from services.status.model import (
    PHASES,
    Standing,
    State,
    Trouble,
    TroubleKind,
    Verdict,
    Word,
    next_stage,
    verdict_of,
)
from shared.contracts.base import StageName
from shared.contracts.record import SECTIONS, SectionState

SEARCHED = (
    "debtor_name", "fiscal_code", "notice_code", "iuv", "protocol_number", "address", "row", "reference",
)  # fmt: skip
WORDS = attrgetter(*SEARCHED)
STATES = {state.value: state for state in SectionState}
FROM_CELLS = {"amount_cents": 0, "due_date": None, "channel": "", "notice_code": "", "iuv": "", "protocol_number": ""}


def derive(row: Row, *, cancelled: bool) -> None:
    """Set the derived columns."""
    if row.content is not None:
        vars(row).update(_from_content(row.content))
    standing = standing_of(row, cancelled=cancelled)
    verdict = verdict_of(standing)
    vars(row).update(_state(row, standing, verdict))
    if row.cells is not None and (not standing.known or verdict.state is State.TO_CORRECT):
        vars(row).update(_from_cells(row.cells))
    else:
        vars(row).update(_from_sections(row))
    row.haystack = searchable(" ".join([str(word) for word in WORDS(row) if word]))


def standing_of(row: Row, *, cancelled: bool) -> Standing:
    """The row as the model wants it."""
    return Standing(
        known=row.content_orders > 0,
        registers=row.registers,
        by_hand=not row.address,
        rejected=row.rejected,
        cancelled=cancelled,
        words={stage: _word(said) for stage, (name, _) in SECTIONS.items() if (said := getattr(row, name)) is not None},
        orders=row.orders,
        answers=row.answers,
        issues=row.issues,
        troubles={phase: trouble_from(kept) for phase, kept in row.troubles.items()},
    )


def trouble_from(kept: Mapping[str, Any]) -> Trouble:
    """A trouble out of its JSON."""
    until = datetime.fromisoformat(kept["until"]) if kept["until"] else None
    kind, stage = TroubleKind(kept["kind"]), StageName(kept["stage"])
    return Trouble(kind, stage, kept["issue"], kept["order"], kept["code"], until)


def searchable(text: str) -> str:
    """Case and accents folded away."""
    folded = text.casefold()
    if folded.isascii():
        return folded
    return "".join(letter for letter in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(letter))


def _word(said: Mapping[str, Any]) -> Word:
    return Word(said["order"], STATES[said["state"]], said.get("code", ""), said.get("detail", ""))


def _state(row: Row, standing: Standing, verdict: Verdict) -> dict[str, Any]:
    trouble = standing.trouble
    stage = verdict.stage or (trouble.stage if trouble else next_stage(standing, verdict.state))
    return {
        "state": verdict.state.value,
        "stage": stage.value if stage else "",
        "phase": next((phase.value for phase in reversed(PHASES) if phase in row.issues), ""),
        "code": verdict.code or (trouble.code if trouble else ""),
        "detail": verdict.detail,
        "trouble": trouble.kind.value if trouble else "",
        "waiting_until": trouble.until if trouble else None,
    }


def _from_content(content: Mapping[str, Any]) -> dict[str, Any]:
    debtor, payment, delivery = content["debtor"], content["payment"], content["delivery"]
    return {
        "row": content["row"],
        "registers": "protocol" in content,
        "reference": content.get("reference", ""),
        "debtor_name": debtor["name"],
        "fiscal_code": debtor["fiscal_code"],
        "amount_cents": payment["amount_cents"],
        "due_date": date.fromisoformat(payment["due_date"]),
        "channel": delivery["channel"],
        "address": delivery.get("address", ""),
    }


def _from_sections(row: Row) -> dict[str, Any]:
    position, registration = row.position or {}, row.registration or {}
    number = registration.get("number")
    return {
        "notice_code": position.get("notice_code", ""),
        "iuv": position.get("iuv", ""),
        "protocol_number": f"{number}/{registration['year']}" if number else "",
    }


def _from_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """What can be read of a row that must be corrected, so that it can be found."""
    known = {re.sub(r"[\W_]", "", searchable(heading)): value.strip() for heading, value in cells.items()}
    return FROM_CELLS | {
        "debtor_name": known.get("intestazione", ""),
        "fiscal_code": known.get("codicefiscale", "") or known.get("partitaiva", ""),
        "address": known.get("indirizzopec", ""),
    }
