"""Text that JSON can spell and nothing of ours can keep: NUL, which PostgreSQL has no place for, and half of a surrogate pair,
which is no character. Whoever let it in would be held up by it for ever, for the database's no is no outage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

UNUSABLE = re.compile("[\x00\ud800-\udfff]")
SPELT = b"\\u0000"
"""Halves of pairs need no looking for: pydantic's parser refuses them."""
KIND = "control-character"
Place: TypeAlias = tuple[int | str, ...]


def check_text(name: str, body: bytes) -> None:
    """Raises pydantic's `ValidationError`, of kind `KIND` and with its place, where a text in the JSON cannot be kept."""
    if SPELT in body and (place := unusable_at(from_json(body))) is not None:
        kind = PydanticCustomError("control-character", "a text holds NUL")
        raise ValidationError.from_exception_data(name, [InitErrorDetails(type=kind, loc=place, input=None)])


def unusable_at(told: Any) -> Place | None:
    """The first such text in what JSON told, however deep; the place of a name is that of what it names."""
    waiting: list[tuple[Place, Any]] = [((), told)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            if UNUSABLE.search(value):
                return place
        elif isinstance(value, Mapping):
            if any(UNUSABLE.search(name) for name in value):
                return place
            waiting += [((*place, name), inside) for name, inside in reversed([*value.items()])]
        elif isinstance(value, Sequence):
            waiting += [((*place, at), value[at]) for at in reversed(range(len(value)))]
    return None
