"""Publishing what was committed, also when the broker is away just then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from shared.contracts.envelope import Envelope


class Outgoing:
    """Publishes in order; what an outage kept back goes before anything else. A crash loses what was kept: restating and
    republishing, at the next start, say all of it again."""

    def __init__(self, publish: Callable[[Sequence[Envelope]], None]) -> None:
        self._publish = publish
        self._kept: list[Envelope] = []
        self._lock = threading.Lock()

    def __call__(self, envelopes: Sequence[Envelope]) -> None:
        """Publish, with what was kept. Raises what the broker raises; then all of them are kept."""
        with self._lock:
            self._kept.extend(envelopes)
            if self._kept:
                self._publish(self._kept)
                self._kept = []
