"""The bus over kombu's in-memory transport, which the embedded relay uses."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from shared.bus.connection import Broker
from shared.bus.topology import Topology
from tests.suites.bus import BusSuite


class TestBusOverMemory(BusSuite):
    """See `BusSuite`."""

    @pytest.fixture
    def broker(self) -> Broker:
        return Broker("memory://")


def test_what_the_memory_transport_stumbles_over_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It walks through queues that another thread may be declaring."""
    looks: list[RuntimeError | list[str]] = [RuntimeError("dictionary changed size during iteration"), []]

    def missing(*_given: object) -> list[str]:
        look = looks.pop(0)
        if isinstance(look, RuntimeError):
            raise look
        return look

    monkeypatch.setattr(Topology, "missing", missing)
    with capture_logs() as logs:
        assert Topology().await_standing(Broker("memory://"), threading.Event()) is False
    assert [(line["event"], line["error"]) for line in logs] == [("topology.unknown", "RuntimeError")]
