"""What a log line holds, and what it never does."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import structlog
from pydantic import BaseModel

from shared.contracts.record import DocumentRef
from shared.documents import DocumentMissing
from shared.ids import iupd, mail_message_id
from shared.log import FLAG, configure
from shared.stage import Permanent
from tests.builders import a_rendered_record

RECORD = a_rendered_record()
assert RECORD.position is not None
CANARIES = [RECORD.debtor.name, RECORD.debtor.fiscal_code, RECORD.delivery.address, RECORD.position.notice_code, "8505"]


class Lines:
    """What was logged."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        return self.all[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Logs configured into a buffer, and everything put back afterwards."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    lines = Lines()
    configure("INFO", lines.stream)
    yield lines
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(level)


log = structlog.get_logger()


def fail(error: Exception) -> None:
    """Raise it."""
    raise error


def test_a_line_is_json_with_event_level_time_and_the_bound_ids(lines: Lines) -> None:
    record = uuid4()
    with structlog.contextvars.bound_contextvars(record_id=record, stage="iuv"):
        log.info("stage.failed", code="no-documents", attempt=2)
    log.info("stage.idle")
    first, second = lines.all
    assert first["time"].endswith("Z")
    assert {key: first[key] for key in ("event", "level", "record_id", "stage", "code", "attempt")} == {
        "event": "stage.failed",
        "level": "info",
        "record_id": str(record),
        "stage": "iuv",
        "code": "no-documents",
        "attempt": 2,
    }
    assert "record_id" not in second
    assert FLAG not in first


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    log.debug("stage.detail")
    assert lines.text == ""


@pytest.mark.parametrize(
    "slip",
    [
        {"name": RECORD.debtor.name},
        {"Fiscal_Code": RECORD.debtor.fiscal_code},
        {"amount_cents": RECORD.payment.amount_cents},
        {"record": RECORD},
        {"thing": RECORD},
        {"when": RECORD.payment},
        {"things": [RECORD.debtor, RECORD]},
        {"details": {"debtor": {"name": RECORD.debtor.name}}},
        {"details": [{"iuv": "12000000000004260"}]},
        {"what": f"cannot send to {RECORD.delivery.address}"},
        {"what": f"debtor {RECORD.debtor.fiscal_code.lower()} unknown"},
        {"url": f"https://gpd.example/organizations/99999000997/paymentoptions/{RECORD.position.notice_code}"},
        {"account": "IT87D9999999999000000123456"},
        {"password": "S3greto"},
    ],
    ids=str,
)
def test_personal_data_that_slip_into_a_line_are_taken_out(lines: Lines, slip: dict[str, Any]) -> None:
    log.warning("something.happened", **slip)
    for canary in [*CANARIES, "12000000000004260", "IT87D99999", "S3greto"]:
        assert canary.lower() not in lines.text.lower()


def test_a_slip_is_flagged_with_its_keys(lines: Lines) -> None:
    log.info("something.happened", name="x", code="ok", inner={"iuv": "1"})
    assert lines.last[FLAG] == ["iuv", "name"]
    assert lines.last["code"] == "ok"


def test_ids_hashes_and_message_ids_are_left_as_they_are(lines: Lines) -> None:
    digits = "1" * 32  # a UUID may happen to be all digits
    ids = {
        "iupd": iupd(RECORD.id, 1),
        "message_id": mail_message_id(RECORD.id, 2, "comune.example"),
        "sha256": "0123456789" * 6 + "abcd",
        "batch_id": digits,
        "other": f"STF-{digits}-1",
        "outcome": Permanent,
    }
    log.info("something.happened", **ids)
    assert FLAG not in lines.last
    assert {key: lines.last[key] for key in ids if key != "outcome"} == {k: v for k, v in ids.items() if k != "outcome"}


class Row(BaseModel):
    """Something that is validated."""

    cents: int


def test_an_exception_is_told_by_type_and_place_and_not_by_its_text(lines: Lines) -> None:
    try:
        try:
            Row.model_validate({"cents": RECORD.debtor.name})
        except ValueError as error:
            raise LookupError(RECORD.delivery.address) from error
    except LookupError:
        log.exception("stage.unexpected", stage="iuv")
    outer, inner = lines.last["exception"]
    assert (outer["type"], inner["type"]) == ("builtins.LookupError", "pydantic_core._pydantic_core.ValidationError")
    assert "test_log.py" in outer["at"][0]
    for canary in CANARIES:
        assert canary not in lines.text


def test_the_text_of_an_exception_of_ours_is_told(lines: Lines) -> None:
    reference = DocumentRef(sha256="ab" * 32, media_type="application/pdf", size=1)
    try:
        fail(DocumentMissing(reference.sha256))
    except DocumentMissing:
        log.exception("document.missing")
    assert lines.last["exception"][0]["text"] == reference.sha256


def test_libraries_are_heard_from_warnings_on_without_their_arguments(lines: Lines) -> None:
    logger = logging.getLogger("some.library")
    logger.info("connected to %s", RECORD.delivery.address)
    logger.log(35, "mail to %s refused", RECORD.debtor.name)
    try:
        fail(ValueError(RECORD.debtor.name))
    except ValueError:
        logger.exception("lost")
    first, second = lines.all
    assert (first["event"], first["logger"], first["template"]) == ("library.log", "some.library", "mail to %s refused")
    assert second["exception"][0]["type"] == "builtins.ValueError"
    assert RECORD.debtor.name not in lines.text


def test_a_full_disk_loses_lines_and_never_the_thread_that_wrote_them() -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:  # noqa: PTH123 - a device
        configure(stream=full)
        for _ in range(3):
            structlog.get_logger().info("something.happened", queue="x" * 10_000)
        configure()
        with suppress(OSError):
            full.close()
