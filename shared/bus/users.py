"""Who may do what at RabbitMQ, as values: one user per service, two for operators, one who may declare, one per client.

RabbitMQ checks three rights per user by regular expressions over names (configure, write, read), and per topic exchange one
more over routing keys. Nobody but `topology` configures anything, and nobody reads a queue that is not its own.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.bus.topology import BINDINGS, SERVICES, Topology
from shared.contracts.commands import BatchCommand, Message, PreviewRecord, RecordCommand, RequestBatch, Restate, Settle
from shared.contracts.facts import PreviewRendered
from shared.contracts.registry import messages, routing_key

NOTHING = "^$"
TOPOLOGY, OPERATIONS, PARKED = "topology", "operations", "parked"
RESERVED = frozenset({*SERVICES, TOPOLOGY, OPERATIONS, PARKED})
DEFAULT_EXCHANGE = r"amq\.default"
"""What dead-letters to a queue by its name goes through; declaring such a queue needs the right to write there."""


class NameTaken(Exception):
    """A client has the name of a user of ours."""


@dataclass(frozen=True, slots=True)
class User:
    """Each right is a regular expression over names. `keys`: exchange → what routing keys it may publish there."""

    name: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    tags: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)


def users(topology: Topology) -> list[User]:
    """All of them, clients last. Raises `NameTaken`."""
    for client in topology.clients:
        if client in RESERVED:
            raise NameTaken(client)
    return [
        *(_service(topology, name) for name in SERVICES),
        _declaring(topology),
        User(OPERATIONS, tags=("monitoring",)),
        _redriving(topology),
        *(_client(topology, client) for client in topology.clients),
    ]


def definitions(topology: Topology, hashes: Mapping[str, str], vhost: str = "/") -> dict[str, Any]:
    """A whole definitions file: topology, users and permissions. A user without a hash cannot log in."""
    everybody = users(topology)
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {"name": user.name, "password_hash": hashes.get(user.name, ""),
             "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": list(user.tags), "limits": {}}
            for user in everybody
        ],
        "permissions": [
            {"user": user.name, "vhost": vhost, "configure": user.configure, "write": user.write, "read": user.read}
            for user in everybody
        ],
        "topic_permissions": [
            {"user": user.name, "vhost": vhost, "exchange": topology.exchange(exchange).name, "write": keys,
             "read": NOTHING}
            for user in everybody for exchange, keys in user.keys.items()
        ],
        **topology.definitions(vhost),
    }  # fmt: skip


def password_hash(password: str, salt: bytes | None = None) -> str:
    """As RabbitMQ keeps it: base64 of a salt of four bytes and SHA-256 over salt and password."""
    salt = secrets.token_bytes(4) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


# -- inside


def _service(topology: Topology, name: str) -> User:
    keys = {exchange: _one_of(found) for exchange, found in _published(name).items()}
    return User(
        name,
        write=_one_of(_literal(topology.exchange(exchange).name) for exchange in keys),
        read=_one_of(_literal(topology.queue(queue).name) for queue in BINDINGS if _owner(queue) == name),
        keys=keys,
    )


def _published(name: str) -> Mapping[str, list[str]]:
    """Exchange → patterns of the keys that a service publishes."""
    facts = rf"{name}\.[a-z-]+(\.restated)?\.v[0-9]+"
    match name:
        case "ingest":
            commands = _keys_of(RecordCommand, Restate)
            # render keeps no ledger of previews: ingest, which does, says them again
            previews = _literal(routing_key(PreviewRendered, "", restated=True))
            return {
                "commands": commands,
                "facts": [facts, previews],
                "outcomes": [r"[a-z0-9][a-z0-9_-]*\.[a-z-]+\.v[0-9]+"],
            }
        case "status":
            return {
                "intake": _keys_of(RequestBatch, BatchCommand),
                "commands": _keys_of(Settle, Restate, PreviewRecord),
            }
        case _:
            return {"facts": [facts]}


def _keys_of(*kinds: type[Message]) -> list[str]:
    found = [each for each in messages().values() if issubclass(each, kinds)]
    return sorted(_literal(routing_key(each, "")) for each in found)


def _declaring(topology: Topology) -> User:
    """May make and bind what bears our names, for which RabbitMQ asks for all three rights."""
    ours = rf"{topology.namespace}\..+"
    return User(TOPOLOGY, configure=_one_of([ours]), write=_one_of([ours, DEFAULT_EXCHANGE]), read=_one_of([ours]))


def _redriving(topology: Topology) -> User:
    """`staffetta parked`: reads what nobody could, and sends it back in the name of who had published it."""
    return User(
        PARKED,
        write=_one_of(_literal(topology.exchange(name).name) for name in ("intake", "commands", "facts")),
        read=_one_of(_literal(topology.unreadable_name(name)) for name in SERVICES),
        tags=("impersonator",),
    )


def _client(topology: Topology, name: str) -> User:
    return User(
        name,
        write=_one_of([_literal(topology.exchange("intake").name)]),
        read=_one_of([_literal(str(topology.outcomes_queue(name).name))]),
        keys={"intake": _one_of(_keys_of(RequestBatch))},
    )


def _owner(queue: str) -> str:
    return queue.partition(".")[0]


def _literal(name: str) -> str:
    return name.replace(".", r"\.")


def _one_of(patterns: Iterable[str]) -> str:
    return f"^({'|'.join(patterns)})$"
