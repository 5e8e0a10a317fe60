"""The pages as a browser without scripts sees them: forms, links and words, over ASGI on a real database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from services.status.api.security import CSRF_FIELD
from services.status.web.format import euro, parsed_day, parsed_euro
from shared.contracts import facts
from shared.contracts.base import Phase, StageName
from shared.contracts.commands import (
    CorrectRecord,
    GenerateNotices,
    RequestBatch,
    RetryRecords,
    SettleSending,
)
from shared.contracts.record import Record, SectionState
from shared.creditors import load_creditors
from shared.creditors.hours import WEEK
from shared.db.engine import Database
from shared.documents import XLSX
from shared.ids import record_id
from tests.builders import a_document, a_record
from tests.status_house import BASE, House, batch_of, sheet_part
from tests.status_house import asked as api_fields

WIZARD = "/utility/generazione-massiva"
STATIC = Path(__file__).resolve().parents[2] / "services" / "status" / "web" / "static"


class Form(HTMLParser):
    """The fields of the first form whose action ends with `action`, as a browser would send them untouched."""

    def __init__(self, html: str, action: str) -> None:
        super().__init__()
        self._action, self._in, self._select, self.fields = action, False, "", dict[str, str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and not self.fields:
            self._in = given.get("action", WIZARD).endswith(self._action)
        if not self._in:
            return
        if tag == "select":
            self._select = given["name"]
        if tag == "option" and ("selected" in given or self._select not in self.fields):
            self.fields[self._select] = given["value"]
        if tag == "input" and given.get("type") != "file" and (given.get("type") != "radio" or "checked" in given):
            self.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._in = self._in and tag != "form"


def browse(house: House, story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with house.client() as browser:
            browser.headers.update({"origin": BASE, "sec-fetch-site": "same-origin"})
            await story(browser)

    asyncio.run(whole())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.at(tmp_path)


async def submit(browser: httpx.AsyncClient, page: str, action: str, **typed: str) -> httpx.Response:
    shown = await browser.get(page)
    form = Form(shown.text, action)
    assert form.fields[CSRF_FIELD], f"{page} has no form for {action}"
    return await browser.post(action, data=form.fields | typed)


async def upload(browser: httpx.AsyncClient, page: str = WIZARD, *, file: bool = True, **typed: str) -> httpx.Response:
    fields = Form((await browser.get(page)).text, WIZARD).fields
    files: Any = sheet_part() if file else {"file": ("", b"", "application/octet-stream")}
    return await browser.post(WIZARD, data=fields | typed, files=files)


async def ready_batch(house: House, browser: httpx.AsyncClient, rows: int = 3) -> tuple[UUID, list[Record]]:
    batch_id = batch_of(await browser.post("/api/v1/batches", data=api_fields(), files=sheet_part()))
    request = house.broker.last()
    assert isinstance(request, RequestBatch)
    records = [a_record(row, id=record_id(batch_id, row), batch_id=batch_id) for row in range(2, 2 + rows)]
    house.ingest(request, records)
    return batch_id, records


@pytest.mark.parametrize(("letter", "asked"), [("scuolabus", True), ("", False)])
def test_letter_and_notice_in_one_pdf_is_a_choice_where_there_is_a_letter(
    house: House, letter: str, asked: bool
) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        answer = await upload(browser, registration="no", due_date="31/01/2099", letter=letter, merged="si")
        assert answer.status_code == 303, answer.text
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        assert request.options.merged is asked
        house.ingest(request, [a_record(2, id=record_id(request.batch_id, 2), batch_id=request.batch_id)])
        again = Form((await browser.get(f"{WIZARD}?invio={request.batch_id}")).text, WIZARD).fields
        assert again["merged"] == ("si" if asked else "")

    browse(house, story)


def test_the_wizard_has_the_three_screens_with_their_names_and_prefilled_values(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        page = unescape((await browser.get(WIZARD)).text)
        for title in ("Dati per l'invio massivo", "Dati per la protocollazione", "Dati per PagoPA"):
            assert f">{title}</h2>" in page
        for label in (
            "File del tracciato", "Tipo di spedizione", "Protocollazione", "Oggetto", "Classificazione", "Ufficio mittente",
            "Fascicolo", "Tipo documento", "Tipologia di pagamento", "Scadenza", "Causale", "Lettera di accompagnamento",
            "Utility", "Generazione massiva Pagamenti", "Visualizza anteprima", "In base all'indirizzo",
        ):  # fmt: skip
            assert label in page, label
        fields = Form(page, WIZARD).fields
        assert (fields["subject"], fields["office"], fields["classification"], fields["reason"]) == (
            "Avviso di pagamento trasporto scolastico", "scuola", "7.1", "Servizio di trasporto scolastico",
        )  # fmt: skip
        empty = await browser.get("/tracciato")
        assert (empty.content, empty.headers["content-type"]) == (b"PK empty format", XLSX)
        assert "TracciatoInvioMassivo.xlsx" in empty.headers["content-disposition"]

    browse(house, story)


def test_what_was_wrong_comes_back_and_the_sheet_is_not_asked_for_again(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        wrong = await upload(browser, registration="si", due_date="31/02/2099", reason="x" * 141)
        assert wrong.status_code == 422
        assert "Scrivere la scadenza come gg/mm/aaaa" in wrong.text
        assert "al massimo 140 caratteri" in wrong.text
        assert "Già caricato: <strong>" in wrong.text
        assert house.broker.published == []
        fields = Form(wrong.text, WIZARD).fields
        again = await browser.post(
            WIZARD, data=fields | {"due_date": "28/02/2099", "reason": "Scuolabus"}, files={"file": ("", b"", XLSX)}
        )
        assert again.status_code == 303
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        assert (request.file_name, request.options.reason, str(request.options.due_date)) == (
            "scuolabus.xlsx", "Scuolabus", "2099-02-28",
        )  # fmt: skip
        assert request.options.register_options is not None
        assert again.headers["location"] == f"/invii/{request.batch_id}/anteprima"

    browse(house, story)


def test_an_empty_wizard_says_what_is_missing(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        shown = await upload(browser, file=False)
        assert shown.status_code == 422
        for text in ("Scegliere il foglio Excel", "Dire se gli avvisi vanno protocollati", "Scrivere la scadenza"):
            assert text in shown.text

    browse(house, story)


def test_a_double_click_asks_once(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        fields = Form((await browser.get(WIZARD)).text, WIZARD).fields | {
            "registration": "no",
            "due_date": "31/01/2099",
        }
        first, second = [await browser.post(WIZARD, data=fields, files=sheet_part()) for _ in range(2)]
        assert first.headers["location"] == second.headers["location"]
        assert len(house.broker.published) == 1

    browse(house, story)


def test_a_page_says_that_the_database_does_not_answer(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Database) -> Any:
        raise OperationalError("SELECT", {}, Exception())

    async def story(browser: httpx.AsyncClient) -> None:
        monkeypatch.setattr(Database, "read", away)
        page, api = await browser.get("/invii"), await browser.get("/api/v1/batches")
        assert (page.status_code, "La banca dati non risponde: nulla è perso" in page.text) == (503, True)
        assert (api.status_code, api.json()["code"]) == (503, "database-unavailable")

    browse(house, story)


def test_a_form_without_its_token_or_from_elsewhere_does_nothing(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id, _ = await ready_batch(house, browser)
        asked = len(house.broker.published)
        forged = await browser.post(f"/invii/{batch_id}/azioni/generate", data={CSRF_FIELD: "0" * 64})
        assert forged.status_code == 403
        assert "ricaricarla" in forged.text
        foreign = await browser.post(f"/invii/{batch_id}/azioni/generate", headers={"origin": "http://evil.example"})
        assert foreign.status_code == 403
        assert len(house.broker.published) == asked

    browse(house, story)


def test_the_preview_has_problems_on_top_totals_letters_and_the_buttons_in_order(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, browser)
        request = house.broker.last()
        problem = facts.Problem(row=9, column="Importo", code="zero", message="Scrivere un importo maggiore di zero.")
        row = facts.RejectedRow(
            record_id=record_id(batch_id, 9), row=9, cells={"Intestazione": "<b>Ada</b>"}, problems=[problem]
        )
        assert isinstance(request, RequestBatch)
        house.ingest(request, records, [row], revision=2)
        letter = house.documents.put(b"%PDF-1.7 letter", "application/pdf")
        house.tell(facts.PreviewRendered(batch_id=batch_id, record_id=records[0].id, letter=letter), source="render")
        page = (await browser.get(f"/invii/{batch_id}/anteprima")).text
        assert (
            page.index("Scrivere un importo maggiore di zero.")
            < page.index("Totali")
            < page.index("Destinatari, avvisi e lettere")
        )
        assert "255,15\u00a0€" in page
        for record in records:
            assert f"/api/v1/records/{record.id}/documents/letter" in page
            assert f"/api/v1/records/{record.id}/documents/notice" in page
        assert (
            page.index("Visualizza anteprima") < page.index("Genera avvisi PagoPA") < page.index("Esegui invio massivo")
        )
        assert f"/invii/{batch_id}/conferma/generate" in page
        assert f"/invii/{batch_id}/conferma/send" not in page
        wrong = (await browser.get(f"/avvisi/{record_id(batch_id, 9)}")).text
        assert "&lt;b&gt;Ada" in wrong
        assert "<b>Ada" not in wrong

    browse(house, story)


def test_generating_and_sending_are_confirmed_with_count_and_total(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, browser)
        confirm = f"/invii/{batch_id}/conferma/generate"
        shown = (await browser.get(confirm)).text
        assert "3 avvisi" in shown
        assert "255,15\u00a0€" in shown
        done = await submit(browser, confirm, f"/invii/{batch_id}/azioni/generate")
        assert done.headers["location"] == f"/invii/{batch_id}?fatto=generate"
        assert isinstance(house.broker.last(), GenerateNotices)
        assert "Prima si generano gli avvisi" in (await browser.get(f"/invii/{batch_id}/conferma/send")).text
        house.tell(facts.BatchAllowed(batch_id=batch_id, revision=2, until=Phase.GENERATE))
        house.generated(records[0])
        page = (await browser.get(f"/invii/{batch_id}")).text
        assert f"/invii/{batch_id}/conferma/send" in page
        assert f"/invii/{batch_id}/avvisi?stato=generated" in page
        assert "1 avviso" in (await browser.get(f"/invii/{batch_id}/conferma/send")).text

    browse(house, story)


def test_what_is_parked_is_grouped_by_cause_and_retried_together(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, browser)
        house.tell(facts.BatchAllowed(batch_id=batch_id, revision=2, until=Phase.GENERATE))
        for record, code in zip(records, ["pagopa-rejected", "pagopa-rejected", "position-differs"], strict=True):
            house.tell(
                facts.RecordParked(batch_id=batch_id, record_id=record.id, stage=StageName.IUV, issue=4, code=code)
            )
        page = f"/invii/{batch_id}"
        assert "Riprova tutti" in (await browser.get(page)).text
        done = await submit(browser, page, f"{page}/azioni/riprova")
        assert done.status_code == 303
        command = house.broker.last()
        assert isinstance(command, RetryRecords)
        assert sorted(command.record_ids) == sorted(record.id for record in records[:2])
        shown = (await browser.get(f"{page}/avvisi?stato=stuck&fase=iuv&causa=position-differs")).text
        assert "1 avviso," in shown

    browse(house, story)


def test_a_search_by_name_stays_out_of_the_address(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        await ready_batch(house, browser)
        found = await browser.post("/avvisi", data={"testo": "rossi", "stato": ""})
        assert found.status_code == 200
        assert "3 avvisi" in found.text
        none = await browser.post("/avvisi", data={"testo": "nessuno così", "stato": "ready"})
        assert "Nessun avviso corrisponde" in none.text
        plain = await browser.post("/avvisi", data={"testo": " ", "stato": "ready"})
        assert plain.headers["location"] == "/avvisi?stato=ready&pagina=1"
        assert "0 avvisi" in (await browser.get("/avvisi?stato=sent&testo=rossi")).text

    browse(house, story)


def test_an_uncertain_sending_is_answered_with_two_buttons(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, browser)
        record = house.sent(house.generated(records[0]), SectionState.UNCERTAIN, "interrupted")
        page = f"/avvisi/{record.id}"
        shown = (await browser.get(page)).text
        assert "Sì, è partito" in shown
        assert "No, non è partito: rimanda" in shown
        done = await submit(browser, page, f"{page}/azioni/verifica")
        assert done.headers["location"] == f"{page}?fatto=settle"
        command = house.broker.last()
        assert isinstance(command, SettleSending)
        assert (command.verdict, command.order) == ("done", 1)

    browse(house, story)


def test_a_correction_holds_only_what_was_changed(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        _, records = await ready_batch(house, browser)
        record = house.sent(house.generated(records[0]), SectionState.REFUSED, "recipient-refused")
        page, action = f"/avvisi/{record.id}", f"/avvisi/{record.id}/azioni/correggi"
        wrong = await submit(browser, page, action, amount="1.234")
        assert wrong.status_code == 422
        assert "Scrivere l'importo come" in unescape(wrong.text)
        done = await submit(browser, page, action, amount="99,90", address="nuova@pec.example")
        assert done.status_code == 303
        command = house.broker.last()
        assert isinstance(command, CorrectRecord)
        assert command.correction.model_dump(exclude_none=True) == {
            "amount_cents": 9990,
            "address": "nuova@pec.example",
        }

    browse(house, story)


def test_a_corrected_sheet_goes_to_the_same_batch_with_the_same_options(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id, _ = await ready_batch(house, browser)
        first = house.broker.last()
        done = await upload(browser, f"{WIZARD}?invio={batch_id}")
        assert done.headers["location"] == f"/invii/{batch_id}/anteprima"
        second = house.broker.last()
        assert isinstance(first, RequestBatch)
        assert isinstance(second, RequestBatch)
        assert (second.batch_id, second.options) == (first.batch_id, first.options)
        assert second.command_id != first.command_id

    browse(house, story)


def test_every_page_is_whole_says_rehearsal_and_runs_no_script_of_its_own(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id, records = await ready_batch(house, browser)
        house.sent(house.registered(house.generated(records[0])))
        for path in (
            "/avvisi", "/invii", WIZARD, "/guida/stati", "/docs", f"/invii/{batch_id}", f"/invii/{batch_id}/anteprima",
            f"/invii/{batch_id}/avvisi", f"/avvisi/{records[0].id}", f"/invii/{batch_id}/conferma/cancel", f"/avvisi/{uuid4()}",
        ):  # fmt: skip
            shown = await browser.get(path)
            assert shown.headers["content-type"].startswith("text/html"), path
            assert '<html lang="it">' in shown.text, path
            assert "AMBIENTE DI PROVA" in shown.text, path
            assert shown.text.count("<h1>") == 1, path
            assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|style=|https?://", shown.text), path
            ids = re.findall(r'\sid="([^"]+)"', shown.text)
            assert len(ids) == len(set(ids)), path
            for label in re.findall(r'<label for="([^"]+)"', shown.text):
                assert label in ids, (path, label)
        for name in ("staffetta.css", "staffetta.js", "icon.svg"):
            assert (await browser.get(f"/static/{name}")).content == (STATIC / name).read_bytes()

    browse(house, story)


@pytest.mark.parametrize(
    ("text", "cents"), [("1.234,56", 123456), ("12", 1200), ("€ 12,5", 1250), ("1.234", None), ("-3", None), ("", None)]
)
def test_amounts_are_read_as_italians_write_them(text: str, cents: int | None) -> None:
    assert parsed_euro(text) == cents


def test_money_and_days_are_written_as_italians_read_them() -> None:
    assert euro(123456789) == "1.234.567,89\u00a0€"
    assert str(parsed_day("1/2/2027")) == "2027-02-01"
    assert parsed_day("2027-02-01") is None


def test_a_lane_that_waits_is_told_with_the_name_as_it_is_written(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id = batch_of(await browser.post("/api/v1/batches", data=api_fields(), files=sheet_part()))
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        house.ingest(request, [a_record(2, batch_id=batch_id)])
        house.tell(facts.BatchAllowed(batch_id=batch_id, until=Phase.GENERATE))
        since = datetime(2026, 11, 24, 9, 42, tzinfo=UTC)
        house.tell(
            facts.LaneClosed(stage=StageName.IUV, lane="pagopa", code="pagopa-no-answer", since=since), source="iuv"
        )

        shown = (await browser.get(f"/invii/{batch_id}")).text

        assert "In attesa: pagoPA non risponde dalle 10:42." in shown

        later = datetime(2026, 11, 24, 9, 50, tzinfo=UTC)
        refused = facts.LaneClosed(stage=StageName.IUV, lane="pagopa", code="pagopa-key-refused", since=later)
        house.tell(refused, source="iuv")

        shown = unescape((await browser.get(f"/invii/{batch_id}")).text)

        assert "pagoPA non accetta la chiave di accesso dell'ente dalle 10:50; avvisare chi gestisce" in shown

    browse(house, story)


def test_a_batch_of_another_system_shows_its_name_and_its_references(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        batch_id = uuid4()
        record = a_record(2, id=record_id(batch_id, 2), batch_id=batch_id, reference="pratica-17")
        options = {"channel": "pec", "payment_type": "scuolabus", "due_date": "2099-01-31"}
        told = facts.BatchIngested.model_validate({
            "batch_id": batch_id, "client": "scuola-online", "request_id": "anno-2027", "creditor": "c_x999", "options": options,
            "sheet": a_document(), "file_name": "anno-2027", "until": "preview", "created_at": datetime.now(UTC), "rows": 1,
            "accepted": 1, "rejected": 0, "total_cents": record.payment.amount_cents,
        })  # fmt: skip
        house.tell(told, facts.RecordsAccepted(batch_id=batch_id, records=[facts.AcceptedRecord(record=record)]))
        ours, _ = await ready_batch(house, browser, 1)

        listed = (await browser.get("/invii")).text
        assert listed.count("Richiesto da: scuola-online") == listed.count("Richiesto da") == 1
        own, its = [(await browser.get(f"/invii/{each}")).text for each in (ours, batch_id)]
        assert ("Richiesto da" in own, "Carica il foglio corretto" in own) == (False, True)
        assert ("Richiesto da" in its, "scuola-online" in its, "Carica il foglio corretto" in its) == (
            True,
            True,
            False,
        )
        assert "Rif. pratica-17" in (await browser.get(f"/invii/{batch_id}/avvisi")).text
        assert "Riferimento di scuola-online" in (notice := (await browser.get(f"/avvisi/{record.id}")).text)
        assert "pratica-17" in notice
        again = await browser.post("/api/v1/batches", data=api_fields(batch_id=str(batch_id)), files=sheet_part())
        assert (again.status_code, again.json()["code"]) == (409, "client-batch")
        found = (await browser.post("/avvisi", data={"testo": "PRATICA-17"})).text
        assert ("Rif. pratica-17" in found, str(record_id(ours, 2)) in found) == (True, False)

    browse(house, story)


def test_the_preview_shows_what_goes_on_every_notice_and_registration(house: House) -> None:
    async def story(browser: httpx.AsyncClient) -> None:
        asked = api_fields(reason="Scuolabus 2027", subject="Avviso scuolabus", classification="7.1")
        batch_id = batch_of(await browser.post("/api/v1/batches", data=asked, files=sheet_part()))
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        house.ingest(request, [a_record(2, batch_id=batch_id)])

        shown = (await browser.get(f"/invii/{batch_id}/anteprima")).text

        for text in ("Scuolabus 2027", "Avviso scuolabus", "7.1"):
            assert f"<dd>{text}</dd>" in shown

    browse(house, story)


def test_a_mailbox_outside_its_hours_is_told_with_when_it_goes_on(tmp_path: Path) -> None:
    day = WEEK[(datetime.now(UTC) + timedelta(days=3)).weekday()]
    creditors = load_creditors()
    creditor = creditors.creditors["c_x999"]
    box = creditor.mailboxes["pec"].model_copy(update={"send_hours": "08:00-20:00", "send_days": [day]})
    resting = creditor.model_copy(update={"mailboxes": creditor.mailboxes | {"pec": box}})
    house = House.at(tmp_path, creditors.model_copy(update={"creditors": {"c_x999": resting}}))

    async def story(browser: httpx.AsyncClient) -> None:
        batch_id = batch_of(await browser.post("/api/v1/batches", data=api_fields(), files=sheet_part()))
        request = house.broker.last()
        assert isinstance(request, RequestBatch)
        record = a_record(2, batch_id=batch_id)
        house.ingest(request, [record])
        house.generated(record)
        assert "orario di invio" not in (await browser.get(f"/invii/{batch_id}")).text
        house.tell(facts.BatchAllowed(batch_id=batch_id, until=Phase.SEND, revision=2))

        shown = unescape((await browser.get(f"/invii/{batch_id}")).text)
        assert "In attesa: la casella PEC è fuori dall'orario di invio; si riprende alle 08:00 di " in shown
        listed = (await browser.post(f"/api/v1/batches/{batch_id}/records/search", json={})).json()
        assert "fuori dall'orario di invio" in listed["items"][0]["hint"]

    browse(house, story)
    house.service.close()
