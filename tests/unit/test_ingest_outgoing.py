"""What an outage of the broker kept back goes out later, in its place, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.ingest.outgoing import Outgoing
from shared.contracts.envelope import Envelope
from tests.fakes import Out

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def envelope(name: str) -> Envelope:
    return Envelope(id=name, key="ingest.batch-paused.v1", exchange="facts", source="ingest", time=NOW, body=b"{}")


def names(out: Out) -> list[str]:
    return [each.id for each in out.take_envelopes()]


def test_what_was_kept_back_goes_before_what_is_new() -> None:
    out = Out()
    outgoing = Outgoing(out)
    out.away = True
    for name in ("a", "b"):
        with pytest.raises(ConnectionError):
            outgoing([envelope(name)])
    out.away = False
    outgoing([envelope("c")])
    assert names(out) == ["a", "b", "c"]


def test_what_went_out_does_not_go_again() -> None:
    out = Out()
    outgoing = Outgoing(out)
    outgoing([envelope("a")])
    outgoing([])
    assert names(out) == ["a"]


def test_asking_without_anything_new_tells_whether_the_broker_is_back() -> None:
    out = Out()
    outgoing = Outgoing(out)
    out.away = True
    outgoing([])  # nothing is kept: nothing to find out
    with pytest.raises(ConnectionError):
        outgoing([envelope("a")])
    with pytest.raises(ConnectionError):
        outgoing([])
    out.away = False
    outgoing([])
    assert names(out) == ["a"]
