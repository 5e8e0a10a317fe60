"""Requests of other systems: whole or not at all, within what the client is granted, and answered whatever they are.

A client's batch is taken in one transaction. What must be said about it is said afterwards, and the message is let go only
then: a crash between the two is a repeat, and a repeat says what was left unsaid.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog
from sqlalchemy.exc import IntegrityError

from services.ingest.asking import WholeRequest, allow, check_options, further
from services.ingest.form import SENTENCES, WrongRecord, check_form, refused
from services.ingest.granting import check_grant, check_request, count_records, count_request
from services.ingest.intake import NoRequest
from services.ingest.reading import counted, row_of, template_of
from services.ingest.refusals import Refusal
from services.ingest.restate import batch_facts, pages
from services.ingest.row_facts import row_facts
from services.ingest.tables import Batch, ClientRequest
from services.ingest.tracciato import Listing, StructureError, field_of
from shared.bus.outages import OUTAGES
from shared.contracts.base import Phase
from shared.contracts.commands import RequestBatch
from shared.contracts.envelope import Envelope
from shared.contracts.facts import Fact
from shared.contracts.outcomes import Outcome, RequestAccepted, RequestRefused
from shared.contracts.record import DocumentRef
from shared.creditors import Creditors
from shared.creditors.models import Client
from shared.db.engine import Database
from shared.documents import JSON, DocumentStore
from shared.ids import derived

log = structlog.get_logger()
PLAIN = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


class Requests:
    """Takes what other systems publish to the queue `ingest.batches`."""

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

    def take(self, request: RequestBatch, client: str, causation: str = "") -> None:
        """One request of `client`, as the broker validated it. Raises outages only."""
        grant = self._grant(client)
        if grant is None:
            return
        try:
            answer = self._answered(request, client, grant)
        except Refusal as refusal:
            answer = refused(request.request_id, refusal)
        except StructureError as error:
            answer = RequestRefused(request_id=request.request_id, code=error.code, detail=error.message_it)
        except OUTAGES:
            raise
        except Exception:
            log.exception("ingest.unexpected", client=client)
            answer = refused(request.request_id, Refusal("unexpected"))
        self._answer(answer, client, causation)
        with self._database.write() as session:
            count_request(session, client, grant, self._now())
            if isinstance(answer, RequestAccepted):
                session.get_one(ClientRequest, answer.batch_id, with_for_update=True).again = True

    def refuse(self, body: NoRequest, client: str, causation: str = "") -> None:
        """Answer a body that is no request. It counts as one: reading it took time."""
        grant = self._grant(client)
        if grant is None:
            return
        code: str = body.code
        try:
            self._check_request(client, grant)
        except Refusal as refusal:
            code = refusal.code
        where = {"request_id": body.request_id, "record": body.record, "field": body.field}
        self._answer(
            RequestRefused.model_validate({**where, "code": code, "detail": SENTENCES[code]}), client, causation
        )
        with self._database.write() as session:
            count_request(session, client, grant, self._now())

    # -- one request

    def _grant(self, client: str) -> Client | None:
        grant = self._creditors.clients.get(client)
        if grant is None:
            log.warning("ingest.stranger-refused", user=client)
        return grant

    def _check_request(self, client: str, grant: Client) -> None:
        with self._database.read() as session:
            check_request(session, client, grant, self._now())

    def _answered(self, request: RequestBatch, client: str, grant: Client) -> Outcome:
        try:
            return self._take(request, client, grant)
        except IntegrityError:  # another process took the same one at the same moment
            return self._take(request, client, grant)

    def _take(self, request: RequestBatch, client: str, grant: Client) -> RequestAccepted:
        self._check_request(client, grant)
        check_form(request)
        check_grant(request, grant)
        whole, content = _whole(request, client)
        batch = self._known(whole) or self._first(whole, content, grant)
        self._state(batch)
        return RequestAccepted(
            request_id=request.request_id, batch_id=batch.id, records=len(request.records), until=Phase(batch.until)
        )

    def _known(self, request: WholeRequest) -> Batch | None:
        """The batch, where it was taken before, with the phase allowed that is asked for now."""
        with self._database.write() as session:
            batch = session.get(Batch, request.batch_id)
            if batch is None:
                return None
            if batch.sheet_ref.sha256 != request.sheet.sha256:
                raise Refusal("content-differs")
            if not further(request.until, batch.until):
                return batch
            if batch.cancelled or batch.cancelling:
                raise Refusal("batch-cancelled")
            allowed = allow(session, batch.id, request.until)
            session.get_one(ClientRequest, batch.id).stated = False
            return allowed

    def _first(self, request: WholeRequest, content: bytes, grant: Client) -> Batch:
        creditor = check_options(request, self._creditors.creditors.get(request.creditor))
        listing = Listing(request.records, request.options, creditor)
        template, rows = template_of(request, self._documents, self._creditors), []
        for checked, record in zip(listing, request.records, strict=True):
            if checked.problems:
                first = checked.problems[0]
                raise WrongRecord(first.code, record.reference, field_of(first.column), first.message)
            rows.append(row_of(request, checked, 1, record.reference, template=template))
        now = self._now()
        batch = Batch(
            id=request.batch_id, client=request.client, request_id=request.request_id, creditor=request.creditor,
            options=request.options.model_dump(mode="json", exclude_none=True), ingested=True,
            sheet=self._documents.put(content, JSON).model_dump(mode="json"), file_name=request.file_name,
            until=request.until.value, created_at=now, reading=counted(listing, []),
        )  # fmt: skip
        asked = ClientRequest(batch_id=batch.id, client=request.client, request_id=request.request_id)
        with self._database.write() as session:
            count_records(session, request.client, grant, now, len(rows))
            session.add_all([batch, asked, *rows])
        return batch

    def _state(self, batch: Batch) -> None:
        """Tell the inside of the batch, once."""
        with self._database.read() as session:
            asked = session.get_one(ClientRequest, batch.id)
        if asked.stated:
            return
        for rows in pages(self._database, batch.id):
            self._say(row_facts(rows, batch.revision), batch)
        self._say(batch_facts(batch), batch)
        with self._database.write() as session:
            session.get_one(ClientRequest, batch.id, with_for_update=True).stated = True

    def _say(self, facts: Iterable[Fact], batch: Batch) -> None:
        self._publish([Envelope.of(fact, source="ingest", correlation=batch.id) for fact in facts])

    def _answer(self, answer: Outcome, client: str, causation: str) -> None:
        name = derived(type(answer).__name__, client, causation, answer.model_dump_json())
        self._publish([Envelope.of(answer, source="ingest", client=client, causation=causation, id=name)])


def plain(message_id: str) -> str:
    """A client's own message id, for its answer's causation, where it can stand in a header."""
    return message_id if PLAIN.fullmatch(message_id) else ""


def _whole(request: RequestBatch, client: str) -> tuple[WholeRequest, bytes]:
    """The request under our own ids, and the part of it that makes it the same request, as it is kept."""
    asked = request.model_dump(mode="json", include={"creditor", "options", "records"}, exclude_defaults=True)
    content = json.dumps(asked, sort_keys=True, ensure_ascii=False).encode()
    batch_id = derived("batch", client, request.request_id)
    ours = {
        "command_id": derived("command", batch_id),
        "batch_id": batch_id,
        "client": client,
        "by": "",
        "sheet": DocumentRef(sha256=hashlib.sha256(content).hexdigest(), media_type=JSON, size=len(content)),
        "file_name": request.request_id,
    }
    given = {name: getattr(request, name) for name in ("request_id", "creditor", "options", "records", "until")}
    return WholeRequest.model_validate(given | ours), content
