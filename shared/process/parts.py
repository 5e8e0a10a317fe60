"""What a service is to its process, and what the process gives to the service."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

from shared.bus.connection import Broker
from shared.bus.consumer import Handle
from shared.bus.publisher import Publisher
from shared.bus.reading import Read
from shared.bus.topology import Topology
from shared.creditors.checks import SecretOf
from shared.db.engine import Database
from shared.settings import Settings
from shared.wiring import Consumes, Setup

Documents = Literal["", "read", "write"]


def nothing() -> None:
    """Does nothing."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Work of the clock: `work` is called every `seconds`, never twice at once."""

    seconds: float
    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A service, assembled. Its process calls

    `start` at once, whether or not the broker is there; `recover` when messages are being taken, and again after
    the topology had been lost; `leave` when it is asked to stop, before the handfuls in hand are waited for; `close` last.
    """

    database: Database
    handlers: Mapping[Consumes, Handle]
    readers: Mapping[str, Read] = field(default_factory=dict)
    """Queue → how its bodies are read, where others than ourselves write them."""
    ticks: tuple[Tick, ...] = ()
    start: Callable[[], None] = nothing
    recover: Callable[[], object] = nothing
    leave: Callable[[], None] = nothing
    close: Callable[[], None] = nothing


@dataclass(slots=True)
class Surroundings:
    """The process, as a service sees it. `owner` names it in leases: another start is another owner. `troubles`: queue →
    what keeps its worker from going on."""

    setup: Setup
    settings: Settings
    broker: Broker
    topology: Topology
    troubles: Callable[[], Mapping[str, str]] = dict
    owner: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}")
    held: ExitStack = field(default_factory=ExitStack)
    """What is closed when the process ends."""

    def publisher(self) -> Publisher:
        """A publisher with a connection of its own."""
        publisher = Publisher(self.broker, self.topology)
        self.held.callback(publisher.close)
        return publisher


@dataclass(frozen=True, slots=True)
class Service:
    """A service that can be run: its name, how it is assembled, the secrets of the creditors' file that it needs, the
    exceptions by which it refuses a configuration (their text is Italian), and what it does with documents."""

    name: str
    assemble: Callable[[Surroundings], Part]
    secrets: frozenset[SecretOf] = frozenset()
    refusals: tuple[type[Exception], ...] = ()
    documents: Documents = ""
