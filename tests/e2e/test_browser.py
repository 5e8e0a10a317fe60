"""A clerk at the pages: a real browser on the real `staffetta up`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.audit import qr_of
from tests.e2e.browser_hand import PATIENCE_MS, check_keyboard, check_page, opened_page, started_browser
from tests.e2e.run_hand import HEADINGS, Row, due, sheet
from tests.e2e.up_hand import Up, up, wait_for

LETTER = (*HEADINGS, "Alunno", "Plesso", "Tratta")
MARIA = ("Rossi Maria", "RSSMRA85T50H501S", None, 85.05, "maria.rossi@posta.example", "Emma", "Rodari", "Linea 1")
LUCA = ("Bianchi Luca", "BNCLCU80A01H501Q", None, 120, "luca.bianchi@posta.example", "Ugo", "Rodari", "Linea 2")
PAOLO = ("Neri Paolo", "NREPLA80A01H501B", None, "1234,00", "paolo.neri@posta.example", "Ada", "Collodi", "Linea 1")
WIZARD = "/utility/generazione-massiva"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The relay with its simulators."""
    with up(tmp_path_factory.mktemp("up") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with started_browser() as started:
        yield started


@pytest.fixture
def page(browser: Browser, here: Up) -> Iterator[Page]:
    with opened_page(browser, here.address) as opened:
        yield opened


def fill_screens(page: Page, file: Path) -> None:
    """The three screens, one after the other, up to the preview."""
    page.get_by_label("File del tracciato").set_input_files(file)
    page.get_by_label("E-mail").check()
    page.get_by_label("Sì").check()
    expect(page.get_by_label("Scadenza")).to_be_hidden()
    page.get_by_role("button", name="Avanti").click()
    expect(page.get_by_role("heading", name="Dati per la protocollazione")).to_be_focused()
    expect(page.get_by_label("Ufficio mittente")).to_have_value("scuola")
    page.get_by_role("button", name="Avanti").click()
    expect(page.get_by_role("heading", name="Dati per PagoPA")).to_be_focused()
    page.get_by_label("Scadenza").fill(f"{due():%d/%m/%Y}")
    page.get_by_role("button", name="Visualizza anteprima").click()
    expect(page.get_by_role("heading", name="Anteprima del lavoro da fare")).to_be_visible()


def confirmed(page: Page, button: str, says: str) -> None:
    """One of the three buttons, and the page that asks before it is done."""
    page.get_by_role("link", name=button).click()
    expect(page.get_by_role("heading", level=1, name=button)).to_be_visible()
    expect(page.get_by_text(says)).to_be_visible()
    page.get_by_role("button", name=button).click()
    expect(page.get_by_role("heading", name="Andamento")).to_be_visible()


def sent_batch(here: Up, file: Path, state: str) -> str:
    """A batch that was sent over the API, once its first row is in `state`."""
    batch = here.upload(file)
    wait_for("read", lambda: here.states(batch) and set(here.states(batch)) == {"ready"})
    here.post(f"/batches/{batch}/generate")
    wait_for("generated", lambda: here.batch(batch)["state"] == "generated")
    here.post(f"/batches/{batch}/send")
    wait_for(state, lambda: here.states(batch)[0] == state)
    return batch


def rows_of(tmp_path: Path, rows: Sequence[Row], name: str = "elenco.xlsx") -> Path:
    return sheet(tmp_path / name, rows, LETTER)


def test_from_the_menu_to_sent_notices_with_counters_that_move_by_themselves(
    page: Page, here: Up, tmp_path: Path
) -> None:
    page.goto("/")
    expect(page).to_have_url(f"{here.address}/avvisi")
    page.get_by_role("navigation").get_by_role("link", name="Generazione massiva Pagamenti").click()
    fill_screens(page, rows_of(tmp_path, [MARIA, LUCA]))

    expect(page.get_by_text("tutte le righe possono andare avanti")).to_be_visible()
    letter = page.get_by_role("link", name="Vedi la lettera della riga 3")
    with page.context.expect_page() as opened:
        letter.click()
    assert opened.value.url.endswith("/documents/letter")
    opened.value.close()

    confirmed(page, "Genera avvisi PagoPA", "2 avvisi per 205,05 €")
    page.evaluate("window.sameDocument = true")
    expect(page.get_by_role("link", name="2 Avviso generato")).to_be_visible()
    assert page.evaluate("window.sameDocument"), "the page was loaded anew"

    confirmed(page, "Esegui invio massivo", "Un messaggio partito non si può richiamare.")
    page.evaluate("window.sameDocument = true")
    expect(page.get_by_role("link", name="2 Inviato")).to_be_visible()
    assert page.evaluate("window.sameDocument"), "the page was loaded anew"

    page.get_by_role("navigation").get_by_role("link", name="Cruscotto dei pagamenti").click()
    page.get_by_label("Cerca per nome").fill("bianchi lù")
    page.get_by_role("button", name="Cerca").click()
    expect(page.get_by_role("status")).to_have_text("1 avviso, 120,00 €.")
    assert "bianchi" not in page.url
    row = page.get_by_role("row", name="Bianchi Luca")
    expect(row).to_contain_text("Inviato")
    expect(row).to_contain_text(re.compile(r"\d{7}/20\d\d"))
    row.get_by_role("link", name="Bianchi Luca").click()
    expect(page.get_by_role("heading", level=1, name="Bianchi Luca")).to_be_visible()
    expect(page.get_by_text("Inviato").first).to_be_visible()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Apri l'avviso (PDF)").click()
    notice = page.request.get(opened.value.url)
    assert notice.headers["content-type"] == "application/pdf"
    assert qr_of(notice.body()).endswith("|12000")


def test_a_corrected_sheet_brings_its_rows_in_and_drops_those_that_it_lacks(page: Page, tmp_path: Path) -> None:
    wrong = ("Neri Paolo", "NRIPLA80A01H501X", None, "1.234", *PAOLO[4:])
    page.goto(WIZARD)
    fill_screens(page, rows_of(tmp_path, [MARIA, wrong, LUCA], "con-errori.xlsx"))

    problems = page.get_by_role("region", name="1 riga da correggere")
    expect(problems).to_be_visible()
    for told in ("CodiceFiscale", "Importo"):
        expect(problems.get_by_role("row", name=f"3 {told}")).to_be_visible()
    totals = page.get_by_role("region", name="Totali")
    above, below = problems.bounding_box(), totals.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] < below["y"]
    expect(page.get_by_role("link", name="Bianchi Luca")).to_be_visible()

    problems.get_by_role("link", name="Carica il foglio corretto").click()
    expect(page.get_by_label("Scadenza")).to_have_value(f"{due():%d/%m/%Y}")
    fill_screens(page, rows_of(tmp_path, [MARIA, PAOLO], "corretto.xlsx"))

    expect(page.get_by_text("tutte le righe possono andare avanti")).to_be_visible()
    expect(page.get_by_role("link", name="Neri Paolo")).to_be_visible()
    expect(page.get_by_role("link", name="Bianchi Luca")).to_have_count(0)
    expect(totals).to_contain_text("2 su 2")
    expect(totals).to_contain_text("1.319,05 €")


