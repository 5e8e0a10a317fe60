"""Taking in a batch: a spreadsheet for the first time, or a corrected one that is merged by row number.

Each way in can be cut at any point and taken again: a reading that was cut is made anew, under a higher revision, so that
what was said of the first half is overruled by what is said of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import ColumnElement, delete
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from services.ingest.asking import REFUSALS, WholeRequest, allow, check_options
from services.ingest.merging import Incoming, disturbed, held_rows
from services.ingest.model import content_hash, duplicate_key
from services.ingest.reading import CHUNK, chunks, counted, opened, record_of, row_of, template_of
from services.ingest.refusals import Refusal, answered, keep, refused
from services.ingest.restate import batch_facts
from services.ingest.row_facts import row_facts
from services.ingest.tables import Batch, ClientRequest, Row
from services.ingest.tracciato import Reading, StructureError
from shared.bus.outages import OUTAGES
from shared.contracts.base import Phase
from shared.contracts.commands import RequestBatch
from shared.contracts.envelope import Envelope
from shared.contracts.facts import CommandRefused, CommandTaken, Fact
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.db.locking import turn
from shared.documents import DocumentStore
from shared.ids import derived, record_id

log = structlog.get_logger()
SENTENCES = REFUSALS | {
    "client-batch": "Questo invio massivo è stato chiesto da un altro sistema: un file non lo può cambiare. Correggi una riga dalla "
    "sua pagina, oppure fai ripetere la richiesta a quel sistema con un nuovo identificativo.",
    "options-differ": "Il tracciato è già stato preso in carico con altre opzioni: ripeti con le stesse, oppure avvia un nuovo "
    "invio massivo.",
    "rows-changed": "Il file cambia righe i cui avvisi sono già stati emessi: non è stato acquisito nulla. Riporta le righe "
    "com'erano e correggile una per una dalla loro pagina (Correggi e rimanda).",
    "sheet-missing": "Il file caricato non si trova più: caricalo di nuovo.",
    "unexpected": "Il file non si è potuto leggere per un errore del sistema: avvisa chi lo gestisce.",
}


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

    def take_any(self, request: RequestBatch, causation: str = "") -> None:
        """A request as it came. One of our own that names no batch, command or sheet is a bug of ours: nobody waits for
        its answer."""
        try:
            whole = WholeRequest.model_validate(request.model_dump())
        except ValidationError:
            log.warning("ingest.request-incomplete")
        else:
            self.take(whole, causation)

    def take(self, request: WholeRequest, causation: str = "") -> None:
        """One request, whole. A repeat gets the same answer. Raises outages only."""
        try:
            with turn(self._database, f"ingest.batch.{request.batch_id}"):  # delivered twice, it is read once
                answer = self._take(request)
        except Refusal as refusal:
            answer = self._refused(request, refusal, SENTENCES.get(refusal.code, ""))
        except StructureError as error:
            answer = self._refused(request, Refusal(error.code), error.message_it)
        except OUTAGES:
            raise
        except Exception:
            log.exception("ingest.unexpected", command_id=str(request.command_id))
            answer = self._refused(request, Refusal("unexpected"), SENTENCES["unexpected"])
        self._say([answer], request.batch_id, causation)

    # -- one request

    def _take(self, request: WholeRequest) -> CommandTaken | CommandRefused:
        with self._database.read() as session:
            answer = answered(session, request.command_id)
            batch = session.get(Batch, request.batch_id)
        if answer is not None:
            if batch is not None and batch.ingested:
                self._say(batch_facts(batch), batch.id)
            return answer
        check_options(request, self._creditors.creditors.get(request.creditor))
        if batch is None or not batch.ingested:
            self._first(request)
        else:
            self._again(batch, request)
        return self._answer(CommandTaken(command_id=request.command_id, batch_id=request.batch_id))

    def _first(self, request: WholeRequest) -> None:
        """Read the spreadsheet, a chunk of rows in each transaction; what a crash left half-way is read anew."""
        with opened(request, self._documents, self._creditors) as reading:
            template = template_of(request, self._documents, self._creditors)
            batch, before = self._begin(request)
            numbers: set[int] = set()
            for chunk in chunks(reading):
                rows = [row_of(request, checked, batch.revision, template=template) for checked in chunk]
                numbers.update(row.number for row in rows)
                self._replace([], rows)
                self._say(row_facts(rows, batch.revision), batch.id)
            self._ingested(batch, request, reading, removed=before - numbers)

    def _begin(self, request: WholeRequest) -> tuple[Batch, set[int]]:
        """The batch without rows, and the numbers of those that were told of already."""
        with self._database.write() as session:
            mine = col(Row.batch_id) == request.batch_id
            before = set(session.exec(select(Row.number).where(mine)))
            _lock(session, mine)
            session.connection().execute(delete(Row).where(mine))
            old = session.get(Batch, request.batch_id)
            batch = Batch(
                id=request.batch_id, client=request.client, request_id=request.request_id, by=request.by,
                creditor=request.creditor, options=request.options.model_dump(mode="json", exclude_none=True),
                sheet=request.sheet.model_dump(mode="json"), file_name=request.file_name, until=request.until.value,
                created_at=old.created_at if old else self._now(), revision=old.revision + 1 if old else 1,
            )  # fmt: skip
            return session.merge(batch), before

    def _again(self, batch: Batch, request: WholeRequest) -> None:
        """The same batch: a further phase, the same sheet, or a corrected one."""
        if batch.cancelled or batch.cancelling:
            raise Refusal("batch-cancelled")
        if batch.sheet_ref != request.sheet and self._asked_by_client(batch.id):
            raise Refusal("client-batch")
        if batch.creditor != request.creditor or batch.batch_options != request.options:
            raise Refusal("options-differ")
        if batch.merging or batch.sheet_ref != request.sheet:
            self._merge(batch, request)
        self._say(batch_facts(self._allow(batch.id, request.until)), batch.id)

    def _asked_by_client(self, batch_id: UUID) -> bool:
        """Its rows are numbered as the request lists them, and have the client's references: no file knows either."""
        with self._database.read() as session:
            return session.get(ClientRequest, batch_id) is not None

    def _merge(self, before: Batch, request: WholeRequest) -> None:
        with opened(request, self._documents, self._creditors) as reading:
            template = template_of(request, self._documents, self._creditors)
            incoming: dict[int, Incoming] = {}
            for checked in reading:
                record = record_of(request, checked)
                incoming[checked.row] = Incoming(content_hash(record), duplicate_key(record)) if record else Incoming()
            batch = self._change(before.id, merging=True)  # from here on the pacer issues none of its rows
            held = held_rows(self._database, batch.id)
            if trouble := disturbed(held, incoming):
                self._change(batch.id, merging=before.merging)
                raise Refusal("rows-changed", trouble)
            for chunk in chunks(reading):
                fresh = [
                    row_of(request, checked, batch.revision, template=template)
                    for checked in chunk
                    if checked.row not in held or not held[checked.row].begun
                ]
                self._replace([row.id for row in fresh], fresh)
                self._say(row_facts(fresh, batch.revision), batch.id)
            gone = sorted(set(held) - set(incoming))
            for start in range(0, len(gone), CHUNK):
                self._replace([record_id(batch.id, number) for number in gone[start : start + CHUNK]], [])
            self._ingested(batch, request, reading, removed=set(gone))

    def _replace(self, ids: Sequence[UUID], rows: Sequence[Row]) -> None:
        with self._database.write() as session:
            _lock(session, mine := col(Row.id).in_(ids))
            session.connection().execute(delete(Row).where(mine))
            session.add_all(rows)

    def _change(self, batch_id: UUID, **values: object) -> Batch:
        """Set some of the batch's columns, under the next revision; others belong to control, which may be at work on
        them."""
        with self._database.write() as session:
            batch = session.get_one(Batch, batch_id, with_for_update=True)
            for name, value in values.items():
                setattr(batch, name, value)
            batch.revision += 1
            session.add(batch)
        return batch

    def _allow(self, batch_id: UUID, until: Phase) -> Batch:
        with self._database.write() as session:
            return allow(session, batch_id, until)

    # -- inside

    def _ingested(self, batch: Batch, request: WholeRequest, reading: Reading, removed: set[int]) -> None:
        """A reading is complete. Rows that an earlier file took away stay told of, unless they came back."""
        numbers = {*batch.reading.get("removed_rows", []), *removed}
        with self._database.read() as session:
            there = set(session.exec(select(Row.number).where(Row.batch_id == batch.id)))
        batch = self._change(
            batch.id, reading=counted(reading, sorted(numbers - there)), ingested=True, merging=False, stated="",
            sheet=request.sheet.model_dump(mode="json"), file_name=request.file_name,
        )  # fmt: skip
        self._say(batch_facts(batch), batch.id)

    def _refused(self, request: WholeRequest, refusal: Refusal, message: str) -> CommandTaken | CommandRefused:
        return self._answer(refused(request.command_id, request.batch_id, refusal, message))

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


def _lock(session: Session, condition: ColumnElement[bool]) -> None:
    """The rows, in the order in which everybody locks them."""
    session.connection().execute(sql_select(col(Row.id)).where(condition).order_by(col(Row.id)).with_for_update())


def _id(fact: Fact) -> UUID | None:
    match fact:
        case CommandTaken() | CommandRefused():
            return derived(type(fact).__name__, fact.command_id)
    return None
