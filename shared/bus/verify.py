"""Whether a live broker is as the code says: by passive declares, which change nothing, and by what its management API tells.

AMQP alone tells that an exchange or a queue is there; which arguments and bindings it has, and who may do what, only the
management API does. What could not be looked at is said, never passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amqp.exceptions import AccessRefused, PreconditionFailed
from kombu import Queue
from kombu.exceptions import OperationalError
from pika.exceptions import AMQPError, ChannelClosedByBroker

from shared.bus.connection import Broker
from shared.bus.topology import Topology
from shared.bus.unreadable import Unreachable, connected

NOT_FOUND, ACCESS_REFUSED = 404, 403
LOSING = ("message-ttl", "expires", "max-length", "max-length-bytes")
"""Policies that make a queue lose messages behind the code's back."""
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """`kind`: exchange, queue, binding, user or permission. `what`: missing, extra or differs. `detail` says how."""

    kind: str
    name: str
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the management API lists of one vhost."""

    exchanges: Rows
    queues: Rows
    bindings: Rows


@dataclass(slots=True)
class Report:
    """`unchecked` names what could not be looked at."""

    differences: list[Difference] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def passive(url: str, topology: Topology) -> Report:
    """Which exchanges and queues are there. Raises `Unreachable`."""
    report = Report()
    try:
        connection = connected(url)
    except (AMQPError, OSError, ValueError) as error:
        raise Unreachable(type(error).__name__) from error
    names = [("exchange", each.name) for each in topology.exchanges()]
    names += [("queue", each.name) for each in topology.queues()]
    try:
        for kind, name in names:
            channel = connection.channel()
            try:
                if kind == "exchange":
                    channel.exchange_declare(name, passive=True)
                else:
                    channel.queue_declare(name, passive=True)
                channel.close()
            except ChannelClosedByBroker as error:
                if error.reply_code == NOT_FOUND:
                    report.differences.append(Difference(kind, name, "missing"))
                else:
                    report.unchecked.append(f"{kind} {name}: {error.reply_text}")
    except AMQPError as error:
        raise Unreachable(type(error).__name__) from error
    finally:
        if connection.is_open:
            connection.close()
    return report


class Unmade(Exception):
    """The broker refused to make something: another of that name differs, or the user may not."""


def declare(url: str, topology: Topology) -> None:
    """Make what is missing. Raises `Unreachable` or `Unmade`."""
    try:
        with Broker(url).connect() as connection:
            topology.declare(connection)
    except (PreconditionFailed, AccessRefused) as error:
        raise Unmade(error.reply_text) from error
    except (OSError, OperationalError) as error:
        raise Unreachable(type(error).__name__) from error


def compare(topology: Topology, told: Told) -> list[Difference]:
    """What differs from the code: names, types, arguments, bindings, and policies that lose messages."""
    return sorted({*_exchanges(topology, told), *_queues(topology, told), *_bindings(topology, told)})


def arguments(queue: Queue) -> dict[str, Any]:
    """The `x-` arguments that a queue is declared with."""
    return dict(queue.as_dict()["queue_arguments"] or {})


def expected_bindings(topology: Topology) -> set[tuple[str, str, str]]:
    """(exchange, routing key, queue) of every binding that the code makes."""
    return {
        (bound.exchange.name, bound.routing_key, queue.name) for queue in topology.queues() for bound in queue.bindings
    }


def _exchanges(topology: Topology, told: Told) -> Iterator[Difference]:
    found = {str(row["name"]): row for row in told.exchanges}
    wanted = {each.name: each for each in topology.exchanges()}
    yield from _names("exchange", topology, set(wanted), set(found))
    for name, exchange in wanted.items():
        row = found.get(name)
        if row is not None and (row["type"], row["durable"]) != (exchange.type, True):
            yield Difference("exchange", name, "differs", f"type={row['type']} durable={row['durable']}")


def _queues(topology: Topology, told: Told) -> Iterator[Difference]:
    found = {str(row["name"]): row for row in told.queues}
    wanted = {each.name: each for each in topology.queues()}
    yield from _names("queue", topology, set(wanted), set(found))
    for name, queue in wanted.items():
        if (row := found.get(name)) is None:
            continue
        wanted_arguments = arguments(queue)
        for key in sorted(wanted_arguments.keys() | row["arguments"].keys()):
            if wanted_arguments.get(key) != row["arguments"].get(key):
                yield Difference("queue", name, "differs", f"{key}={row['arguments'].get(key)}")
        for key in LOSING:
            if key in (row.get("effective_policy_definition") or {}):
                yield Difference("queue", name, "differs", f"policy {key}={row['effective_policy_definition'][key]}")


def _bindings(topology: Topology, told: Told) -> Iterator[Difference]:
    """A foreign queue that is bound to an exchange of ours reads what is for others: it counts as extra."""
    ours = {each.name for each in topology.exchanges()}
    wanted = expected_bindings(topology)
    found = {
        (str(row["source"]), str(row["routing_key"]), str(row["destination"]))
        for row in told.bindings
        if row["source"] in ours
    }
    for what, bindings in (("missing", wanted - found), ("extra", found - wanted)):
        for exchange, key, queue in bindings:
            yield Difference("binding", queue, what, f"{exchange} · {key}")


def _names(kind: str, topology: Topology, wanted: set[str], found: set[str]) -> Iterator[Difference]:
    for name in wanted - found:
        yield Difference(kind, name, "missing")
    for name in found - wanted:
        if name.startswith(f"{topology.namespace}."):
            yield Difference(kind, name, "extra")
