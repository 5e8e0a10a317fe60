"""The simulator is as strict as GPD, and forgets nothing that it accepted."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.simulators.pagopa import Fault, Journal, PagoPaSimulator
from deploy.simulators.pagopa.book import JOURNAL

ORGANIZATION = "99999000997"
POSITIONS = f"/gpd/debt-positions-service/v1/organizations/{ORGANIZATION}/debtpositions"
KEY = {"Ocp-Apim-Subscription-Key": "key"}


def at(**later: float) -> str:
    """An instant from now."""
    return (datetime.now(UTC) + timedelta(**later)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_position(number: int = 1, option: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    transfer = {
        "idTransfer": "1", "amount": 1000, "remittanceInformation": "Mensa", "category": "9/0107101TS/",
        "iban": "IT60X0542811101000000123456",
    }  # fmt: skip
    whole = {
        "iuv": f"12{number:015d}", "amount": 1000, "description": "Mensa", "isPartialPayment": False,
        "dueDate": at(days=30), "transfer": [transfer], **(option or {}),
    }  # fmt: skip
    return {
        "iupd": f"STF-{number}", "type": "F", "fiscalCode": "RSSMRA85T50H501S", "fullName": "Rossi Maria",
        "companyName": "Comune di Borgo Esempio", "switchToExpired": False, "paymentOption": [whole], **parts,
    }  # fmt: skip


def transfers(*amounts: int, **parts: Any) -> list[dict[str, Any]]:
    return [
        {"idTransfer": str(number), "amount": amount, "remittanceInformation": "Mensa", "category": "9/0107101TS/",
         "iban": "IT60X0542811101000000123456", **parts}
        for number, amount in enumerate(amounts, 1)
    ]  # fmt: skip


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[PagoPaSimulator]:
    pagopa = PagoPaSimulator()
    pagopa.start(tmp_path)
    yield pagopa
    pagopa.stop()


@pytest.fixture
def client(simulator: PagoPaSimulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=simulator.url, headers=KEY) as client:
        yield client


def create(client: httpx.Client, position: dict[str, Any], publish: bool = True) -> httpx.Response:
    return client.post(POSITIONS, params={"toPublish": publish}, json=position)


@pytest.mark.parametrize(
    "position",
    [
        a_position(type="X"),
        a_position(fiscalCode=None),
        a_position(companyName="x" * 141),
        a_position(country="it"),
        a_position(validityDate=at(days=-1)),
        a_position(validityDate=at(days=31)),
        a_position(option={"dueDate": at(seconds=-5)}),
        a_position(option={"dueDate": "domani"}),
        a_position(option={"retentionDate": at(days=1)}),
        a_position(option={"amount": 0}),
        a_position(option={"amount": 999}),
        a_position(option={"iuv": ""}),
        a_position(option={"description": "x" * 141}),
        a_position(option={"transfer": []}),
        a_position(option={"transfer": transfers(600, 401)}),
        a_position(option={"transfer": transfers(1000, iban=None)}),
        a_position(option={"transfer": transfers(1000, idTransfer="6")}),
        a_position(option={"transfer": transfers(500, 500, idTransfer="1")}),
        a_position(option={"transfer": transfers(1000, iban="IT60 X054")}),
        a_position(paymentOption=[]),
    ],
)
def test_a_malformed_position_is_a_400_that_quotes_nothing(
    client: httpx.Client, simulator: PagoPaSimulator, position: dict[str, Any]
) -> None:
    answer = create(client, position)
    assert (answer.status_code, answer.json()["status"]) == (400, 400)
    assert "Rossi" not in answer.text
    assert simulator.book.all() == []


def test_a_body_that_is_no_json_is_a_400(client: httpx.Client) -> None:
    answer = client.post(POSITIONS, content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["title"]) == (400, "BAD REQUEST")


def test_iupd_iuv_and_nav_are_each_unique_for_a_body(client: httpx.Client) -> None:
    assert create(client, a_position(1)).status_code == 201
    assert create(client, a_position(1)).status_code == 409
    assert create(client, a_position(1, iupd="STF-OTHER")).status_code == 409
    assert create(client, a_position(2, option={"nav": f"312{1:015d}"})).status_code == 409
    other = POSITIONS.replace(ORGANIZATION, "00000000000")
    assert client.post(other, json=a_position(1)).status_code == 201


def test_an_invalidated_number_is_not_given_back(client: httpx.Client) -> None:
    create(client, a_position(1))
    assert client.post(f"{POSITIONS}/STF-1/invalidate").status_code == 200
    assert create(client, a_position(1, iupd="STF-NEW")).status_code == 409
    assert create(client, a_position(9, iupd="STF-1")).status_code == 409


def test_a_position_moves_only_as_gpd_lets_it(client: httpx.Client) -> None:
    def status() -> str:
        return str(client.get(f"{POSITIONS}/STF-1").json()["status"])

    create(client, a_position(1), publish=False)
    assert status() == "DRAFT"
    assert client.post(f"{POSITIONS}/STF-1/invalidate").status_code == 409
    assert client.post(f"/_pay/312{1:015d}").status_code == 422
    assert client.post(f"{POSITIONS}/STF-1/publish").status_code == 200
    assert status() == "VALID"
    assert client.post(f"{POSITIONS}/STF-1/publish").status_code == 409
    assert client.post(f"/_pay/312{1:015d}").status_code == 200
    assert status() == "PAID"
    assert client.post(f"{POSITIONS}/STF-1/invalidate").status_code == 409
    assert client.post("/_pay/000000000000000000").status_code == 404


def test_a_validity_in_the_future_makes_it_published_but_not_yet_payable(client: httpx.Client) -> None:
    assert create(client, a_position(1, validityDate=at(days=3))).json()["status"] == "PUBLISHED"
    assert client.post(f"/_pay/312{1:015d}").status_code == 422


def test_the_list_is_paged_and_filtered(client: httpx.Client) -> None:
    for number in range(1, 13):
        create(client, a_position(number), publish=number % 2 == 0)
    first = client.get(POSITIONS).json()
    assert (first["page_info"]["items_found"], first["page_info"]["total_pages"]) == (10, 2)
    drafts = client.get(POSITIONS, params={"status": "DRAFT", "orderby": "IUPD", "ordering": "ASC", "limit": 50}).json()
    assert [each["iupd"] for each in drafts["payment_position_list"]] == sorted(f"STF-{n}" for n in range(1, 13, 2))
    none = client.get(POSITIONS, params={"due_date_from": "2020-01-01", "due_date_to": "2020-01-31"}).json()
    assert none["payment_position_list"] == []
    assert client.get(POSITIONS, params={"due_date_from": "2020-01-01", "due_date_to": "2020-03-31"}).status_code == 400


def test_a_key_opens_its_bodies_and_segregation_codes_only(tmp_path: Path) -> None:
    simulator = PagoPaSimulator(
        keys={"whole": [ORGANIZATION], "part": [f"{ORGANIZATION}/12"], "other": ["00000000000"]}
    )
    with httpx.Client(base_url=simulator.start(tmp_path)) as client:

        def status(key: str, position: dict[str, Any]) -> int:
            return client.post(POSITIONS, json=position, headers={"Ocp-Apim-Subscription-Key": key}).status_code

        assert client.get(POSITIONS).status_code == 401
        assert status("unknown", a_position(1)) == 401
        assert status("other", a_position(1)) == 403
        assert status("part", a_position(1)) == 201
        assert status("part", a_position(2, option={"iuv": f"13{2:015d}"})) == 403
        assert status("whole", a_position(2, option={"iuv": f"13{2:015d}"})) == 201
    simulator.stop()


def test_the_gateway_counts_the_calls_of_ten_seconds(tmp_path: Path) -> None:
    simulator = PagoPaSimulator(calls_per_window=2)
    with httpx.Client(base_url=simulator.start(tmp_path), headers=KEY) as client:
        answers = [client.get(POSITIONS) for _ in range(3)]
    simulator.stop()
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-remaining-calls-per-min"] for answer in answers] == ["1", "0", "0"]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 10


def test_what_was_accepted_is_there_after_a_restart(tmp_path: Path) -> None:
    first = PagoPaSimulator()
    with httpx.Client(base_url=first.start(tmp_path), headers=KEY) as client:
        create(client, a_position(1))
        create(client, a_position(2))
        client.post(f"{POSITIONS}/STF-2/invalidate")
        before = client.get(POSITIONS).json()
    first.stop()
    second = PagoPaSimulator()
    with httpx.Client(base_url=second.start(tmp_path), headers=KEY) as client:
        assert client.get(POSITIONS).json() == before
        assert create(client, a_position(1)).status_code == 409
    second.stop()


def test_a_line_that_a_kill_cut_short_was_never_accepted(tmp_path: Path) -> None:
    first = PagoPaSimulator()
    with httpx.Client(base_url=first.start(tmp_path), headers=KEY) as client:
        create(client, a_position(1))
    first.stop()
    with (tmp_path / JOURNAL).open("ab") as journal:
        journal.write(b'{"at":"2026-')
    second = PagoPaSimulator()
    with httpx.Client(base_url=second.start(tmp_path), headers=KEY) as client:
        create(client, a_position(2))
    second.stop()
    third = PagoPaSimulator()
    third.start(tmp_path)
    assert [position["iupd"] for position in third.book.all()] == ["STF-1", "STF-2"]
    third.stop()


def test_a_killed_process_had_written_all_that_it_answered(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        f"from pathlib import Path; from deploy.simulators.pagopa import serve; serve({port}, Path({str(tmp_path)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY) as client:
            wait_for(client)
            answered = [create(client, a_position(number)).json()["iupd"] for number in range(1, 21)]
    finally:
        process.kill()
        process.wait()
    assert [call["position"]["iupd"] for call in Journal.read(tmp_path)] == answered


def wait_for(client: httpx.Client) -> None:
    """Until the simulator listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            client.get("/_faults")
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise
        else:
            return


