"""From a message as kombu delivers it to an envelope."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kombu import Message as Delivered

from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope

Read = Callable[[Envelope], Message]
"""An envelope's message. Whatever it raises makes the body unreadable."""


def read_envelope(delivered: Delivered) -> Envelope:
    """The envelope of a message as it came."""
    body = delivered.body if isinstance(delivered.body, bytes) else str(delivered.body).encode()
    headers: dict[str, Any] = dict(delivered.headers or {})
    properties: dict[str, Any] = dict(delivered.properties or {})
    moment = headers.get("cloudEvents_time")
    return Envelope(
        id=str(headers.get("cloudEvents_id") or properties.get("message_id") or ""),
        key=str(delivered.delivery_info.get("routing_key", "")),
        exchange=str(delivered.delivery_info.get("exchange", "")).rpartition(".")[2],
        source=str(headers.get("cloudEvents_source", "")).rpartition("/")[2],
        time=_time(moment),
        body=body,
        correlation=str(properties.get("correlation_id") or ""),
        causation=str(headers.get("cloudEvents_causationid", "")),
        traceparent=str(headers.get("cloudEvents_traceparent", "")),
        user=str(properties.get("user_id") or ""),
    )


def earlier_deliveries(delivered: Delivered) -> int:
    """How often a message was delivered before, whatever ended that: RabbitMQ 3.10 counts a graceful return as it counts
    a death."""
    return int((delivered.headers or {}).get("x-delivery-count") or 0)


def _time(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
