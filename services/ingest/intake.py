"""From a body that another system wrote to a request, or to what it is answered where it is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

from shared.contracts.commands import NAME_PATTERN, Message
from shared.contracts.envelope import Envelope
from shared.contracts.text import KIND, unusable_at

NAME = re.compile(NAME_PATTERN)
Code = Literal["unreadable", "too-large", "control-character"]


class NoRequest(Message):
    """Stands for a body that is no request. Never travels. `record` and `field`: where it is wrong, if that can be told."""

    owner: ClassVar[str] = "ingest"
    exchange: ClassVar[Literal["intake"]] = "intake"
    code: Code
    request_id: str = ""
    record: str = ""
    field: str = ""


def reader(ours: Callable[[str], bool], limit: int) -> Callable[[Envelope], Message]:
    """Reads bodies of the queue `ingest.batches`; those that are not `ours` (a user's) up to `limit` bytes."""

    def read(envelope: Envelope) -> Message:
        """What we cannot read of our own is a fault of ours: it raises, and is set aside for an operator."""
        if ours(envelope.user):
            return envelope.message()
        if len(envelope.body) > limit:
            return NoRequest(code="too-large")
        try:
            return envelope.message()
        except ValidationError as wrong:
            return _no_request(envelope.body, wrong)

    return read


def decisions(ours: Callable[[str], bool]) -> Callable[[Envelope], Message]:
    """Reads bodies of the queue `ingest.control`, where other systems have no right to write: RabbitMQ 3.10 asks for it by the
    routing key alone, and a header `CC` brings a copy here all the same. It is not read, and so set aside for nobody."""

    def read(envelope: Envelope) -> Message:
        return envelope.message() if ours(envelope.user) else NoRequest(code="unreadable")

    return read


def _no_request(body: bytes, wrong: ValidationError) -> NoRequest:
    told, error = _told(body), wrong.errors(include_url=False, include_context=False, include_input=False)[0]
    if not isinstance(told, Mapping):
        return NoRequest(code="unreadable")
    unusable = unusable_at(told) if error["type"] in (KIND, "json_invalid") else None
    record, field = _where(told, error["loc"] if unusable is None else unusable)
    code: Code = "unreadable" if unusable is None else "control-character"
    return NoRequest(code=code, request_id=_name(told.get("request_id")), record=record, field=field)


def _told(body: bytes) -> Any:
    """Read as leniently as can be, to tell what is wrong; `None` where it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _where(told: Mapping[str, Any], place: Sequence[int | str]) -> tuple[str, str]:
    """(reference, field of the contract). The keys of `columns` are the body's own words, and are not told."""
    if len(place) < 2 or place[0] != "records":
        return "", ".".join(map(str, place))
    listed, inside = told["records"][place[1]], place[2:3] if "columns" in place else place[2:]
    reference = _name(listed.get("reference")) if isinstance(listed, Mapping) else ""
    return reference, ".".join(map(str, inside))


def _name(value: object) -> str:
    return value if isinstance(value, str) and NAME.fullmatch(value) else ""
