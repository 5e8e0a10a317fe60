"""Assign and withdraw over real HTTP, against the simulator and each of its faults."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from deploy.simulators.pagopa import Fault, Journal, PagoPaSimulator
from services.iuv.adapters.gpd import PRODUCT_PATH
from services.iuv.model import due_instant
from services.iuv.settings import IuvSettings
from services.iuv.wire import wire
from shared.contracts.commands import WithdrawPosition
from shared.contracts.facts import PositionWithdrawn, StageFailed
from shared.contracts.record import Address, Debtor, Position, Record
from shared.creditors import Creditors
from shared.documents import FolderStore
from shared.ids import iupd
from shared.stage import Deferred, Done, Outcome, Permanent, Refused, Transient
from shared.wiring import Setup, StageService
from tests.iuv_hand import CREDITOR, Hand, a_debt, the_creditor, withdraw

QUICK = IuvSettings(connect_seconds=2, answer_seconds=1.5, act_seconds=20)
KEY = "chiave-del-simulatore"


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[PagoPaSimulator]:
    pagopa = PagoPaSimulator()
    pagopa.start(tmp_path / "pagopa")
    yield pagopa
    pagopa.stop()


@pytest.fixture
def service(simulator: PagoPaSimulator, tmp_path: Path) -> Iterator[StageService]:
    wired = a_service(tmp_path, simulator.url)
    yield wired
    wired.close()


@pytest.fixture
def hand(service: StageService) -> Hand:
    return Hand.of(service)


def a_service(
    folder: Path, url: str, settings: IuvSettings = QUICK, creditors: Creditors | None = None
) -> StageService:
    wired = (creditors or the_creditor()).with_simulators(url, 25)
    return wire(Setup(wired, FolderStore(folder / "documents"), lambda name: f"sqlite:///{folder}/{name}.db"), settings)


def the_handler(service: StageService) -> Callable[[WithdrawPosition], object]:
    return service.handlers[WithdrawPosition]


def opened(outcome: Outcome) -> Position:
    assert isinstance(outcome, Done)
    assert isinstance(outcome.section, Position)
    return outcome.section


def retried(hand: Hand, record: Record) -> Outcome:
    """Assign again until it is done: a call that was cut may still be arriving."""
    deadline = time.monotonic() + 20
    while True:
        (outcome,) = hand.assign(record)
        if isinstance(outcome, Done) or time.monotonic() > deadline:
            return outcome


def test_a_handful_becomes_positions_that_are_payable(hand: Hand, simulator: PagoPaSimulator) -> None:
    records = [a_debt(row, amount_cents=row * 100) for row in range(2, 22)]
    outcomes = hand.assign(*records)
    positions = {position["iupd"]: position for position in simulator.book.all()}
    for record, outcome in zip(records, outcomes, strict=True):
        section, position = opened(outcome), positions.pop(section_iupd(record))
        (option,) = position["paymentOption"]
        assert (option["nav"], option["iuv"]) == (section.notice_code, section.iuv)
        assert (option["amount"], position["status"]) == (record.payment.amount_cents, "VALID")
    assert positions == {}


def section_iupd(record: Record) -> str:
    return iupd(record.id, 1)


def test_pagopa_is_told_all_that_the_row_says(hand: Hand, simulator: PagoPaSimulator) -> None:
    firm = Debtor(
        name="Ditta Esempio S.r.l.", fiscal_code="00000000000",
        address=Address(street="Via Roma", number="1", postal_code="00100", city="Roma", province="RM"),
    )  # fmt: skip
    record = a_debt().model_copy(update={"debtor": firm})
    opened(hand.assign(record)[0])
    (told,) = simulator.book.all()
    (option,) = told["paymentOption"]
    (transfer,) = option["transfer"]
    payment_type = the_creditor().creditors[CREDITOR].payment_types["scuolabus"]
    assert (told["type"], told["fiscalCode"], told["fullName"]) == ("G", "00000000000", "Ditta Esempio S.r.l.")
    assert (told["streetName"], told["civicNumber"], told["postalCode"]) == ("Via Roma", "1", "00100")
    assert (told["companyName"], told["officeName"]) == ("Comune di Borgo Esempio", "Ufficio Tributi")
    assert told["switchToExpired"] is False
    assert option["description"] == transfer["remittanceInformation"] == record.payment.reason
    assert (transfer["iban"], transfer["category"]) == (payment_type.iban, payment_type.taxonomy)
    assert option["isPartialPayment"] is False


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault(kind="status", status=429), Transient("pagopa-too-many-calls", lane=True)),
        (Fault(kind="status", status=500), Transient("pagopa-500", lane=True)),
        (Fault(kind="status", status=503), Transient("pagopa-503", lane=True)),
        (Fault(kind="status", status=404), Transient("pagopa-404", lane=True)),
        (Fault(kind="status", status=401), Transient("pagopa-key-refused", lane=True, shut=True)),
        (Fault(kind="status", status=403), Transient("pagopa-key-not-allowed", lane=True, shut=True)),
        (Fault(kind="drop-before"), Transient("pagopa-no-answer", lane=True)),
    ],
)
def test_after_a_fault_without_effect_the_repeat_opens_it_under_the_same_number(
    hand: Hand, simulator: PagoPaSimulator, fault: Fault, outcome: Outcome
) -> None:
    record = a_debt()
    simulator.fault(fault)
    assert hand.assign(record) == [outcome]
    number = hand.row(record).nav
    assert opened(hand.assign(record)[0]).notice_code == number
    assert len(simulator.book.all()) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_when_pagopa_says_when_the_record_waits_until_then(hand: Hand, simulator: PagoPaSimulator, status: int) -> None:
    simulator.fault(Fault(kind="status", status=status, retry_after=7))
    (outcome,) = hand.assign(a_debt())
    assert isinstance(outcome, Deferred)


@pytest.mark.parametrize("kind", ["drop-after", "delay-after"])
def test_a_lost_answer_is_found_at_once(hand: Hand, simulator: PagoPaSimulator, kind: str) -> None:
    simulator.fault(Fault.model_validate({"kind": kind, "seconds": 3, "operation": "create"}))
    opened(hand.assign(a_debt())[0])
    assert len(simulator.book.all()) == 1


def test_an_answer_that_is_lost_with_its_look_up_is_found_by_the_repeat(hand: Hand, simulator: PagoPaSimulator) -> None:
    record = a_debt()
    simulator.fault(Fault(kind="drop-after", operation="create"))
    simulator.fault(Fault(kind="drop-before", operation="find"))
    assert hand.assign(record) == [Transient("pagopa-no-answer", lane=True)]
    opened(hand.assign(record)[0])
    assert len(simulator.book.all()) == 1


def test_a_call_that_arrives_after_its_repeat_opens_nothing(
    hand: Hand, simulator: PagoPaSimulator, tmp_path: Path
) -> None:
    simulator.fault(Fault(kind="delay-before", seconds=2.2, operation="create"))
    opened(retried(hand, a_debt()))
    simulator.stop()  # lets the late one arrive
    assert [call["call"] for call in Journal.read(tmp_path / "pagopa")] == ["create"]


def test_a_number_that_is_somebody_elses_is_burnt(hand: Hand, simulator: PagoPaSimulator) -> None:
    simulator.fault(Fault(kind="taken", calls=2, operation="create"))
    record = a_debt()
    opened(hand.assign(record)[0])
    assert hand.row(record).number == 3
    assert len(simulator.book.all()) == 3


def test_no_connection_is_nobodys_fault(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        service = a_service(tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}")
        outcomes = Hand.of(service).assign(a_debt())
        service.close()
    assert outcomes == [Transient("pagopa-unreachable", lane=True)]


def test_a_position_that_is_there_as_a_draft_is_published(hand: Hand, simulator: PagoPaSimulator) -> None:
    record = a_debt()
    ((work, _),) = hand.reserve(record)
    simulator.fault(Fault(kind="status", status=503, operation="publish"))
    post(simulator, a_body(record, work.row.nav or ""))
    assert hand.assign(record) == [Transient("pagopa-503", lane=True)]
    opened(hand.assign(record)[0])
    assert [position["status"] for position in simulator.book.all()] == ["VALID"]


def test_a_position_with_another_amount_is_not_ours(hand: Hand, simulator: PagoPaSimulator) -> None:
    record = a_debt()
    ((work, _),) = hand.reserve(record)
    post(simulator, a_body(a_debt(amount_cents=1), work.row.nav or ""))
    assert hand.assign(record) == [Permanent("position-differs")]


def test_a_due_date_that_has_passed_is_refused_in_words_for_the_clerk(hand: Hand) -> None:
    (outcome,) = hand.assign(a_debt(due=a_debt().payment.due_date.replace(year=2020)))
    assert isinstance(outcome, Refused)
    assert outcome.code == "due-date-past"


def test_the_gateways_limit_is_waited_for_not_run_into(tmp_path: Path) -> None:
    pagopa = PagoPaSimulator(calls_per_window=12)
    url = pagopa.start(tmp_path / "pagopa")
    service = a_service(tmp_path, url, IuvSettings(calls_per_second=20))
    outcomes = Hand.of(service).assign(*[a_debt(row) for row in range(2, 18)])
    waiting = [outcome for outcome in outcomes if isinstance(outcome, Deferred)]
    service.close()
    pagopa.stop()
    assert len(outcomes) - len(waiting) == 12
    assert {outcome.why for outcome in waiting} == {"pagopa-too-many-calls"}


def test_withdrawing_closes_the_position_and_a_paid_one_stands(
    service: StageService, hand: Hand, simulator: PagoPaSimulator
) -> None:
    first, second = a_debt(2), a_debt(3)
    records = [
        record.model_copy(update={"position": opened(outcome)})
        for record, outcome in zip((first, second), hand.assign(first, second), strict=True)
    ]
    assert records[1].position is not None
    httpx.post(f"{simulator.url}/_pay/{records[1].position.notice_code}").raise_for_status()
    simulator.fault(Fault(kind="drop-after", operation="invalidate"))
    handler = the_handler(service)
    facts = [handler(withdraw(record)) for record in records]
    assert isinstance(facts[0], list)
    assert isinstance(facts[0][0], PositionWithdrawn)
    assert isinstance(facts[1], list)
    assert isinstance(facts[1][0], StageFailed)
    assert facts[1][0].code == "already-paid"
    assert sorted(position["status"] for position in simulator.book.all()) == ["INVALID", "PAID"]


def test_the_journal_tells_what_was_accepted_after_the_simulator_is_gone(
    hand: Hand, simulator: PagoPaSimulator, tmp_path: Path
) -> None:
    hand.assign(*[a_debt(row) for row in range(2, 12)])
    simulator.stop()
    calls = list(Journal.read(tmp_path / "pagopa"))
    assert [call["call"] for call in calls] == ["create"] * 10
    assert len({call["position"]["paymentOption"][0]["iuv"] for call in calls}) == 10


def test_no_log_line_says_who_owes_what(
    service: StageService, hand: Hand, simulator: PagoPaSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = a_debt(amount_cents=4_815_162_342)
    for kind in ("drop-after", "drop-before", "taken", "delay-after"):
        simulator.fault(Fault.model_validate({"kind": kind, "operation": "create", "seconds": 2}))
    simulator.fault(Fault(kind="status", status=400))
    with capture_logs() as lines:
        for row in range(2, 9):
            hand.assign(record.model_copy(update={"id": a_debt(row).id}))
        hand.assign(a_debt(40, due=record.payment.due_date.replace(year=2020)))
        the_handler(service)(withdraw(a_debt(50)))
    told = caplog.text + repr(lines)
    assert lines
    assert "debtpositions" in told, "httpx logs what it asks for"
    codes = [option["nav"] for position in simulator.book.all() for option in position["paymentOption"]]
    canaries = [record.debtor.name, record.debtor.fiscal_code, "4815162342", "48151623,42", record.payment.reason, KEY]
    canaries += [record.delivery.address, *codes, *(code[1:] for code in codes)]
    assert [canary for canary in canaries if canary in told] == []


def a_body(record: Record, nav: str) -> dict[str, object]:
    """A position as another program would send it."""
    amount, reason = record.payment.amount_cents, record.payment.reason
    transfer = {
        "idTransfer": "1", "amount": amount, "remittanceInformation": reason, "category": "9/0107102SP/",
        "iban": "IT60X0542811101000000123456",
    }  # fmt: skip
    option = {
        "iuv": nav[1:], "amount": amount, "description": reason, "isPartialPayment": False,
        "dueDate": due_instant(record.payment.due_date).isoformat(), "transfer": [transfer],
    }  # fmt: skip
    return {
        "iupd": iupd(record.id, 1), "type": "F", "fiscalCode": record.debtor.fiscal_code, "fullName": record.debtor.name,
        "companyName": "Comune di Borgo Esempio", "switchToExpired": False, "paymentOption": [option],
    }  # fmt: skip


def post(simulator: PagoPaSimulator, body: dict[str, object]) -> None:
    """Create it, as a draft."""
    address = f"{simulator.url}{PRODUCT_PATH}/organizations/{the_creditor().creditors[CREDITOR].tax_code}/debtpositions"
    httpx.post(address, json=body, headers={"Ocp-Apim-Subscription-Key": KEY}).raise_for_status()
