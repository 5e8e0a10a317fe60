"""What the status service needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shared.contracts.envelope import Envelope


class CommandPublisher(Protocol):
    """Hands commands to the broker."""

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        """Return once the broker has confirmed them all; raise (anything) where it did not, or could not be reached."""
        ...
