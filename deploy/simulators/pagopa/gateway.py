"""The API gateway in front of GPD: subscription keys and the limit of calls."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from deploy.simulators.pagopa.problems import Problem

WINDOW_SECONDS = 10.0


class Throttled(Problem):
    """429, with the seconds to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(429, "Too many requests", "Rate limit is exceeded")
        self.seconds = seconds


class Gateway:
    """`keys`: key → what it opens, each a body's tax code or `tax code/segregation code`; `None`: any key opens all.
    `calls_per_window`: per key and 10 seconds; `None`: no limit."""

    def __init__(
        self,
        keys: Mapping[str, Sequence[str]] | None = None,
        calls_per_window: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._limit = calls_per_window
        self._now = now
        self._calls: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def admit(self, key: str | None, organization: str) -> int | None:
        """Let a call in; the calls that are left in this window, where they are counted. Raises `Problem` 401, 403, 429."""
        if not key or (self._keys is not None and key not in self._keys):
            raise Problem(401, "Unauthorized", "Access denied due to missing or invalid subscription key")
        if not any(each.split("/")[0] == organization for each in self._opened(key, organization)):
            raise _forbidden()
        return self._count(key)

    def admit_number(self, key: str, organization: str, iuv: str) -> None:
        """Whether the key may use the segregation code that an IUV begins with. Raises `Problem` 403."""
        if not {organization, f"{organization}/{iuv[:2]}"} & set(self._opened(key, organization)):
            raise _forbidden()

    def _opened(self, key: str, organization: str) -> Sequence[str]:
        return [organization] if self._keys is None else self._keys[key]

    def _count(self, key: str) -> int | None:
        if self._limit is None:
            return None
        with self._lock:
            now, calls = self._now(), self._calls.setdefault(key, deque())
            while calls and calls[0] <= now - WINDOW_SECONDS:
                calls.popleft()
            if len(calls) >= self._limit:
                raise Throttled(max(1, math.ceil(calls[0] + WINDOW_SECONDS - now)))
            calls.append(now)
            return self._limit - len(calls)


def _forbidden() -> Problem:
    return Problem(403, "Forbidden", "You are not allowed to access this resource.")
