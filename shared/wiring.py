"""What a service is wired from, and what its `wire.py` gives back: the same for every stage, embedded or on servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.commands import Message
from shared.contracts.facts import Fact
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.db.ledger import UnaskedRow
from shared.documents import DocumentStore
from shared.stage import Stage

Handler = Callable[[Any], Sequence[Fact]]
"""Takes one message that is no trigger of the stage; idempotent; returns the facts to state."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the composition root knows. `database_url` maps a service's name to its SQLAlchemy URL."""

    creditors: Creditors
    documents: DocumentStore
    database_url: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Consumes:
    """A queue of the topology, the size of its handfuls, how many consumers a process has on it, and for how many seconds a
    handful that is begun waits for more."""

    queue: str
    size: int
    consumers: int = 1
    linger: float = 0.02


@dataclass(frozen=True, slots=True)
class Unasked:
    """A table of facts that no message asks for, and how a row reads as a fact."""

    table: type[UnaskedRow]
    fact: Callable[[Any], Fact]


@dataclass(frozen=True, slots=True)
class StageService:
    """A stage ready to run: the runner turns `triggers` into requests, calls `handlers` for the rest, and states what is
    `unasked` by itself."""

    database: Database
    stage: Stage[Any]
    triggers: frozenset[type[Message]]
    handlers: Mapping[type[Message], Handler] = field(default_factory=dict)
    unasked: Sequence[Unasked] = ()
    close: Callable[[], None] = lambda: None