@pytest.mark.parametrize(("kind", "accepted"), [("drop-before", 0), ("drop-after", 1)])
def test_a_cut_connection_carries_not_one_byte(
    client: httpx.Client, simulator: PagoPaSimulator, kind: str, accepted: int
) -> None:
    assert client.post("/_faults", json={"kind": kind}).status_code == 201
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        create(client, a_position(1))
    assert len(simulator.book.all()) == accepted
    assert client.get(POSITIONS).status_code == 200


def test_faults_are_met_in_their_order_by_the_calls_that_they_are_for(client: httpx.Client) -> None:
    client.post("/_faults", json={"kind": "status", "status": 429, "calls": 2, "operation": "create", "retry_after": 3})
    client.post("/_faults", json={"kind": "taken", "operation": "create"})
    assert client.get(POSITIONS).status_code == 200
    answers = [create(client, a_position(1)) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429, 429, 409, 409]
    assert answers[0].headers["Retry-After"] == "3"
    assert client.get("/_faults").json() == []


def test_faults_can_be_taken_back_and_misspelt_ones_are_refused(
    client: httpx.Client, simulator: PagoPaSimulator
) -> None:
    simulator.fault(Fault(kind="drop-before"))
    assert client.delete("/_faults").status_code == 204
    assert client.get(POSITIONS).status_code == 200
    assert client.post("/_faults", json={"kind": "explode"}).status_code == 400


def test_the_page_says_what_it_is_and_escapes_what_it_shows(client: httpx.Client) -> None:
    create(client, a_position(1, fullName="<script>D'Angelo"))
    page = client.get("/").text
    assert "SIMULATORE" in page
    assert "&lt;script&gt;D&#x27;Angelo" in page
    assert "3120 0000 0000 0000 01" in page
    assert "10,00 €" in page
    assert "Pagabile" in page


@pytest.mark.parametrize("foreign", [{"host": "elsewhere.example"}, {"origin": "http://elsewhere.example"}])
def test_a_page_from_elsewhere_orders_no_fault(client: httpx.Client, foreign: dict[str, str]) -> None:
    fault = {"kind": "status", "status": 503}
    assert client.post("/_faults", json=fault, headers=foreign).status_code == 403
    assert client.get("/_faults").json() == []
