"""Debtors' data goes through six processes that choke on it, at debug level: none of it is where it does not belong."""

from __future__ import annotations

import json
import re
from html import unescape
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import httpx
from stdnum.it import codicefiscale

from shared.bus.connection import Broker
from shared.bus.topology import EXCHANGES
from tests.clients_hand import OURS, Square, listed, request, square
from tests.crash import canary
from tests.installation import SERVICES, Installation, wait_for
from tests.servers.rabbitmq import RabbitMQ
from tests.sheets import a_sheet

SETTINGS = {"CANARY": "1", "STAFFETTA_LOG_LEVEL": "DEBUG", "STAFFETTA_RENDER_WORKERS": "1"}
BIRDS = ("Aquilotto", "Beccaccino", "Cicognola", "Dodonella", "Egrettina", "Falchetto", "Gazzaladra", "Upupetta",
         "Ibisnero", "Kiwibruno")  # fmt: skip
CODES = ("CNRQTT80A01Z900", "CNRBCC80A01Z900", "CNRCGN80A01Z900", "CNRDNL80A01Z900", "CNRGTT80A01Z900", "CNRFCH80A01Z900",
         "CNRGZL80A01Z900", "CNRPTT80A01Z900", "CNRBSN80A01Z900", "CNRKBR80A01Z900")  # fmt: skip
FIRST_ROW = 2
TAP, CLIENT = "tap", "gestionale"
GRANT = f'creditors = ["{OURS}"]\nuntil = "send"'
ENDS = {
    canary.WELL: "sent", canary.REFUSED: "to-correct", canary.LOST: "to-verify", canary.NO_ADDRESS: "by-hand",
    **dict.fromkeys(canary.PARKED_AT.values(), "stuck"), canary.IN_DOUBT: "to-verify", canary.UNUSABLE: "to-correct",
}  # fmt: skip
LINK = re.compile(r'(href|src|action)="([^"]*)"')
PERSONAL = ("Intestazione", "CodiceFiscale", "IndirizzoPec", "Indirizzo", "CausaleBollettino", "OggettoProt")


def debtor(row: int) -> dict[str, Any]:
    """A row of the sheet; every value is nobody else's."""
    bird, code = BIRDS[row - FIRST_ROW], CODES[row - FIRST_ROW]
    return {
        "Intestazione": f"{canary.SURNAME} {bird}",
        "CodiceFiscale": code if row == canary.UNUSABLE else code + codicefiscale.calc_check_digit(code),
        "Importo": cents(row) / 100,
        "IndirizzoPec": None if row == canary.NO_ADDRESS else f"{bird.lower()}.{row}@gabbia.example",
        "Indirizzo": f"Vicolo {bird}", "Civico": "7", "Cap": "00999", "Comune": "Borgo Esempio", "Provincia": "EX",
        "CausaleBollettino": f"Mangime per {bird}", "OggettoProt": f"Gabbia di {bird}",
        "Alunno": f"Pulcino {bird}", "Plesso": "Nido", "Tratta": "Volo 1",
    }  # fmt: skip


def cents(row: int) -> int:
    """Seven digits, which are no microsecond and no part of an id by themselves."""
    return 8_765_400 + row


def pattern(numbers: list[str]) -> re.Pattern[str]:
    """What must not be found: words anywhere; amounts and `numbers` where they are not a part of something longer."""
    words = {canary.SURNAME, *BIRDS}
    for row in ENDS:
        words |= {value for name, value in debtor(row).items() if name in PERSONAL and value}
        grouped = f"{cents(row) / 100:,.2f}"
        numbers += [str(cents(row)), grouped, grouped.translate(str.maketrans(",.", ".,")), f"{cents(row) / 100:.2f}"]
    some, exact = ("|".join(map(re.escape, sorted(each))) for each in (words, numbers))
    return re.compile(rf"{some}|(?<![0-9A-Za-z.])(?:{exact})(?![0-9A-Za-z])", re.IGNORECASE)


def tap(place: Square) -> None:
    """A queue that gets whatever is published, and a user who may have it."""
    place.broker.control("add_user", TAP, TAP)
    place.broker.control("set_permissions", TAP, ".*", ".*", ".*")
    with Broker(url(place)).connect() as connection, connection.channel() as channel:
        channel.queue_declare(TAP, durable=True, auto_delete=False)
        for name in EXCHANGES:
            channel.queue_bind(TAP, place.here.topology.exchange(name).name, routing_key="#")


def url(place: Square) -> str:
    """Where the tap's user logs in."""
    return f"amqp://{TAP}:{TAP}@127.0.0.1:{place.broker.port}/%2F"


def overheard(place: Square) -> tuple[list[dict[str, Any]], str]:
    """(all but the body of each message, the bodies)."""
    heads, bodies = [], []
    with Broker(url(place)).connect() as connection, connection.channel() as channel:
        while (message := channel.basic_get(TAP, no_ack=True)) is not None:
            bodies.append(message.body if isinstance(message.body, str) else bytes(message.body).decode())
            heads.append({**message.delivery_info, **message.properties})
    return heads, "\n".join(bodies)


def go_through(here: Installation, sheet: Path) -> str:
    """The batch, with what the mail server does to two of its messages."""
    here.mail_fault("unknown-recipient", debtor(canary.REFUSED)["IndirizzoPec"])
    here.mail_fault("cut-lost", debtor(canary.LOST)["IndirizzoPec"])
    batch = here.send(sheet, letter="scuolabus")
    wait_for("the ends", lambda: ends(here, batch) == ENDS, 120, told=lambda: ends(here, batch))
    return batch


