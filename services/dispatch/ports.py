"""What the dispatch stage needs from the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.stage import Deferred, Permanent, Refused, Transient


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it goes to the server: RFC 5321 addresses, RFC 5322 content with CRLF, seven bits."""

    sender: str
    recipient: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server answers for the message since `at` (UTC)."""

    at: datetime


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The message was being handed over when the server fell silent: it may have it, or not."""

    code: str


Verdict = Accepted | NoAnswer | Refused | Deferred | Transient | Permanent


class Mailer(Protocol):
    """One mailbox's way out. Safe to call from several threads."""

    def send(self, envelope: Envelope, mark: Callable[[], bool]) -> Verdict:
        """Hand `envelope` to the mailbox's server, once, within a hard time-out. `mark` is called when the server waits for
        the message, before its first byte is transmitted: up to there nothing of it exists at the server. Where it
        answers `False`, somebody else has the record, and nothing is transmitted."""
        ...

    def close(self) -> None:
        """Take leave of the server; nothing can be sent afterwards."""
        ...
