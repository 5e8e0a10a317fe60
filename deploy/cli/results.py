"""What a run leaves: EsitoInvioMassivo.xlsx, the notices and the letters, and the summary. From ingest's rows alone, so
that the same state writes the same files."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from deploy.cli.session import Opened
from services.ingest.model import RowState
from services.ingest.refusals import REFUSALS
from services.ingest.restate import pages
from services.ingest.row_facts import stage_of
from services.ingest.tables import Batch, Row
from services.ingest.tracciato import Outcome, TechnicalRow, write_esito
from services.status.api.wording import explained
from services.status.model import TITLES, Standing, State, Trouble, TroubleKind, verdict_of
from shared.contracts.base import Phase, StageName
from shared.contracts.record import DocumentRef, Section, SectionState

ROME = ZoneInfo("Europe/Rome")
ESITO = "EsitoInvioMassivo.xlsx"
NOTHING_LEFT = (State.READY, State.GENERATED)
STUCK = (RowState.REFUSED, RowState.PARKED, RowState.UNCERTAIN)


@dataclass(slots=True)
class Summary:
    """What the run came to."""

    rows: int = 0
    states: Counter[str] = field(default_factory=Counter)
    rejected: int = 0
    """Rows to correct in the spreadsheet."""
    stuck: int = 0
    """Rows that a person has to look at in the dashboard."""
    notes: list[str] = field(default_factory=list)


def write_results(session: Opened, batch_id: UUID, sheet: bytes) -> Summary:
    """Write everything into the run's folder, and sum it up."""
    with session.relay.ingest.database.read() as database:
        batch = database.get_one(Batch, batch_id)
    summary = Summary(notes=_notes(batch))
    outcomes: dict[int, Outcome] = {}
    technical: list[TechnicalRow] = []
    unmade = 0
    for rows in pages(session.relay.ingest.database, batch.id):
        for row in rows:
            outcomes[row.number], details = _outcome(session, batch, row)
            technical.append(details)
            summary.rows += 1
            summary.states[outcomes[row.number].state] += 1
            summary.rejected += row.state == RowState.REJECTED
            summary.stuck += row.state in STUCK
            unmade += bool(_preview_trouble(row))
    if unmade:
        summary.stuck += unmade
        summary.notes.append(f"Documenti che non si possono fare: {unmade}. Il perché è in {ESITO}, colonna Motivo.")
    with tempfile.TemporaryDirectory(prefix="staffetta-") as folder:
        source = Path(folder) / "tracciato.xlsx"
        source.write_bytes(sheet)
        part = session.folder / f".{ESITO}.part"
        write_esito(source, part, outcomes, technical, sheet_name=batch.reading["sheet_name"])
        part.replace(session.folder / ESITO)
    return summary


def _outcome(session: Opened, batch: Batch, row: Row) -> tuple[Outcome, TechnicalRow]:
    if row.record is None:
        reason = _sentences(row.problems)
        codes = " ".join(problem["code"] for problem in row.problems)
        return Outcome(TITLES[State.TO_CORRECT], reason), TechnicalRow(row.number, str(row.id), codes=codes)
    record, orders = row.whole, row.current_orders
    verdict = verdict_of(standing_of(row, cancelled=batch.cancelled))
    position = done(record.position, orders.iuv)
    documents = done(record.documents, orders.render)
    registration = done(record.registration, orders.protocol)
    registered_at = registration.registered_at if registration else None
    outcome = Outcome(
        state=TITLES[verdict.state],
        reason=explained(verdict.code, verdict.detail) or _preview_trouble(row) or _doubts(row, verdict.state),
        notice_code=position.notice_code if position else "",
        iuv=position.iuv if position else "",
        protocol_number=registration.number if registration else "",
        protocol_date=registered_at.astimezone(ROME).strftime("%d/%m/%Y %H:%M:%S") if registered_at else "",
        notice=_save(session, documents.notice if documents else _preview(row, "notice"), "avvisi", row.number),
        letter=_save(session, documents.letter if documents else _preview(row, "letter"), "lettere", row.number),
    )
    previewed = (row.previewed or {}).get("code", "") if _preview_trouble(row) else ""
    codes = " ".join(dict.fromkeys(filter(None, (verdict.code, row.code, previewed))))
    message_id = record.sending.message_id if record.sending else ""
    return outcome, TechnicalRow(row.number, str(row.id), message_id, codes)


def _sentences(problems: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong, column by column, with the value to put instead where there is one."""
    return " ".join(
        f"{problem['column']}: {problem['message']}"
        + (f" Proposta: {problem['proposal']}." if problem["proposal"] else "")
        for problem in problems
    )


def _preview_trouble(row: Row) -> str:
    """Why the row's letter or notice cannot be made, where only a preview found that out: its notice would be refused."""
    told = row.previewed or {}
    return explained(told.get("code", ""), told.get("detail", "")) if row.state == RowState.READY else ""


def _doubts(row: Row, state: State) -> str:
    """The row's warnings, while nothing has left: the counts of the summary do not say which rows they are."""
    return f"Da guardare: {_sentences(row.warnings)}" if row.warnings and state in NOTHING_LEFT else ""


S = TypeVar("S", bound=Section)


def done(section: S | None, order: int) -> S | None:
    """The section, where it says that the current order is done."""
    return section if section and section.state is SectionState.DONE and section.order == order else None


def standing_of(row: Row, *, cancelled: bool = False) -> Standing:
    """The row in the terms of what people see."""
    if row.record is None:
        return Standing(rejected=True)
    troubles = {}
    if row.state == RowState.PARKED:
        stage: StageName = stage_of(row)
        troubles[Phase(row.phase)] = Trouble(TroubleKind.PARKED, stage, row.issue, code=row.code)
    issues = {Phase(row.phase): row.issue}
    return Standing.of(row.whole, row.current_orders, cancelled=cancelled, troubles=troubles, issues=issues)


def _preview(row: Row, kind: str) -> DocumentRef | None:
    made = (row.previewed or {}).get(kind)
    return DocumentRef.model_validate(made) if made else None


def _save(session: Opened, ref: DocumentRef | None, folder: str, number: int) -> str:
    """The document as a file that is named by its row: a name or a tax code has no place in a file's name."""
    if ref is None:
        return ""
    target = session.folder / folder / f"riga-{number:05d}.pdf"
    target.parent.mkdir(exist_ok=True)
    content = session.relay.documents.get(ref)
    if not target.exists() or target.read_bytes() != content:
        target.write_bytes(content)
    return f"{folder}/{target.name}"


def _notes(batch: Batch) -> list[str]:
    reading = batch.reading
    notes = [warning["message"] for warning in reading.get("warnings", [])]
    if reading.get("hidden_rows"):
        notes.append(f"{reading['hidden_rows']} righe nascoste saltate.")
    if reading.get("hidden_sheets"):
        notes.append(f"{reading['hidden_sheets']} fogli nascosti saltati.")
    if reading.get("ignored_columns"):
        notes.append(f"Colonne ignorate: {', '.join(reading['ignored_columns'])}.")
    if batch.paused:
        notes.append("L'invio massivo è in pausa: riprendilo dal cruscotto.")
    if batch.cancelled:
        notes.append(REFUSALS["batch-cancelled"])
    return notes
