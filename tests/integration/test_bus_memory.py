"""The bus over kombu's in-memory transport, which the embedded relay uses."""

from __future__ import annotations

import pytest

from shared.bus.connection import Broker
from tests.suites.bus import BusSuite


class TestBusOverMemory(BusSuite):
    """See `BusSuite`."""

    @pytest.fixture
    def broker(self) -> Broker:
        return Broker("memory://")
