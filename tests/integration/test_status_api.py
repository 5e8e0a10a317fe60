"""The status service's API over ASGI, on a real database and a real document store."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.status.api.events import follow
from services.status.api.hub import Hub
from services.status.api.kept import unanswered
from services.status.api.openapi import openapi_json
from services.status.fold import FOLDERS
from services.status.fold.records import attempted
from services.status.fold.working import WorkingSet
from shared.contracts import facts
from shared.contracts.base import Channel, Phase, StageName
from shared.contracts.commands import (
    CorrectRecord,
    GenerateNotices,
    Message,
    PreviewRecord,
    RequestBatch,
    Restate,
    RetryRecords,
    SettleSending,
)
from shared.contracts.envelope import Envelope
from shared.contracts.record import Delivery, Record, SectionState
from shared.ids import record_id
from tests.builders import a_record
from tests.status_house import BASE, SHEET, House, asked, batch_of, ingested, sheet_part

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def run(house: House, story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with house.client() as client:
            await story(client)

    asyncio.run(whole())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


def record_of(batch_id: UUID, row: int, **parts: Any) -> Record:
    return a_record(row, id=record_id(batch_id, row), batch_id=batch_id, **parts)


async def ask(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    return await client.post("/api/v1/batches", data=asked(**changes), files=sheet_part())


async def ready_batch(house: House, client: httpx.AsyncClient, rows: int = 3) -> tuple[UUID, list[Record]]:
    batch_id = batch_of(await ask(client))
    request = house.broker.last()
    assert isinstance(request, RequestBatch)
    records = [record_of(batch_id, row) for row in range(2, 2 + rows)]
    house.ingest(request, records)
    return batch_id, records


def test_a_request_is_kept_published_and_pending_at_once(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        response = await ask(client)
        assert response.status_code == 202
        batch_id = batch_of(response)
        assert batch_id.version == 7
        assert response.headers["location"] == f"/api/v1/batches/{batch_id}"
        shown = (await client.get(response.headers["location"])).json()
        assert (shown["state"], shown["file_name"]) == ("pending", "scuolabus.xlsx")
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        assert request.sheet is not None
        assert house.documents.get(request.sheet) == SHEET
        assert request.options.register_options is not None
        assert request.options.register_options.classification == "7.1"
        assert request.options.reason == "Servizio di trasporto scolastico"

    run(house, story)


def test_the_same_key_with_the_same_request_is_the_same_batch_and_with_another_a_problem(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        client.headers["idempotency-key"] = "k-1"
        first, second = await ask(client), await ask(client)
        assert first.json() == second.json()
        assert len(house.broker.published) == 1
        other = await ask(client, channel="email")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")

    run(house, story)


def test_a_command_is_published_again_until_it_is_answered(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        house.broker.down = True
        response = await ask(client)
        assert response.status_code == 202
        assert house.broker.published == []
        house.broker.down = False
        assert house.service.sweep() == 1
        assert house.service.sweep() == 1
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        assert {envelope.id for envelope in house.broker.published} == {str(request.command_id)}
        house.tell(facts.CommandTaken(command_id=request.command_id, batch_id=request.batch_id))
        assert house.service.sweep() == 0
        with house.service.database.read() as session:
            assert unanswered(session, datetime.now(UTC)) == []

    run(house, story)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"creditor": "c_z000"}, "creditor"),
        ({"payment_type": "multe"}, "payment_type"),
        ({"letter": "auguri"}, "letter"),
        ({"due_date": "2020-01-31"}, "due_date"),
        ({"due_date": "domani"}, "body.due_date"),
        ({"channel": "piccione"}, "body.channel"),
        ({"colour": "red"}, "body.colour"),
    ],
)
def test_a_wrong_field_is_named_in_a_problem(house: House, changes: dict[str, str], field: str) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        response = await ask(client, **changes)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in response.json()["errors"]] == [field]
        assert house.broker.published == []

    run(house, story)


def test_a_file_that_is_too_large_is_refused_while_it_is_read(tmp_path: Path) -> None:
    small = House.at(tmp_path, upload_limit_bytes=100_000)

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\n'
        for sent in range(1000):
            assert sent < 50, "it went on reading"
            yield b"0" * 10_000

    async def story(client: httpx.AsyncClient) -> None:
        declared = await client.post("/api/v1/batches", data=asked(), files=sheet_part(b"0" * 200_000))
        assert (declared.status_code, declared.json()["code"]) == (413, "too-large")
        just_over = await client.post("/api/v1/batches", data=asked(), files=sheet_part(b"0" * 100_001))
        assert just_over.status_code == 413
        headers = {"content-type": "multipart/form-data; boundary=x"}
        streamed = await client.post("/api/v1/batches", content=endless(), headers=headers)
        assert (streamed.status_code, streamed.json()["code"]) == (413, "too-large")

    run(small, story)


def test_the_batch_counts_its_records_and_explains_what_stops(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, client)
        house.sent(house.generated(records[0]))
        house.generated(records[1])
        stopped = records[2]
        house.tell(
            facts.RecordParked(
                batch_id=batch_id, record_id=stopped.id, stage=StageName.IUV, issue=4, code="pagopa-rejected"
            ),
            facts.LaneClosed(
                stage=StageName.IUV, lane="pagopa", code="timeout", since=datetime(2026, 11, 24, 9, 42, tzinfo=UTC)
            ),
        )
        shown = (await client.get(f"/api/v1/batches/{batch_id}")).json()
        assert {item["state"]: item["count"] for item in shown["counts"]} == {"generated": 1, "sent": 1, "stuck": 1}
        assert [(cause["stage"], cause["code"], cause["count"]) for cause in shown["causes"]] == [
            ("iuv", "pagopa-rejected", 1)
        ]
        assert [lane["message"] for lane in shown["lanes"]] == ["in attesa: pagoPA non risponde dalle 10:42"]
        assert shown["total_cents"] == 3 * 8505
        listed = (await client.get("/api/v1/batches")).json()
        assert [item["id"] for item in listed["items"]] == [str(batch_id)]

    run(house, story)


def test_records_are_found_by_words_in_a_body_and_by_state(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, client)
        house.generated(records[1])
        url = f"/api/v1/batches/{batch_id}/records/search"
        found = (await client.post(url, json={"text": "ROSSI mària"})).json()
        assert (found["total"], [item["row"] for item in found["items"]]) == (3, [2, 3, 4])
        found = (await client.post(url, json={"states": ["generated"]})).json()
        assert [item["notice_code"] for item in found["items"]] == ["312000000000000300"]
        assert (await client.post(url, json={"text": "100%"})).json()["total"] == 0
        paged = (await client.post(url, json={"page": 2, "page_size": 2})).json()
        assert (paged["pages"], [item["row"] for item in paged["items"]]) == (2, [4])
        assert (await client.post(url, json={"testo": "rossi"})).status_code == 422
        assert (await client.post(f"/api/v1/batches/{uuid4()}/records/search", json={})).status_code == 404
        assert (await client.post(url, json={"page": 10**20})).status_code == 422

    run(house, story)


def test_a_record_shows_its_timeline_sections_and_documents(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, client)
        record = house.sent(house.registered(house.generated(records[0])))
        shown = (await client.get(f"/api/v1/records/{record.id}")).json()
        kinds = [entry["kind"] for entry in shown["timeline"]]
        assert sorted(kinds) == sorted(
            ["record-accepted", "iuv-assigned", "notice-rendered", "notice-registered", "notice-sent"]
        )
        assert (shown["state"], shown["protocol_number"]) == ("sent", "0000002/2026")
        assert shown["record"]["sending"]["order"] == 1
        notice = await client.get(f"/api/v1/records/{record.id}/documents/notice")
        assert notice.content == b"%PDF-1.7 notice 2"
        assert notice.headers["content-type"] == "application/pdf"
        assert notice.headers["content-disposition"] == 'inline; filename="avviso-riga-2.pdf"'
        assert notice.headers["x-content-type-options"] == "nosniff"
        assert notice.headers["cache-control"] == "no-store"

    run(house, story)


def asked_for(house: House, record: Record, **made: Any) -> threading.Thread:
    """Render, which answers the first preview that is asked for."""

    def answer() -> None:
        while not isinstance(command := house.broker.last(), PreviewRecord):
            time.sleep(0.01)
        assert command.record.id == record.id
        told = {"batch_id": record.batch_id, "record_id": record.id, "revision": command.revision, **made}
        house.tell(facts.PreviewRendered.model_validate(told), source="render")

    render = threading.Thread(target=answer, daemon=True)
    render.start()
    return render


def test_a_notice_that_nobody_previewed_is_made_when_somebody_looks(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, client)
        notice = house.documents.put(b"%PDF-1.7 FAC-SIMILE notice", "application/pdf")
        render = asked_for(house, records[1], notice=notice)
        url = f"/api/v1/records/{records[1].id}/documents/notice"
        assert (await client.get(url)).content == b"%PDF-1.7 FAC-SIMILE notice"
        render.join()
        asked = len(house.broker.published)
        assert (await client.get(url)).status_code == 200
        assert len(house.broker.published) == asked
        house.generated(records[1])
        assert (await client.get(url)).content == b"%PDF-1.7 notice 3"

    run(house, story)


def test_a_preview_that_cannot_be_made_says_why_and_a_late_one_to_try_again(tmp_path: Path) -> None:
    house = House.at(tmp_path, preview_seconds=2.0)

    async def story(client: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, client)
        render = asked_for(house, records[0], code="does-not-fit", detail="Il campo è troppo lungo.")
        failed = await client.get(f"/api/v1/records/{records[0].id}/documents/notice")
        render.join()
        assert (failed.status_code, failed.json()["code"]) == (409, "preview-failed")
        assert "troppo lungo" in failed.json()["detail"]
        late = await client.get(f"/api/v1/records/{records[1].id}/documents/notice")
        assert (late.status_code, late.json()["code"]) == (503, "preview-late")
        house.broker.down = True
        assert (await client.get(f"/api/v1/records/{records[1].id}/documents/notice")).status_code == 503

    run(house, story)


def test_the_letter_is_the_previews_until_there_is_a_final_one(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, client)
        url = f"/api/v1/records/{records[0].id}/documents/letter"
        assert (await client.get(url)).status_code == 404
        letter = house.documents.put(b"%PDF-1.7 FAC-SIMILE", "application/pdf")
        house.tell(facts.PreviewRendered(batch_id=batch_id, record_id=records[0].id, letter=letter), source="render")
        assert (await client.get(url)).content == b"%PDF-1.7 FAC-SIMILE"
        house.generated(records[0])
        assert (await client.get(url)).content == b"%PDF-1.7 letter 2"

    run(house, story)


def test_a_document_that_was_altered_is_not_shown(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, client)
        made = house.generated(records[0]).documents
        assert made is not None
        assert made.notice is not None
        house.documents.path(made.notice).write_bytes(b"%PDF-1.7 another")
        response = await client.get(f"/api/v1/records/{records[0].id}/documents/notice")
        assert (response.status_code, response.json()["code"]) == (500, "document-corrupt")

    run(house, story)


def test_decisions_are_taken_in_their_order(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id = batch_of(await ask(client))
        url = f"/api/v1/batches/{batch_id}"
        early = await client.post(f"{url}/generate")
        assert (early.status_code, early.json()["code"]) == (409, "out-of-order")
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        house.ingest(request, [record_of(batch_id, 2)])
        assert (await client.post(f"{url}/send")).status_code == 409
        assert (await client.post(f"{url}/generate")).status_code == 202
        assert isinstance(house.broker.last(), GenerateNotices)
        house.tell(facts.BatchAllowed(batch_id=batch_id, revision=2, until=Phase.GENERATE))
        for action in ("send", "pause", "cancel", "restate"):
            assert (await client.post(f"{url}/{action}")).status_code == 202, action
        assert isinstance(house.broker.last(), Restate)
        house.tell(facts.BatchCancelled(batch_id=batch_id, revision=3))
        assert (await client.post(f"{url}/send")).status_code == 409
        assert (await client.post(f"/api/v1/batches/{uuid4()}/send")).status_code == 404

    run(house, story)


def test_a_refused_command_shows_with_its_reason(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, _ = await ready_batch(house, client)
        await client.post(f"/api/v1/batches/{batch_id}/generate")
        command = house.broker.last()
        assert isinstance(command, GenerateNotices)
        house.tell(
            facts.CommandRefused(command_id=command.command_id, batch_id=batch_id, code="no", message="Non ora.")
        )
        newest = (await client.get(f"/api/v1/batches/{batch_id}")).json()["commands"][0]
        assert (newest["kind"], newest["answer"], newest["message"]) == ("generate-notices", "refused", "Non ora.")

    run(house, story)


def test_a_refused_spreadsheet_makes_a_refused_batch(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id = batch_of(await ask(client))
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        refused = facts.CommandRefused(
            command_id=request.command_id, batch_id=batch_id, code="not-xlsx", message="Non è un xlsx."
        )
        house.tell(refused)
        shown = (await client.get(f"/api/v1/batches/{batch_id}")).json()
        assert (shown["state"], shown["refusal"]["code"]) == ("refused", "not-xlsx")

    run(house, story)


def test_what_is_parked_can_be_retried_once(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, client)
        url = f"/api/v1/records/{records[0].id}/retry"
        assert (await client.post(url)).status_code == 409
        house.tell(
            facts.RecordParked(batch_id=batch_id, record_id=records[0].id, stage=StageName.IUV, issue=4, code="x")
        )
        assert (await client.post(url)).status_code == 202
        command = house.broker.last()
        assert isinstance(command, RetryRecords)
        assert command.record_ids == [records[0].id]

    run(house, story)


def test_a_correction_names_the_orders_that_the_person_saw(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, client)
        record = house.sent(house.generated(records[0]), SectionState.REFUSED, "recipient-refused")
        shown = (await client.get(f"/api/v1/records/{record.id}")).json()
        assert shown["actions"] == ["correct"]
        body = {"orders": shown["orders"], "correction": {"address": "nuovo@pec.example"}}
        assert (await client.post(f"/api/v1/records/{record.id}/correct", json=body)).status_code == 202
        command = house.broker.last()
        assert isinstance(command, CorrectRecord)
        assert (command.correction.address, command.orders.dispatch) == ("nuovo@pec.example", 1)

    run(house, story)


def test_an_uncertain_sending_is_settled_by_a_person(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, client)
        record = house.sent(house.generated(records[0]), SectionState.UNCERTAIN, "interrupted")
        url, verdict = f"/api/v1/records/{record.id}/settle", {"stage": "dispatch", "order": 1, "verdict": "not-done"}
        assert (await client.post(url, json=verdict | {"stage": "iuv"})).status_code == 422
        assert (await client.post(url, json=verdict)).status_code == 202
        command = house.broker.last()
        assert isinstance(command, SettleSending)
        assert (command.record_id, command.verdict) == (record.id, "not-done")
        registration = verdict | {"stage": "protocol", "verdict": "done"}
        assert (await client.post(url, json=registration)).status_code == 422

    run(house, story)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "attacker.example"}, 421),
        ({"host": "127.0.0.1.attacker.example:8600"}, 421),
        ({"host": "localhost:8600"}, 202),
        ({"origin": "http://attacker.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": BASE}, 202),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 202),
    ],
)
def test_only_this_machine_and_its_own_pages_give_orders(house: House, headers: dict[str, str], status: int) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        response = await client.post("/api/v1/restate", headers=headers)
        assert response.status_code == status

    run(house, story)


def test_every_answer_is_hardened_and_every_error_is_a_problem(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        for path, status in [("/api/v1/nothing", 404), ("/api/v1/batches/7", 422), (f"/api/v1/records/{uuid4()}", 404)]:
            response = await client.get(path)
            assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
            assert response.json()["type"].startswith("urn:staffetta:problem:")
            assert "default-src 'none'" in response.headers["content-security-policy"]
        assert (await client.delete("/api/v1/batches")).status_code == 405

    run(house, story)


def test_health_readiness_and_metrics_tell_no_names(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        await ready_batch(house, client)
        assert (await client.get("/healthz")).json()["status"] == "ok"
        assert (await client.get("/readyz")).status_code == 200
        house.troubles["render"] = "OperationalError"
        held = await client.get("/readyz")
        assert (held.status_code, held.json()["checks"]) == (503, {"database": "ok", "render": "held"})
        text = (await client.get("/metrics")).text
        assert 'staffetta_status_records{state="ready"} 3.0' in text
        assert "staffetta_status_facts_total" in text
        assert "Rossi" not in text

    run(house, story)


class Reader:
    """One that stays."""

    async def is_disconnected(self) -> bool:
        return False


def test_the_stream_tells_what_changed_and_goes_on_from_the_last_event() -> None:
    hub, batch_id, other = Hub(), uuid4(), uuid4()
    record, cursor = uuid4(), hub.now()
    hub.tell({batch_id: {record}, other: set()})

    async def first_news(from_cursor: str) -> str:
        stream = follow(hub, from_cursor, batch_id, Reader())  # type: ignore[arg-type]
        await anext(stream)
        return await anext(stream)

    told = asyncio.run(first_news(cursor))
    assert "event: changed" in told
    data = json.loads(told.split("data: ")[1])
    assert data == {"batches": [str(batch_id)], "records": [str(record)], "lanes": False}
    assert hub.since(hub.now()).empty
    assert "event: reset" in asyncio.run(first_news("earlier-process-9"))


def test_a_reader_that_was_away_too_long_is_told_to_load_anew() -> None:
    hub = Hub()
    cursor = hub.now()
    for _ in range(3000):
        hub.tell({uuid4(): set()})
    assert hub.since(cursor).reset


def test_the_stream_ends_when_the_service_stops() -> None:
    hub = Hub()
    hub.close()

    async def read() -> list[str]:
        return [message async for message in follow(hub, hub.now(), None, Reader())]  # type: ignore[arg-type]

    assert len(asyncio.run(read())) == 1


def test_the_description_in_docs_is_the_codes() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == openapi_json(), (
        "python -m services.status.api.openapi > docs/openapi.json"
    )


def test_every_operation_has_an_id_and_declares_its_problems() -> None:
    paths = json.loads(openapi_json())["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) == 20
    assert all(
        "application/problem+json" in op["responses"]["422"]["content"] for op in operations if "422" in op["responses"]
    )


def test_a_record_without_address_is_delivered_by_hand(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, _ = await ready_batch(house, client, rows=0)
        record = record_of(batch_id, 2, protocol=None, delivery=Delivery(channel=Channel.AUTO))
        house.generated(record)
        shown = (await client.get(f"/api/v1/records/{record.id}")).json()
        assert (shown["state"], shown["title"]) == ("by-hand", "Da consegnare a mano")

    run(house, story)


def test_rows_that_a_corrected_sheet_lacks_are_gone_and_counted_no_more(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, client)
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        again = ingested(request, 2, 0, 17010).model_copy(update={"revision": 3, "removed_rows": [4]})
        house.tell(again)
        late = facts.RecordsAccepted(batch_id=batch_id, records=[facts.AcceptedRecord(record=records[2])])
        house.tell(late)
        shown = (await client.get(f"/api/v1/batches/{batch_id}")).json()
        assert [(item["state"], item["count"]) for item in shown["counts"]] == [("ready", 2)]
        found = (await client.post(f"/api/v1/batches/{batch_id}/records/search", json={})).json()
        assert [item["row"] for item in found["items"]] == [2, 3]
        assert (await client.get(f"/api/v1/records/{records[2].id}")).status_code == 404

    run(house, story)


def test_a_fact_that_the_database_cannot_hold_holds_up_nobody(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        batch_id, (first, second) = await ready_batch(house, client, 2)
        failed = facts.StageFailed(
            batch_id=batch_id, record_id=first.id, stage=StageName.IUV, order=1, issue=1, code="http-503"
        )
        wrong: list[dict[str, Any]] = [{"code": "a\0b"}, {"issue": 2**40}, {"issue": 2**70}]
        told = [failed.model_copy(update=change) for change in wrong]
        house.tell(*told, failed.model_copy(update={"record_id": second.id, "permanent": True}), *told)
        shown = (await client.get(f"/api/v1/records/{second.id}")).json()
        assert shown["state"] == "stuck"

    run(house, story)


def test_a_fact_that_nobody_can_fold_holds_up_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(working: WorkingSet, fact: facts.StageFailed, envelope: Envelope) -> None:
        if fact.code == "strange":
            raise KeyError(fact.code)
        attempted(working, fact, envelope)

    kind: type[Message] = facts.StageFailed
    monkeypatch.setitem(FOLDERS, kind, buggy)

    async def story(client: httpx.AsyncClient) -> None:
        batch_id, (first, second) = await ready_batch(house, client, 2)
        failed = facts.StageFailed(
            batch_id=batch_id,
            record_id=second.id,
            stage=StageName.IUV,
            order=1,
            issue=1,
            code="http-503",
            permanent=True,
        )
        strange = failed.model_copy(update={"record_id": first.id, "code": "strange"})
        house.tell(strange, failed, strange)
        house.tell(strange)
        shown = [(await client.get(f"/api/v1/records/{each.id}")).json()["state"] for each in (first, second)]
        assert shown == ["ready", "stuck"]

    run(house, story)


def test_a_zero_byte_is_told_by_its_field_and_breaks_nothing(house: House) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        _, (record,) = await ready_batch(house, client, 1)
        house.sent(record, SectionState.REFUSED, "no-such-mailbox")
        wanted = {"orders": {"dispatch": 1}, "correction": {"name": "Rossi\0Maria"}}
        answers = [
            await client.post(f"/api/v1/records/{record.id}/correct", json=wanted),
            await ask(client, reason="Trasporto\0scolastico"),
        ]
        assert [answer.status_code for answer in answers] == [422, 422]
        fields = [answer.json()["errors"][0]["field"] for answer in answers]
        assert fields == ["correction.name", "options.reason"]
        searched = await client.post(
            "/api/v1/batches/" + str(record.batch_id) + "/records/search", json={"text": "a\0b"}
        )
        shown = await client.get("/avvisi", params={"causa": "a\0b", "fase": "iuv"})
        assert {searched.status_code, shown.status_code} <= {200, 400}

    run(house, story)