def test_an_unclear_sending_is_settled_on_its_page(page: Page, here: Up, tmp_path: Path) -> None:
    fault = {"kind": "cut-lost", "recipient": "dubbia@posta.example"}
    here.mail.post("/faults", json=fault).raise_for_status()
    file = sheet(tmp_path / "dubbio.xlsx", [("Gialli Dora", "GLLDRO80A41H501V", None, 10, "dubbia@posta.example")])
    batch = sent_batch(here, file, "to-verify")

    page.goto(f"/invii/{batch}")
    page.get_by_role("link", name="1 Invio da verificare").click()
    page.get_by_role("link", name="Gialli Dora").click()
    expect(page.get_by_role("heading", name="Il messaggio è partito?")).to_be_visible()
    page.get_by_role("button", name="No, non è partito: rimanda").click()
    expect(page.get_by_text("l'esito è stato registrato")).to_be_visible()
    expect(page.get_by_role("heading", name="Il messaggio è partito?")).to_have_count(0)
    expect(page.locator("#avviso .tag")).to_have_text("Inviato")
    assert here.states(batch) == ["sent"]


def test_without_a_script_the_same_steps_lead_to_generated_notices(browser: Browser, here: Up, tmp_path: Path) -> None:
    with opened_page(browser, here.address, scripts=False) as page:
        page.goto("/")
        page.get_by_role("navigation").get_by_role("link", name="Generazione massiva Pagamenti").click()
        for title in ("Dati per l'invio massivo", "Dati per la protocollazione", "Dati per PagoPA"):
            expect(page.get_by_role("heading", name=title)).to_be_visible()
        page.get_by_label("File del tracciato").set_input_files(rows_of(tmp_path, [MARIA], "senza-script.xlsx"))
        page.get_by_label("No", exact=True).check()
        page.get_by_label("Scadenza").fill(f"{due():%d/%m/%Y}")
        page.get_by_role("button", name="Visualizza anteprima").click()
        expect(page.get_by_text("tutte le righe possono andare avanti")).to_be_visible()
        confirmed(page, "Genera avvisi PagoPA", "1 avviso per 85,05 €")
        expect(page.get_by_role("link", name="1 Avviso generato")).to_be_visible()


def test_every_page_has_its_heading_labels_and_a_way_for_the_keyboard(page: Page, here: Up, tmp_path: Path) -> None:
    here.mail.post(
        "/faults", json={"kind": "unknown-recipient", "recipient": "ignota@posta.example"}
    ).raise_for_status()
    wrong = ("Neri Paolo", "NRIPLA80A01H501X", None, "1.234", None)
    file = sheet(tmp_path / "pagine.xlsx", [("Verdi Anna", "VRDNNA90A41H501J", None, 60, "ignota@posta.example")])
    batch = sent_batch(here, file, "to-correct")
    fresh = here.upload(sheet(tmp_path / "altre.xlsx", [("Verdi Anna", "VRDNNA90A41H501J", None, 61, None), wrong]))
    wait_for("read", lambda: len(here.states(fresh)) == 2)
    right, mistaken = (record["id"] for record in here.records(fresh))
    addresses = [
        "/avvisi", "/invii", WIZARD, f"{WIZARD}?invio={batch}", f"/invii/{batch}", f"/invii/{batch}/avvisi",
        f"/invii/{fresh}/anteprima", f"/invii/{fresh}/conferma/generate", f"/invii/{fresh}/conferma/cancel",
        f"/invii/{batch}/conferma/send", f"/avvisi/{here.records(batch)[0]['id']}", f"/avvisi/{right}",
        f"/avvisi/{mistaken}", "/guida/stati", "/docs",
    ]  # fmt: skip
    for address in addresses:
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        check_page(page)
        check_keyboard(page)
