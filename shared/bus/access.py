"""Who may do what at the broker: a definitions file, in RabbitMQ's own form, against what its management API tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.bus.verify import Difference

Rows = Sequence[Mapping[str, Any]]
RIGHTS = ("configure", "write", "read")


def compare_access(definitions: Mapping[str, Rows], told: Mapping[str, Rows]) -> list[Difference]:
    """Users, their tags and their permissions on one vhost. A user whom the file does not know and who has permissions
    there is extra: somebody may read what nobody meant them to. Passwords are not compared."""
    return sorted([*_users(definitions, told), *_permissions(definitions, told), *_topics(definitions, told)])


def _users(definitions: Mapping[str, Rows], told: Mapping[str, Rows]) -> Iterator[Difference]:
    wanted, found = (
        {str(row["name"]): _tags(row["tags"]) for row in each.get("users", ())} for each in (definitions, told)
    )
    for name, tags in wanted.items():
        if name not in found:
            yield Difference("user", name, "missing")
        elif found[name] != tags:
            yield Difference("user", name, "differs", f"tags={','.join(sorted(found[name]))}")
    for name in {str(row["user"]) for row in told["permissions"]} - wanted.keys():
        yield Difference("user", name, "extra")


def _permissions(definitions: Mapping[str, Rows], told: Mapping[str, Rows]) -> Iterator[Difference]:
    found = {str(row["user"]): row for row in told["permissions"]}
    for row in definitions.get("permissions", ()):
        has: Mapping[str, Any] = found.get(str(row["user"]), {})
        for right in RIGHTS:
            if has.get(right) != row[right]:
                yield Difference("permission", str(row["user"]), "differs", f"{right}={has.get(right)}")


def _topics(definitions: Mapping[str, Rows], told: Mapping[str, Rows]) -> Iterator[Difference]:
    """RabbitMQ lets everybody write and read any key of an exchange for which a user has no topic permission."""

    def keyed(rows: Rows) -> dict[tuple[str, str], tuple[str, str]]:
        return {(row["user"], row["exchange"]): (row["write"], row["read"]) for row in rows}

    wanted, found = keyed(definitions.get("topic_permissions", ())), keyed(told["topic_permissions"])
    for (user, exchange), rights in wanted.items():
        if (has := found.get((user, exchange))) != rights:
            told_rights = "nessun limite" if has is None else f"write={has[0]} read={has[1]}"
            yield Difference("permission", user, "differs", f"{exchange}: {told_rights}")


def _tags(told: object) -> frozenset[str]:
    """A list, or in older versions a text with commas."""
    parts = told.split(",") if isinstance(told, str) else told if isinstance(told, list) else []
    return frozenset(part for part in parts if part)
