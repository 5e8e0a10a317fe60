"""What other systems write into a message beside its body: nothing of it is worked on before the body is read, and nothing of it
holds the queue."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pika
import pytest

from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.unreadable import connected
from shared.contracts.commands import AssignIuv
from shared.contracts.envelope import Envelope
from tests.servers import rabbitmq
from tests.suites.bus import RECORD, Ear, House

BODY = AssignIuv(record=RECORD).model_dump_json().encode()
BOMB = zlib.compress(b" " * 100_000_000, 9)


@pytest.fixture
def house() -> Iterator[House]:
    house = House(Broker(rabbitmq.shared()))
    yield house
    house.close()


def put(house: House, body: bytes, headers: dict[str, Any] | None = None, **properties: Any) -> None:
    """As another system does, with a library of its own."""
    given = pika.BasicProperties(headers=headers, **properties)  # type: ignore[no-untyped-call]
    connection = connected(rabbitmq.shared())
    try:
        exchange = str(house.topology.exchange("commands").name)
        connection.channel().basic_publish(exchange, "iuv.assign-iuv.v1", body, given)
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("headers", "properties"),
    [
        ({"cloudEvents_time": "2026-01-01T00:00:00"}, {}),
        ({"cloudEvents_time": "0001-01-01T00:00:00+23:59"}, {}),
        ({"cloudEvents_time": "9999-12-31T23:59:59-23:59"}, {}),
        ({"cloudEvents_time": {"a": [1]}, "cloudEvents_id": 7, "cloudEvents_source": None}, {}),
        ({"x-delivery-count": "molte"}, {}),
        ({"x-delivery-count": {"a": 1}}, {}),
        ({"compression": "zlib"}, {}),
        ({"compression": "nothing-known"}, {}),
        ({"cloudEvents_traceparent": "00-zz", "cloudEvents_causationid": "\0"}, {}),
        ({}, {"content_encoding": "punycode", "content_type": "application/x-python-serialize"}),
        ({}, {"correlation_id": "nobody", "message_id": "x" * 255, "reply_to": "x", "priority": 9}),
    ],
)  # fmt: skip
def test_strange_attributes_hold_nobody(house: House, headers: dict[str, Any], properties: dict[str, Any]) -> None:
    ear, _ = house.listen("iuv", size=10)
    put(house, BODY, headers, **properties)
    house.say(AssignIuv(record=RECORD, issue=2))
    heard = ear.until_heard(2)
    assert sorted(each.message.issue for each in heard if isinstance(each.message, AssignIuv)) == [1, 2]


def test_nothing_is_decompressed_or_decoded_before_somebody_looks(house: House) -> None:
    bodies: list[bytes] = []

    def read(envelope: Envelope) -> AssignIuv:
        bodies.append(envelope.body)
        return AssignIuv(record=RECORD)

    ear = Ear()
    house.adopt(Subscription(house.broker, house.topology, "iuv", ear, read=read))
    put(house, BOMB, {"compression": "zlib"})
    put(house, slow := b"a" * 300_000 + b"-" + b"9" * 300_000, content_encoding="punycode")
    ear.until_heard(2)
    assert bodies == [BOMB, slow]
