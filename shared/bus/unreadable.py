"""The queues of what could not be read at all, for operators: look, send back, discard. pika, one message at a time.

Nothing is ever copied to look at it: a message that is looked at is held, unacknowledged, and goes back to its place when
the connection ends, however it ends. Sending back publishes with a confirm, mandatory, and acks only then, so a kill in
between leaves the message in both places and never in none; those who take it know repeats by their ids.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError
from pika.spec import BasicProperties

from shared.bus.parcels import COUNT
from shared.bus.topology import SERVICES, Topology

OF_THE_BROKER = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
"""Headers that dead-lettering added: a message that is sent back goes without them."""
PRECONDITION_FAILED = 406
CLIENT_SECONDS = 30


class Unreachable(Exception):
    """The broker does not answer, or refuses this user."""


class NotFound(Exception):
    """No message, or more than one (`refs`), answers to `wanted`."""

    def __init__(self, wanted: str, refs: Sequence[str]) -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.refs = refs


@dataclass(frozen=True, slots=True)
class Parked:
    """A message of an unreadable queue. `id` is what its sender called it, or a digest of the body where it has no name;
    `position` counts from 1, the oldest. `exchange` and `key` are where it was published at first, empty where nobody
    knows; `since` is when it was set aside (UTC)."""

    service: str
    position: int
    id: str
    queue: str
    reason: str
    exchange: str
    key: str
    since: datetime | None
    properties: BasicProperties
    body: bytes

    @property
    def ref(self) -> str:
        """How an operator names it: service, position, id."""
        return f"{self.service}:{self.position}:{self.id}"

    @property
    def items(self) -> int:
        """How many messages it holds, as its sender says: a parcel lies here for one that cannot be read, with all others."""
        count = self.headers.get(COUNT)
        return count if isinstance(count, int) and count > 0 else 1

    @property
    def headers(self) -> dict[str, Any]:
        """As they came, with the broker's own."""
        return dict(self.properties.headers or {})

    @property
    def sender(self) -> str:
        """The user that RabbitMQ checked, or none."""
        return str(self.properties.user_id or "")


