"""What a handler gets: a message and what is known of how it came."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.commands import Message
from shared.contracts.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message in hand, alone or of a parcel. `earlier` counts the deliveries before this one, where the broker tells."""

    envelope: Envelope
    message: Message
    earlier: int = 0
