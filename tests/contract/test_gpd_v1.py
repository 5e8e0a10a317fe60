"""Our requests and the simulator's answers, held against GPD's specification (and against our excerpt of it)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from deploy.simulators.pagopa import PagoPaSimulator
from services.iuv.adapters.gpd import PRODUCT_PATH
from services.iuv.adapters.gpd_json import body
from services.iuv.model import DebtPosition, NoticeCode
from shared.contracts.record import Address
from tests.contract.gpd_v1 import SCHEMAS

OFFICIAL = Path(__file__).parents[2].parent / "shared" / "specs" / "gpd-v1.json"
BODY = "99999000997"
POSITION = DebtPosition(
    iupd="STF-1", code=NoticeCode.of("12", 42), debtor_kind="F", debtor_fiscal_code="RSSMRA85T50H501S",
    debtor_name="Rossi Maria", address=Address(street="Via Roma", number="1", postal_code="00100", city="Roma", province="RM"),
    company_name="Comune di Borgo Esempio", office_name="Ufficio Tributi", amount_cents=8505,
    reason="Trasporto scolastico", due=(datetime.now(UTC) + timedelta(days=60)).replace(microsecond=0),
    iban="IT60X0542811101000000123456", taxonomy="9/0107102SP/", fingerprint="0" * 32,
)  # fmt: skip


def specifications() -> Iterator[Any]:
    yield pytest.param(SCHEMAS, id="excerpt")
    if OFFICIAL.is_file():
        yield pytest.param(json.loads(OFFICIAL.read_text())["components"]["schemas"], id="official")


@pytest.fixture(params=specifications())
def schemas(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The schemas, none of which lets in a field that it does not name."""
    closed: dict[str, Any] = copy.deepcopy(request.param)
    for schema in closed.values():
        schema["additionalProperties"] = False
    return closed


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    simulator = PagoPaSimulator()
    url = simulator.start(tmp_path)
    headers = {"Ocp-Apim-Subscription-Key": "key"}
    with httpx.Client(base_url=f"{url}{PRODUCT_PATH}/organizations/{BODY}", headers=headers) as client:
        yield client
    simulator.stop()


def held(schemas: dict[str, Any], name: str, value: object) -> None:
    """Raises `ValidationError` unless `value` is what schema `name` says."""
    jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})


def test_what_we_send_is_what_the_specification_takes(schemas: dict[str, Any]) -> None:
    held(schemas, "PaymentPositionModel", body(POSITION))
    bare = replace(POSITION, address=Address(), office_name="")
    held(schemas, "PaymentPositionModel", body(bare))
    assert not {"streetName", "civicNumber", "postalCode", "city", "province", "officeName"} & body(bare).keys()


def test_what_the_simulator_answers_is_what_the_specification_promises(
    schemas: dict[str, Any], client: httpx.Client
) -> None:
    second = replace(POSITION, iupd="STF-2", code=NoticeCode.of("12", 43))
    answers = [
        (201, "PaymentPositionModel", client.post("/debtpositions?toPublish=true", json=body(POSITION))),
        (201, "PaymentPositionModel", client.post("/debtpositions", json=body(second))),
        (200, "PaymentPositionModel", client.post("/debtpositions/STF-2/publish")),
        (200, "PaymentPositionModel", client.post("/debtpositions/STF-2/invalidate")),
        (200, "PaymentPositionModelBaseResponse", client.get("/debtpositions/STF-1")),
        (200, "PaymentPositionsInfo", client.get("/debtpositions?status=INVALID&orderby=IUPD&ordering=ASC")),
        (400, "ProblemJson", client.post("/debtpositions", json={**body(POSITION), "type": "X"})),
        (400, "ProblemJson", client.get("/debtpositions?limit=51")),
        (404, "ProblemJson", client.get("/debtpositions/STF-3")),
        (404, "ProblemJson", client.post("/debtpositions/STF-3/invalidate")),
        (409, "ProblemJson", client.post("/debtpositions", json=body(POSITION))),
        (409, "ProblemJson", client.post("/debtpositions/STF-1/publish")),
        (409, "ProblemJson", client.post("/debtpositions/STF-2/invalidate")),
    ]
    for status, name, answer in answers:
        assert answer.status_code == status, answer.text
        held(schemas, name, answer.json())
        assert answer.headers["X-Request-Id"]


def test_the_debtor_is_not_told_back(client: httpx.Client) -> None:
    client.post("/debtpositions?toPublish=true", json=body(POSITION))
    for path in ("/debtpositions/STF-1", "/debtpositions"):
        assert POSITION.debtor_name not in client.get(path).text
