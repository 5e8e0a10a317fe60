"""Taking in a batch: a spreadsheet for the first time, or a corrected one that is merged by row number.

Rows that were never issued may change, come and go. A row that was issued is a debt somebody may already hold in their
hands: if the file changes, moves or drops one, nothing of the file comes in, and the rows are listed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select

from services.ingest.control import Refusal, answered, keep, refused
from services.ingest.model import RowState, Step, content_hash, duplicate_key
from services.ingest.restate import batch_facts, row_facts
from services.ingest.tables import Batch, Row
from services.ingest.tracciato import CheckedRow, Reading, StructureError, read_tracciato, to_record
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import RequestBatch
from shared.contracts.envelope import Envelope
from shared.contracts.facts import BatchAllowed, CommandRefused, CommandTaken, Fact, Problem
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.documents import DocumentStore
from shared.ids import derived, record_id

CHUNK = 200
ROWS_LISTED = 200
REFUSALS = {
    "unknown-creditor": "L'ente creditore indicato non è configurato.",
    "no-mailbox": "L'ente non ha una casella configurata per questo tipo di spedizione: scegline un altro.",
    "registration-incomplete": "Per la protocollazione servono classificazione e ufficio mittente: compilali.",
    "batch-cancelled": "L'invio massivo è stato interrotto: per un nuovo elenco avvia un nuovo invio massivo.",
    "options-differ": "Il tracciato è già stato preso in carico con altre opzioni: ripeti con le stesse, oppure avvia un nuovo "
    "invio massivo.",
    "rows-changed": "Il file cambia righe i cui avvisi sono già stati emessi: non è stato acquisito nulla. Riporta le righe "
    "com'erano e correggile una per una dalla loro pagina (Correggi e rimanda).",
}
CHANGED = "La riga {row} è già stata emessa e nel file è cambiata: riportala com'era e correggila dalla sua pagina."
MISSING = "La riga {row} è già stata emessa e nel file non c'è più: rimettila al suo posto."
MOVED = "La riga {row} è già stata emessa e nel file si trova alla riga {to}: rimettila al suo posto."


@dataclass(frozen=True, slots=True)
class Standing:
    """A row as it stands before a merge."""

    begun: bool
    hashes: frozenset[str]
    duplicate: str


class Batches:
    """Takes the queue `ingest.batches`."""

    def __init__(
        self,
        database: Database,
        publish: Callable[[Sequence[Envelope]], None],
        creditors: Creditors,
        documents: DocumentStore,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._publish = publish
        self._creditors = creditors
        self._documents = documents
        self._now = now

    def take(self, request: RequestBatch, causation: str = "") -> None:
        """One request, whole. A repeat of a command gets the same answer."""
        try:
            answer = self._take(request)
        except Refusal as refusal:
            message = REFUSALS.get(refusal.code, "")
            answer = self._answer(refused(request.command_id, request.batch_id, refusal, message))
        except StructureError as error:
            answer = self._answer(
                CommandRefused(
                    command_id=request.command_id, batch_id=request.batch_id, code=error.code, message=error.message_it
                )
            )
        self._say([answer], request.batch_id, causation)

    # -- one request

    def _take(self, request: RequestBatch) -> CommandTaken | CommandRefused:
        with self._database.read() as session:
            if (answer := answered(session, request.command_id)) is not None:
                return answer
            batch = session.get(Batch, request.batch_id)
        self._check(request)
        if batch is None or not batch.ingested:
            self._first(request)
        else:
            self._again(batch, request)
        return self._answer(CommandTaken(command_id=request.command_id, batch_id=request.batch_id))

    def _check(self, request: RequestBatch) -> None:
        creditor = self._creditors.creditors.get(request.creditor)
        if creditor is None:
            raise Refusal("unknown-creditor")
        options = request.options
        if options.channel is not Channel.AUTO and creditor.mailbox(options.channel) is None:
            raise Refusal("no-mailbox")
        register = options.register_options
        if register is not None and not (register.classification.strip() and register.office.strip()):
            raise Refusal("registration-incomplete")

    def _first(self, request: RequestBatch) -> None:
        """Read the spreadsheet, a chunk of rows in each transaction; what a crash left half-way is read anew."""
        with self._reading(request) as reading:
            with self._database.write() as session:
                session.connection().execute(delete(Row).where(col(Row.batch_id) == request.batch_id))
                batch = session.get(Batch, request.batch_id) or Batch(
                    id=request.batch_id, client=request.client, request_id=request.request_id, by=request.by,
                    creditor=request.creditor, options={}, sheet={}, file_name="", created_at=self._now(),
                )  # fmt: skip
                batch.options = request.options.model_dump(mode="json", exclude_none=True)
                batch.sheet = request.sheet.model_dump(mode="json")
                batch.file_name, batch.until = request.file_name, request.until.value
                session.add(batch)
            for chunk in _chunks(reading):
                rows = [self._row(request, checked, batch.revision) for checked in chunk]
                self._replace([], rows)
                self._say(row_facts(batch, rows), batch.id)
            self._ingested(batch.id, request, reading, batch.revision, removed=[])

    def _again(self, batch: Batch, request: RequestBatch) -> None:
        """The same batch: a further phase, the same sheet, or a corrected one."""
        if batch.cancelled or batch.cancelling:
            raise Refusal("batch-cancelled")
        if batch.creditor != request.creditor or batch.batch_options != request.options:
            raise Refusal("options-differ")
        if batch.merging or batch.sheet_ref != request.sheet:
            self._merge(batch, request)
        self._allow(self._change(batch.id), request.until)

    def _merge(self, batch: Batch, request: RequestBatch) -> None:
        with self._reading(request) as reading:
            incoming: dict[int, tuple[str, str]] = {}
            for checked in reading:
                record = (
                    to_record(checked, batch.id, batch.creditor, request.options.letter) if checked.accepted else None
                )
                incoming[checked.row] = (content_hash(record), duplicate_key(record)) if record else ("", "")
            self._change(batch.id, merging=True)  # from here on the pacer issues none of its rows
            standing = self._standing(batch.id)
            if trouble := _issued_rows_disturbed(standing, incoming):
                self._change(batch.id, merging=batch.merging)
                raise Refusal("rows-changed", trouble)
            revision = batch.revision + 1
            for chunk in _chunks(reading):
                fresh = [
                    self._row(request, checked, revision)
                    for checked in chunk
                    if checked.row not in standing or not standing[checked.row].begun
                ]
                self._replace([row.id for row in fresh], fresh)
                self._say(row_facts(batch, fresh), batch.id)
            gone = sorted(set(standing) - set(incoming))
            for start in range(0, len(gone), CHUNK):
                self._replace([record_id(batch.id, number) for number in gone[start : start + CHUNK]], [])
            self._ingested(batch.id, request, reading, revision, removed=gone)

    def _replace(self, ids: Sequence[UUID], rows: Sequence[Row]) -> None:
        with self._database.write() as session:
            session.connection().execute(delete(Row).where(col(Row.id).in_(ids)))
            session.add_all(rows)

    def _change(self, batch_id: UUID, **values: object) -> Batch:
        """Set some of the batch's columns; others belong to control, which may be at work on them."""
        with self._database.write() as session:
            batch = session.get_one(Batch, batch_id, with_for_update=True)
            for name, value in values.items():
                setattr(batch, name, value)
            session.add(batch)
        return batch

    def _allow(self, batch: Batch, until: Phase) -> None:
        if list(Phase).index(until) <= list(Phase).index(Phase(batch.until)):
            return
        changed = self._change(batch.id, until=until.value, revision=batch.revision + 1)
        self._say([BatchAllowed(batch_id=batch.id, revision=changed.revision, until=until)], batch.id)

    # -- inside

    def _reading(self, request: RequestBatch) -> _Opened:
        return _Opened(self._documents.get(request.sheet), request, self._creditors)

    def _row(self, request: RequestBatch, checked: CheckedRow, revision: int) -> Row:
        row = Row(
            id=record_id(request.batch_id, checked.row), batch_id=request.batch_id, number=checked.row,
            creditor=request.creditor, state=RowState.REJECTED.value, revision=revision,
            problems=[problem.model_dump(mode="json") for problem in checked.problems],
            warnings=[warning.model_dump(mode="json") for warning in checked.warnings],
        )  # fmt: skip
        if checked.accepted:
            record = to_record(checked, request.batch_id, request.creditor, request.options.letter)
            row.hold(record)
            row.state, row.step, row.phase = RowState.READY.value, Step.IUV.value, Phase.GENERATE.value
            row.sheet_hash, row.duplicate = content_hash(record), duplicate_key(record)
        else:
            row.cells = checked.cells
        return row

    def _ingested(
        self, batch_id: UUID, request: RequestBatch, reading: Reading, revision: int, removed: list[int]
    ) -> None:
        counted = {
            "rows": reading.accepted + reading.rejected,
            "accepted": reading.accepted,
            "rejected": reading.rejected,
            "total_cents": reading.total_cents,
            "hidden_rows": reading.hidden_rows,
            "hidden_sheets": reading.hidden_sheets,
            "blank_rows": reading.blank_rows,
            "ignored_columns": reading.ignored_columns,
            "warnings": [warning.model_dump() for warning in reading.warnings],
            "removed_rows": removed,
            "sheet_name": reading.sheet_name,
        }
        batch = self._change(
            batch_id, reading=counted, ingested=True, merging=False, revision=revision, stated="",
            sheet=request.sheet.model_dump(mode="json"), file_name=request.file_name,
        )  # fmt: skip
        self._say(batch_facts(batch), batch_id)

    def _standing(self, batch_id: UUID) -> dict[int, Standing]:
        found: dict[int, Standing] = {}
        with self._database.read() as session:
            for row in session.exec(select(Row).where(Row.batch_id == batch_id)).yield_per(CHUNK):
                hashes = {row.sheet_hash} | ({content_hash(row.whole)} if row.begun else set())
                found[row.number] = Standing(row.begun, frozenset(hashes), row.duplicate)
                session.expunge(row)
        return found

    def _answer(self, answer: CommandTaken | CommandRefused) -> CommandTaken | CommandRefused:
        with self._database.write() as session:
            if (before := answered(session, answer.command_id)) is not None:
                return before
            keep(session, answer, self._now())
        return answer

    def _say(self, facts: Sequence[Fact], batch_id: UUID, causation: str = "") -> None:
        self._publish(
            [
                Envelope.of(fact, source="ingest", correlation=batch_id, causation=causation, id=_id(fact))
                for fact in facts
            ]
        )


