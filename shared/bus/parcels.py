"""Parcels: what one call publishes under one routing key travels as one message of the broker (docs/adr/0023).

A parcel's body is CloudEvents' JSON batch format: an array of structured events, each with its `data`. Only what stays inside
is packed; other systems read and write single messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Generic, TypeVar

from kombu import Message as Delivered
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from shared.contracts.commands import Message, RecordCommand
from shared.contracts.envelope import BATCH_CONTENT_TYPE, CONTENT_TYPE, Envelope
from shared.contracts.facts import RecordFact, StageFact
from shared.contracts.registry import UnknownMessage, parse_key
from shared.contracts.text import check_text
from shared.ids import derived

PACKED = frozenset({"commands", "facts"})
MOST_ITEMS = 25
"""What a message costs the broker and its client is by then shared by so many that more gain little; and a parcel is worked
off by one replica, while others may have nothing to do."""
MOST_BYTES = 512_000
COUNT = "parcel-items"
"""The header that tells how many a parcel holds, so that nobody has to open it to know."""
M = TypeVar("M", bound=Message)


class Item(BaseModel, Generic[M]):
    """One event of a parcel."""

    id: str
    source: str
    time: datetime
    correlationid: str = ""
    causationid: str = ""
    traceparent: str = ""
    data: M


@dataclass(frozen=True, slots=True)
class Posted:
    """What is written on the wire, for one envelope or several."""

    id: str
    correlation: str
    content_type: str
    headers: Mapping[str, str | int]
    body: bytes


def parcels(envelopes: Sequence[Envelope]) -> Iterator[list[Envelope]]:
    """Who travels with whom. What is about a record joins others of its key, past what is about other records: who reads it
    goes by versions (docs/adr/0005). All else keeps its place: nothing passes it, and it passes nothing."""
    heaps: dict[tuple[str, str], list[Envelope]] = {}
    sizes: dict[tuple[str, str], int] = {}
    last = ""
    for envelope in envelopes:
        kind = envelope.key, envelope.source
        if envelope.key != last and not (_movable(envelope.key) and _movable(last)):
            yield from heaps.values()
            heaps.clear()
        last = envelope.key
        heap = heaps.get(kind)
        if envelope.exchange not in PACKED:
            yield [envelope]
        elif heap is None:
            heaps[kind], sizes[kind] = [envelope], len(envelope.body)
        elif len(heap) < MOST_ITEMS and sizes[kind] + len(envelope.body) <= MOST_BYTES:
            heap.append(envelope)
            sizes[kind] += len(envelope.body)
        else:
            yield heap
            heaps[kind], sizes[kind] = [envelope], len(envelope.body)
    yield from heaps.values()


def posted(parcel: Sequence[Envelope]) -> Posted:
    """As it goes out: one envelope as it is, several as a batch, named after all that is in it."""
    if len(parcel) == 1:
        [only] = parcel
        return Posted(only.id, only.correlation, CONTENT_TYPE, only.cloud_headers(), only.body)
    correlations = {each.correlation for each in parcel}
    return Posted(
        id=str(derived("parcel", *(each.id for each in parcel))),
        correlation=correlations.pop() if len(correlations) == 1 else "",
        content_type=BATCH_CONTENT_TYPE,
        headers={COUNT: len(parcel)},
        body=b"[" + b",".join(map(_event, parcel)) + b"]",
    )


def is_parcel(delivered: Delivered) -> bool:
    """Whether a message holds several. (On an exchange where others write, that is only what they call it.)"""
    return str(delivered.content_type) == BATCH_CONTENT_TYPE and exchange_of(delivered) in PACKED


def exchange_of(delivered: Delivered) -> str:
    """The exchange, without the namespace."""
    return str(delivered.delivery_info.get("exchange", "")).rpartition(".")[2]


def items_in(delivered: Delivered) -> int:
    """How many messages one of the broker's holds, as its sender says."""
    count = (delivered.headers or {}).get(COUNT, 1) if is_parcel(delivered) else 1
    return count if isinstance(count, int) and count > 0 else 1


def opened(parcel: Envelope) -> tuple[list[Envelope], list[str]]:
    """What can be read of it, in order, each with its message; and the ids of what cannot. All is parsed once, where all can be
    read. Raises `UnknownMessage`, or `ValueError` where it is no parcel at all."""
    kind, _owner, _restated = parse_key(parcel.key)
    try:
        items = _batch(kind).validate_json(parcel.body)
        check_text(kind.__name__, parcel.body)
        return [_envelope(parcel, item) for item in items], []
    except ValidationError:
        return _sorted_out(parcel, from_json(parcel.body), _single(kind))


def _sorted_out(parcel: Envelope, events: Any, adapter: TypeAdapter[Item[Message]]) -> tuple[list[Envelope], list[str]]:
    if not isinstance(events, list):
        raise TypeError
    sound, broken = [], []
    for event in events:
        try:
            item = adapter.validate_json(body := to_json(event))
            check_text("Item", body)
            sound.append(_envelope(parcel, item))
        except ValidationError:
            broken.append(str(event.get("id", "")) if isinstance(event, dict) else "")
    return sound, broken


def _event(envelope: Envelope) -> bytes:
    """The body is JSON already, and is not parsed again to be written."""
    attributes = envelope.attributes()
    if envelope.correlation:
        attributes["correlationid"] = envelope.correlation
    return to_json(attributes)[:-1] + b',"data":' + envelope.body + b"}"


def _envelope(parcel: Envelope, item: Item[Message]) -> Envelope:
    return Envelope(
        id=item.id, key=parcel.key, exchange=parcel.exchange, source=item.source.rpartition("/")[2], time=item.time, body=b"",
        correlation=item.correlationid, causation=item.causationid, traceparent=item.traceparent, user=parcel.user,
        parsed=item.data,
    )  # fmt: skip


@cache
def _batch(kind: type[Message]) -> TypeAdapter[list[Item[Message]]]:
    return TypeAdapter(list[Item[kind]])  # type: ignore[valid-type]


@cache
def _single(kind: type[Message]) -> TypeAdapter[Item[Message]]:
    return TypeAdapter(Item[kind])  # type: ignore[valid-type]


@lru_cache(maxsize=1_000)
def _movable(key: str) -> bool:
    try:
        return issubclass(parse_key(key)[0], RecordCommand | RecordFact | StageFact)
    except UnknownMessage:
        return False
