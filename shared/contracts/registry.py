"""Every message by its name on the wire, and back."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TypeVar

from shared.contracts import commands, facts, outcomes
from shared.contracts.commands import Message

ABSTRACT = {
    "Message", "BatchCommand", "RecordCommand", "Settle", "Fact", "BatchFact", "RecordFact", "StageFact", "Outcome",
}  # fmt: skip
EVERY = "every"
M = TypeVar("M", bound=type[Message])


def kebab(name: str) -> str:
    """`NoticeRendered` → `notice-rendered`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


@cache
def messages() -> dict[tuple[str, int], type[Message]]:
    """The concrete messages by (kebab name, major). Names are unique across owners."""
    found: dict[tuple[str, int], type[Message]] = {}
    for module in (commands, facts, outcomes):
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, Message) and item.__name__ not in ABSTRACT:
                found[kebab(item.__name__), item.major] = item
    return found


def routing_key(message: type[Message], source: str, *, restated: bool = False) -> str:
    """`<owner>.<message-in-kebab>[.restated].v<major>`; a message of *every* service is owned by its source, an outcome by the
    client that it is for, which stands in the source's place."""
    named = message.owner == outcomes.CLIENT or (message.owner == EVERY and message is not commands.Restate)
    owner = source if named else message.owner
    middle = ".restated" if restated else ""
    return f"{owner}.{kebab(message.__name__)}{middle}.v{message.major}"


class UnknownMessage(Exception):
    """The routing key names no message that this version knows."""


@lru_cache(maxsize=1_000)  # several times a message; keys of outsiders are bounded by it
def parse_key(key: str) -> tuple[type[Message], str, bool]:
    """(class, owner, restated) of a routing key. Raises `UnknownMessage`."""
    matched = re.fullmatch(r"([a-z0-9][a-z0-9_-]*)\.([a-z-]+?)(\.restated)?\.v([0-9]+)", key)
    kind = messages().get((matched[2], int(matched[4]))) if matched else None
    if matched is None or kind is None:
        raise UnknownMessage(key)
    return kind, matched[1], matched[3] is not None