class _Opened:
    """The reading of a stored spreadsheet, over a temporary file that ends with it."""

    def __init__(self, content: bytes, request: RequestBatch, creditors: Creditors) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="staffetta-")
        path = Path(self._folder.name) / "tracciato.xlsx"
        path.write_bytes(content)
        try:
            self._reading = read_tracciato(path, request.options, creditors.creditors[request.creditor])
        except BaseException:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Reading:
        return self._reading.__enter__()

    def __exit__(self, *_: object) -> None:
        self._reading.__exit__()
        self._folder.cleanup()


def _chunks(rows: Iterator[CheckedRow] | Reading) -> Iterator[list[CheckedRow]]:
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


def _issued_rows_disturbed(standing: Mapping[int, Standing], incoming: Mapping[int, tuple[str, str]]) -> list[Problem]:
    """The issued rows that the file changes, drops or moves."""
    disturbed = [
        number for number, row in standing.items()
        if row.begun and incoming.get(number, ("", ""))[0] not in row.hashes
    ]  # fmt: skip
    elsewhere = {duplicate: number for number, (_, duplicate) in sorted(incoming.items(), reverse=True) if duplicate}
    problems = []
    for number in sorted(disturbed)[:ROWS_LISTED]:
        to = elsewhere.get(standing[number].duplicate)
        if to is not None and to != number:
            code, text = "row-moved", MOVED.format(row=number, to=to)
        elif number in incoming:
            code, text = "row-changed", CHANGED.format(row=number)
        else:
            code, text = "row-missing", MISSING.format(row=number)
        problems.append(Problem(row=number, column="", code=code, message=text))
    return problems


def _id(fact: Fact) -> UUID | None:
    match fact:
        case CommandTaken() | CommandRefused():
            return derived(type(fact).__name__, fact.command_id)
    return None
