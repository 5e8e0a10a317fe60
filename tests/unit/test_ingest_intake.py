"""Bodies of other systems that are no request: each is told from the others, and none costs much."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from services.ingest.intake import NoRequest, decisions, reader
from shared.contracts.commands import RequestBatch
from shared.contracts.envelope import Envelope

LIMIT = 100_000
GOOD: dict[str, Any] = {
    "request_id": "anno-2027", "creditor": "c_x999",
    "options": {"channel": "auto", "payment_type": "scuolabus", "due_date": "2027-01-31"},
    "records": [{"reference": "pratica-1", "name": "Rossi Maria", "amount_cents": 8505}],
}  # fmt: skip


def read(body: bytes, user: str = "gestionale-scuola") -> object:
    envelope = Envelope(
        id="x",
        key="ingest.request-batch.v1",
        exchange="intake",
        source="",
        time=datetime.now(UTC),
        body=body,
        user=user,
    )
    return reader(lambda name: name == "status", LIMIT)(envelope)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    told = json.loads(json.dumps(GOOD))
    change(told)
    return json.dumps(told).encode()


def test_a_good_request_is_read() -> None:
    assert isinstance(read(changed(lambda told: None)), RequestBatch)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{ not json", b"[]", b"null", b"\xff\xfe\x00", b'{"request_id": "\xe9"}', b"[" * 50_000, b'{"a":' * 10_000,
        b"1" * 50_000,
    ],
)  # fmt: skip
def test_what_is_not_json_or_no_object_is_unreadable(body: bytes) -> None:
    assert read(body) == NoRequest(code="unreadable", field=getattr(read(body), "field"))  # noqa: B009


def test_what_is_too_large_is_not_even_looked_at() -> None:
    assert read(b" " * (LIMIT + 1)) == NoRequest(code="too-large")


@pytest.mark.parametrize(
    ("change", "request_id", "record", "field"),
    [
        (lambda told: told.pop("creditor"), "anno-2027", "", "creditor"),
        (lambda told: told.update(request_id="Rossi Maria"), "", "", "request_id"),
        (lambda told: told.update(request_id=7), "", "", "request_id"),
        (lambda told: told.update(until="forever"), "anno-2027", "", "until"),
        (lambda told: told["options"].update(due_date="domani"), "anno-2027", "", "options.due_date"),
        (lambda told: told["options"].update(reason="x" * 1001), "anno-2027", "", "options.reason"),
        (lambda told: told.update(records="all"), "anno-2027", "", "records"),
        (lambda told: told.update(records=["one"]), "anno-2027", "", ""),
        (lambda told: told["records"][0].update(amount_cents="8505.5"), "anno-2027", "pratica-1", "amount_cents"),
        (lambda told: told["records"][0].update(amount_cents=85.05), "anno-2027", "pratica-1", "amount_cents"),
        (lambda told: told["records"][0].update(name="x" * 1001), "anno-2027", "pratica-1", "name"),
        (lambda told: told["records"][0].update(postal={"street": 7}), "anno-2027", "pratica-1", "postal.street"),
        (lambda told: told["records"][0].update(columns={"Emma": 7}), "anno-2027", "pratica-1", "columns"),
        (lambda told: told["records"][0].pop("reference"), "anno-2027", "", "reference"),
        (lambda told: told["records"][0].update(reference="Rossi Maria"), "anno-2027", "", "reference"),
    ],
)
def test_it_is_told_where_a_request_is_wrong(
    change: Callable[[dict[str, Any]], object], request_id: str, record: str, field: str
) -> None:
    expected = NoRequest(code="unreadable", request_id=request_id, record=record, field=field)
    assert read(changed(change)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (changed(lambda told: told["records"][0].update(name="Rossi\0Maria")), ("anno-2027", "pratica-1", "name")),
        (changed(lambda told: told["records"][0].update(name="Rossi\ud800")), ("anno-2027", "pratica-1", "name")),
        (changed(lambda told: told["records"][0].update(columns={"Em\0ma": "a"})), ("anno-2027", "pratica-1", "columns")),
        (changed(lambda told: told["records"][0].update(altro="a\0")), ("anno-2027", "pratica-1", "altro")),
        (changed(lambda told: told["options"].update(reason="a\0b")), ("anno-2027", "", "options.reason")),
        (changed(lambda told: told.update(altro=["a", {"b": "\udfff"}])), ("anno-2027", "", "altro.1.b")),
        (b'{"creditor": "\\ud800"}', ("", "", "creditor")),
    ],
)  # fmt: skip
def test_text_that_no_database_holds_is_refused_with_its_place(body: bytes, expected: tuple[str, str, str]) -> None:
    request_id, record, field = expected
    assert read(body) == NoRequest(code="control-character", request_id=request_id, record=record, field=field)


def test_a_backslash_and_a_u_are_text() -> None:
    request = read(changed(lambda told: told["options"].update(reason="a\\u0000b")))
    assert isinstance(request, RequestBatch)
    assert request.options.reason == "a\\u0000b"


def test_however_deep_it_is_hidden() -> None:
    deep = b'{"a":' * 400 + b'"\\u0000"' + b"}" * 400
    assert isinstance(read(deep), NoRequest)


def test_what_of_our_own_cannot_be_read_is_for_an_operator() -> None:
    with pytest.raises(ValidationError):
        read(b"{}", user="status")


@pytest.mark.parametrize("body", [b"{}", b"{", json.dumps({"request_id": "a" * 9}).encode()])
def test_what_another_system_copies_among_decisions_is_not_read(body: bytes) -> None:
    envelope = Envelope(
        id="x", key="ingest.request-batch.v1", exchange="intake", source="", time=datetime.now(UTC), body=body, user="tributi",
    )  # fmt: skip
    assert decisions(lambda name: name == "status")(envelope) == NoRequest(code="unreadable")


def test_a_decision_of_our_own_is_read_and_raises_where_it_cannot_be() -> None:
    envelope = Envelope(
        id="x", key="ingest.send-notices.v1", exchange="intake", source="", time=datetime.now(UTC), body=b"{", user="status",
    )  # fmt: skip
    with pytest.raises(ValidationError):
        decisions(lambda name: name == "status")(envelope)