def ends(here: Installation, batch: str) -> dict[int, str]:
    """Row → state."""
    return {each["row"]: each["state"] for each in here.records(batch)}


def ask_by_broker(place: Square) -> None:
    """The same from another system, which hears what becomes of it."""
    person = debtor(canary.WELL)
    record = listed(
        name=person["Intestazione"], fiscal_code=person["CodiceFiscale"], amount_cents=cents(canary.WELL),
        address=person["IndirizzoPec"],
    )  # fmt: skip
    with place.client(CLIENT) as client:
        assert client.ask(request(records=[record])).kind == "request-accepted"
        assert client.until("its end", lambda told: told.body.get("done")).body["counts"] == {"sent": 1}
        unreadable = json.dumps({"name": person["Intestazione"]}).encode()
        assert client.answer(client.publish(unreadable)).kind == "request-refused"


def decide(here: Installation, batch: str) -> None:
    """What a person does: looks for people, tries again, corrects, settles."""
    by_row = {each["row"]: each["id"] for each in here.records(batch)}
    for text in (canary.SURNAME, debtor(canary.WELL)["CodiceFiscale"]):
        assert here.records(batch, text=text)
    refused = here.api.get(f"/records/{by_row[canary.REFUSED]}").json()
    asked = [
        (f"/records/{by_row[canary.PARKED_AT['render']]}/retry", None),
        (f"/records/{by_row[canary.REFUSED]}/correct",
         {"orders": refused["orders"], "correction": {"address": "altro.nido@gabbia.example"}}),
        (f"/records/{by_row[canary.LOST]}/settle", {"stage": "dispatch", "order": 1, "verdict": "done"}),
    ]  # fmt: skip
    for path, body in asked:
        assert here.api.post(path, json=body).status_code == httpx.codes.ACCEPTED
    after = {**ENDS, canary.REFUSED: "sent", canary.LOST: "sent"}
    wait_for("decided", lambda: ends(here, batch) == after, told=lambda: ends(here, batch))


def pages(here: Installation, batch: str) -> str:
    """All the URLs that the pages of a batch name; what they link to is visited."""
    records = [f"/avvisi/{each['id']}" for each in here.records(batch)]
    lists = ["/", "/invii", "/avvisi", *(f"/invii/{batch}{tail}" for tail in ("", "/anteprima", "/avvisi"))]
    named: set[str] = set()
    visited: set[str] = set()
    with httpx.Client(base_url=here.address("http"), follow_redirects=True, timeout=30) as browser:
        for page in (*lists, *records):
            links = LINK.findall(browser.get(page).raise_for_status().text)
            named |= {unescape(link) for _, link in links}
            visited |= {unescape(link) for kind, link in links if kind == "href" and link.startswith("/")}
        for link in visited:
            assert browser.get(link).status_code < httpx.codes.INTERNAL_SERVER_ERROR, link
    return unquote_plus("\n".join(named))


def logs(here: Installation, broker: RabbitMQ) -> dict[str, str]:
    """What everybody wrote, RabbitMQ too."""
    files = chain(here.folder.glob("*.log"), broker.folder.glob("*.log"), (broker.folder / "log").rglob("*.*"))
    return {path.name: path.read_text(errors="replace") for path in files if path.is_file()}


def test_what_is_told_about_debtors_stays_in_bodies_documents_and_databases(tmp_path: Path) -> None:
    sheet = a_sheet(tmp_path / "rows.xlsx", map(debtor, sorted(ENDS)))
    with square(tmp_path, {CLIENT: GRANT}, SETTINGS) as place:
        here, broker = place.here, place.broker
        tap(place)
        batch = go_through(here, sheet)
        ask_by_broker(place)
        decide(here, batch)
        places = {"links": pages(here, batch)} | logs(here, broker)
        places |= {f"metrics of {name}": httpx.get(here.address(name) + "/metrics").text for name in SERVICES}
        places |= {what: broker.control(f"list_{what}") for what in ("queues", "exchanges", "bindings", "consumers")}
        heads, bodies = overheard(place)
        places["headers"] = "\n".join(json.dumps(each, default=str) for each in heads)
        notices = [row["nav"] for row in here.query("iuv", "select nav from iuv_ledger where nav is not null")]

    private = pattern([number for notice in notices for number in (notice, notice[1:])])
    found = {each.lower() for each in private.findall(bodies)}
    assert {bird.lower() for bird in BIRDS} | {str(cents(canary.WELL))} <= found  # it finds what is there
    assert found & set(notices)
    for name in SERVICES:
        lines = [json.loads(line) for line in places[f"{name}.log"].splitlines()]
        traces = [line["exception"] for line in lines if "exception" in line]
        assert any("choke" in place for trace in traces for told in trace for place in told["at"]), name
        assert any(line["event"] == "library.log" for line in lines), name
        assert [line for line in lines if "personal_data_removed" in line] == []
    assert batch in places["urls.log"]
    assert "cloudEvents_id" in places["headers"]
    assert {head["routing_key"].partition(".")[0] for head in heads} >= {*SERVICES, CLIENT} - {"status"}
    assert {place: private.findall(text) for place, text in places.items() if private.search(text)} == {}
