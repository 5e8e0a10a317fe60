"""The envelope: CloudEvents 1.0 attributes in AMQP binding (`cloudEvents_*` headers), never personal data.

`id` is derived from what the message is about (record, order, type, issue of a failure), so a repeat carries the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from shared.contracts.commands import Message
from shared.contracts.registry import parse_key, routing_key
from shared.contracts.text import check_text

CONTENT_TYPE = "application/json"
BATCH_CONTENT_TYPE = "application/cloudevents-batch+json"
PREFIX = "cloudEvents_"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as it travels. `body` is JSON in UTF-8, and empty where it came in a parcel: only its message was kept, in
    `parsed`. `causation` is the id of the message that led to it; `user` who published it, where the broker checks that
    ("" on memory, and before it was delivered)."""

    id: str
    key: str
    exchange: str
    source: str
    time: datetime
    body: bytes
    correlation: str = ""
    causation: str = ""
    traceparent: str = ""
    user: str = ""
    """Who published it, as RabbitMQ validated; empty on the in-memory broker, whose publishers are all our own."""
    parsed: Message | None = field(default=None, compare=False, repr=False)
    """The message, where it was read before."""

    @classmethod
    def of(  # noqa: PLR0913 - the attributes of CloudEvents, each by name
        cls, message: Message, *, source: str, id: UUID | None = None, correlation: UUID | str = "",
        causation: str = "", restated: bool = False, traceparent: str = "", client: str = "", time: datetime | None = None,
    ) -> Envelope:  # fmt: skip
        """Wrap `message`, published by service `source`; an outcome is for `client`. `time`: of what it tells, where that is
        not now."""
        return cls(
            id=str(id or uuid4()),
            key=routing_key(type(message), client or source, restated=restated),
            exchange=type(message).exchange,
            source=source,
            time=time or datetime.now(UTC),
            body=message.model_dump_json(exclude_none=True).encode(),
            correlation=str(correlation),
            causation=causation,
            traceparent=traceparent,
        )

    def attributes(self) -> dict[str, str]:
        """The attributes of CloudEvents."""
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "type": f"it.staffetta.{self.key}",
            "source": f"/staffetta/{self.source}",
            "time": self.time.isoformat(),
        }
        if self.causation:
            attributes["causationid"] = self.causation
        if self.traceparent:
            attributes["traceparent"] = self.traceparent
        return attributes

    def cloud_headers(self) -> dict[str, str]:
        """The attributes as AMQP application headers."""
        return {f"{PREFIX}{name}": value for name, value in self.attributes().items()}

    def message(self) -> Message:
        """The body as the model that the key names. Raises `UnknownMessage` or pydantic's `ValidationError`."""
        if self.parsed is not None:
            return self.parsed
        kind, _owner, _restated = parse_key(self.key)
        message = kind.model_validate_json(self.body)
        check_text(kind.__name__, self.body)
        return message

    @property
    def restated(self) -> bool:
        """Whether this is an old fact told again, which triggers no stage."""
        return parse_key(self.key)[2]