class Desk:
    """One connection to the unreadable queues; a context manager. Raises `Unreachable`."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._topology = topology
        try:
            self._connection = connected(url)
            self._channel: BlockingChannel = self._connection.channel()
            self._channel.confirm_delivery()
        except (AMQPError, OSError, ValueError) as error:
            raise Unreachable(type(error).__name__) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(AMQPError):
            self._connection.close()

    def count(self, service: str) -> int:
        """How many lie there now."""
        try:
            return int(self._channel.queue_declare(self._name(service), passive=True).method.message_count)
        except ChannelClosedByBroker as error:
            raise Unreachable(f"{self._name(service)}: {error.reply_text}") from error

    def messages(self, service: str, limit: int | None = None) -> Iterator[tuple[Parked, int]]:
        """The oldest first, each with its delivery tag; all of them are held until the desk closes."""
        count = self.count(service)
        for position in range(1, min(count, limit if limit is not None else count) + 1):
            method, properties, body = self._channel.basic_get(self._name(service))
            if method is None or properties is None or body is None:
                return
            yield read(service, position, properties, body), int(method.delivery_tag or 0)

    def pick(self, wanted: Sequence[str]) -> list[tuple[Parked, int]]:
        """The messages that `wanted` names, in one pass: `service:position:id` each, or the id alone where only one has it.
        A queue may have moved since it was listed, so a position only tells equal ids apart. Raises `NotFound`."""
        asked = [_parts(each) for each in wanted]
        ids = {name for _, _, name in asked}
        services = {service for service, _, _ in asked}
        found = [
            each
            for service in SERVICES
            if service in services or "" in services
            for each in self.messages(service)
            if each[0].id in ids
        ]
        return list({tag: (parked, tag) for parked, tag in (_chosen(each, found) for each in asked)}.values())

    def redrive(self, parked: Parked, tag: int) -> None:
        """Publish it again as it was published first, and let go of it once the broker has it. Other readers of the same
        exchange get it once more, and know it. Raises `NotSentBack`."""
        if not parked.key:
            raise NotSentBack("unknown-origin")
        try:
            self._channel.basic_publish(
                parked.exchange, parked.key, parked.body, properties=_cleaned(parked.properties), mandatory=True
            )
        except UnroutableError as error:
            raise NotSentBack("unroutable") from error
        except NackError as error:
            raise NotSentBack("queue-full") from error
        except ChannelClosedByBroker as error:
            code = "another-user" if error.reply_code == PRECONDITION_FAILED else "not-allowed"
            raise NotSentBack(code, fatal=True) from error
        self._channel.basic_ack(tag)

    def discard(self, tag: int) -> None:
        """For good: whoever calls this has written it down."""
        self._channel.basic_ack(tag)

    def _name(self, service: str) -> str:
        return self._topology.unreadable_name(service)


def connected(url: str) -> pika.BlockingConnection:
    """A connection of pika's, which reads the vhost of kombu's `amqp://host//` as no name at all."""
    parameters = pika.URLParameters(url)
    parameters.virtual_host = unquote(urlsplit(url).path[1:]) or "/"
    parameters.blocked_connection_timeout = CLIENT_SECONDS
    return pika.BlockingConnection(parameters)


class NotSentBack(Exception):
    """The message stays where it is. `code`: unknown-origin, unroutable, queue-full, another-user (RabbitMQ
    lets nobody publish in another's name without the tag `impersonator`), not-allowed. `fatal`: the channel is closed."""

    def __init__(self, code: str, *, fatal: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.fatal = fatal


def read(service: str, position: int, properties: BasicProperties, body: bytes) -> Parked:
    """A message as it lies there, with what the broker says of its death."""
    headers = properties.headers or {}
    deaths: Sequence[dict[str, Any]] = headers.get("x-death") or [{}]
    death = deaths[0]
    since = death.get("time")
    keys = death.get("routing-keys") or [""]
    name = str(properties.message_id or headers.get("cloudEvents_id") or "")
    return Parked(
        service=service, position=position, id=_printable(name) or f"corpo-{hashlib.sha256(body).hexdigest()[:12]}",
        queue=str(death.get("queue", "")), reason=str(death.get("reason", "")), exchange=str(death.get("exchange", "")),
        key=str(keys[0]), since=since.replace(tzinfo=UTC) if isinstance(since, datetime) else None,
        properties=properties, body=body,
    )  # fmt: skip


def _cleaned(properties: BasicProperties) -> BasicProperties:
    headers = {name: value for name, value in (properties.headers or {}).items() if not name.startswith(OF_THE_BROKER)}
    kept = {name: getattr(properties, name) for name in ("content_type", "content_encoding", "correlation_id", "reply_to",
            "message_id", "timestamp", "type", "user_id", "app_id", "priority")}  # fmt: skip
    return BasicProperties(headers=headers, delivery_mode=2, **kept)


def _parts(wanted: str) -> tuple[str, int, str]:
    matched = re.fullmatch(r"([a-z]+):([0-9]+):(.+)", wanted)
    if matched is None or matched[1] not in SERVICES:
        return "", 0, wanted
    return matched[1], int(matched[2]), matched[3]


def _chosen(asked: tuple[str, int, str], found: Sequence[tuple[Parked, int]]) -> tuple[Parked, int]:
    service, position, name = asked
    named = [each for each in found if each[0].id == name and service in ("", each[0].service)]
    exact = [each for each in named if each[0].position == position]
    if len(named) != 1 and len(exact) != 1:
        raise NotFound(name, [each.ref for each, _ in named])
    return (exact or named)[0]


def _printable(text: str) -> str:
    """Ids come from whoever published: no control characters on an operator's terminal, and no length without end."""
    return "".join(character for character in text if character.isprintable())[:100]
