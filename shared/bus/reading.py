"""From a message as kombu delivers it to envelopes with their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from kombu import Message as Delivered
from kombu.transport.pyamqp import Channel
from kombu.transport.pyamqp import Message as Received

from shared.bus.parcels import exchange_of, is_parcel, opened
from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope

T = TypeVar("T")
Read = Callable[[Envelope], Message]
"""An envelope's message. Whatever it raises makes the body unreadable."""
Contents = tuple[Sequence[tuple[Envelope, Message]], Sequence[str]]
"""What can be read, and the ids of what cannot."""


def contents(delivered: Delivered, read: Read) -> Contents:
    """What a message holds, one or a parcel; of a parcel that came before, from the other end at every second time: what stands
    behind one that kills its worker has its turn too, also where nobody notes suspects. Raises whatever is wrong with all of it."""
    envelope = read_envelope(delivered)
    if is_parcel(delivered):
        envelopes, broken = opened(envelope)
        turned = envelopes[::-1] if earlier_deliveries(delivered) % 2 else envelopes
        return [(each, each.message()) for each in turned], broken
    message = read(envelope)
    return [(replace(envelope, parsed=message), message)], []


def in_hands(deliveries: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Up to `size` at once."""
    for start in range(0, len(deliveries), size):
        yield deliveries[start : start + size]


class _AsItCame(Received):
    """A message of RabbitMQ that nothing was done to."""

    def __init__(self, msg: Any, *arguments: Any, **named: Any) -> None:
        (msg.properties.get("application_headers") or {}).pop("compression", None)
        super().__init__(msg, *arguments, **named)


def leave_as_they_come(channel: Channel) -> None:
    """Other systems write headers too: one that says `compression` would inflate a body without end, and a strange
    `content_encoding` keep a decoder busy for minutes, on the connection's thread and before anybody looked at its length."""
    channel.auto_decode = False
    channel.Message = _AsItCame


def read_envelope(delivered: Delivered) -> Envelope:
    """The envelope of a message as it came."""
    body = delivered.body if isinstance(delivered.body, bytes) else str(delivered.body).encode()
    headers: dict[str, Any] = dict(delivered.headers or {})
    properties: dict[str, Any] = dict(delivered.properties or {})
    moment = headers.get("cloudEvents_time")
    return Envelope(
        id=str(headers.get("cloudEvents_id") or properties.get("message_id") or ""),
        key=str(delivered.delivery_info.get("routing_key", "")),
        exchange=exchange_of(delivered),
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
    a death. (On the first delivery the header is whatever its sender wrote.)"""
    count = (delivered.headers or {}).get("x-delivery-count")
    return count if isinstance(count, int) else 0


def _time(text: object) -> datetime:
    """With a zone, for times are compared; whoever names none means UTC."""
    try:
        told = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
    return told if told.tzinfo else told.replace(tzinfo=UTC)
