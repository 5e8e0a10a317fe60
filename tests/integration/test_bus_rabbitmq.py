"""The bus over RabbitMQ: the same suite, and what only a real broker can do to us."""

from __future__ import annotations

import pytest

from shared.bus.connection import Broker
from tests.servers import rabbitmq
from tests.suites.bus import BusSuite


class TestBusOverRabbitmq(BusSuite):
    """See `BusSuite`."""

    @pytest.fixture
    def broker(self) -> Broker:
        return Broker(rabbitmq.shared())
