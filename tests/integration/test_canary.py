"""Names, tax codes, addresses, amounts and numbers of people in whatever an act raises: none of it in a log line, at any level."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import services.dispatch.wire
import services.iuv.wire
import services.protocol.wire
import services.render.wire
from shared import metrics
from shared.bus.measured import measured
from shared.bus.outages import until_it_works
from shared.bus.runner import StageRunner
from shared.contracts.base import Channel
from shared.contracts.commands import AssignIuv, DispatchNotice, Message, RegisterNotice
from shared.contracts.facts import IuvAssigned, StageFailed
from shared.contracts.record import Debtor, Delivery, Payment, Record
from shared.creditors import load_creditors
from shared.documents import FolderStore
from shared.log import configure
from shared.wiring import Setup, StageService
from tests.builders import a_record, a_rendered_record
from tests.fakes import Out, delivered

DEBTOR = Debtor(name="Canarino Perduto", fiscal_code="CNRPDT80A01H501D")
PAYMENT: Payment = a_record().payment.model_copy(update={"amount_cents": 765432, "reason": "Retta di Titti"})
DELIVERY = Delivery(channel=Channel.PEC, address="canarino@pec.example")
PERSONAL: dict[str, Any] = {"debtor": DEBTOR, "payment": PAYMENT, "delivery": DELIVERY}
WORDS = (
    "Canarino",
    "Perduto",
    "CNRPDT",
    "canarino",
    "765432",
    "7654",
    "Titti",
    "12000000000004260",
    "312000000000004260",
)

Wire = Callable[[Setup], StageService]
STAGES: dict[str, tuple[Wire, Any]] = {
    "iuv": (services.iuv.wire.wire, AssignIuv(record=a_record(2, **PERSONAL))),
    "render": (services.render.wire.wire, IuvAssigned(record=a_rendered_record(2, documents=None, **PERSONAL))),
    "protocol": (services.protocol.wire.wire, RegisterNotice(record=a_rendered_record(2, **PERSONAL))),
    "dispatch": (services.dispatch.wire.wire, DispatchNotice(record=a_rendered_record(2, **PERSONAL))),
}


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that is logged, at debug level; afterwards everything is as before."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure("DEBUG", stream)
    yield stream
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setenv("STAFFETTA_RENDER_WORKERS", "1")
    creditors = load_creditors().with_simulators("http://127.0.0.1:9", 9)
    return Setup(creditors, FolderStore(tmp_path / "documents"), lambda name: f"sqlite:///{tmp_path / name}.sqlite")


def quoting(record: Record) -> Callable[..., Any]:
    """Fails as libraries do: with what it choked on in its text, its arguments, its cause, its notes and its frames."""

    def fail(*_args: object, **_options: object) -> Any:
        whole = record.model_dump_json()
        logging.getLogger("some.library").error("cannot handle %s", whole)
        structlog.get_logger().debug(
            "adapter.detail", record=record, url=f"https://x.example/{record.debtor.fiscal_code}"
        )
        try:
            json.loads(whole + "Canarino")
        except ValueError as cause:
            cause.add_note(whole)
            error = RuntimeError(f"550 no mailbox {record.delivery.address} of {record.debtor.name}", whole)
            raise error from cause

    return fail


ACTS = {"iuv": "act", "render": "act", "dispatch": "act_once"}
"""Protocol's own register registers when it reserves."""
CASES = [(name, step) for name in STAGES for step in ("acted_on", "reserve")] + [*ACTS.items()]


def handled(service: StageService, message: Message) -> list[StageFailed]:
    """What is said of a message that is taken as from its queue."""
    out = Out()
    runner = StageRunner(service, out, "one")
    try:
        measured(service.stage.name.value, runner.handle)([delivered(message, source="iuv")])
    finally:
        runner.close()
    return [each for each in out.take() if isinstance(each, StageFailed)]


def found(text: str) -> list[str]:
    return [word for word in WORDS if word in text + metrics.text().decode()]


@pytest.mark.parametrize(("name", "step"), CASES)
def test_no_stage_lets_personal_data_into_a_log_line(name: str, step: str, setup: Setup, written: io.StringIO) -> None:
    wire, message = STAGES[name]
    service = wire(setup)
    setattr(service.stage, step, quoting(message.record))
    said = handled(service, message)
    service.close()
    assert [each.code for each in said] == ["unexpected-RuntimeError"]  # parked, not lost
    assert found(written.getvalue()) == []
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = next(line for line in lines if line["event"] == "stage.unexpected")
    assert (told["record_id"], told["service"]) == (str(message.record.id), name)
    assert told["exception"][0]["type"] == "builtins.RuntimeError"
    assert any("fail" in place for place in told["exception"][0]["at"])


@pytest.mark.parametrize("name", ["iuv", "render", "dispatch"])
def test_neither_does_a_look_at_what_somebody_may_have_done(name: str, setup: Setup, written: io.StringIO) -> None:
    wire, message = STAGES[name]
    service = wire(setup)

    def outage(*_args: object) -> Any:
        raise OSError(f"no route for {message.record.debtor.name}")

    setattr(service.stage, ACTS[name], outage)
    with pytest.raises(OSError, match="no route"):
        handled(service, message)
    service.stage.look = quoting(message.record)  # type: ignore[method-assign]
    said = handled(service, message)
    service.close()
    assert [each.code for each in said] == ["unexpected-RuntimeError"]
    assert found(written.getvalue()) == []


def test_neither_does_a_handful_that_an_outage_holds(written: io.StringIO) -> None:
    stopping = threading.Event()
    handle = measured("status", quoting(a_record(2, **PERSONAL)))

    def attempt() -> None:
        stopping.set()
        handle([delivered(AssignIuv(record=a_record(2, **PERSONAL)))])

    assert not until_it_works(attempt, stopping, lambda _trouble: None, "status")
    assert '"bus.held"' in written.getvalue()
    assert found(written.getvalue()) == []
