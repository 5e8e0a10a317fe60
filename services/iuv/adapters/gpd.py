"""pagoPA's *Gestione posizioni debitorie*, external API v1 (pagopa/pagopa-debt-position, openapi_external_v1.json)."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx

from services.iuv.adapters.gpd_json import body, standing
from services.iuv.model import DebtPosition, Standing
from services.iuv.ports import (
    Conflict,
    KeyRefused,
    NoAnswer,
    PagoPaError,
    TooManyCalls,
    Unacceptable,
    Unreachable,
    Unwell,
)

PRODUCT_PATH = "/gpd/debt-positions-service/v1"
POSITIONS = "/debtpositions"
KEY_HEADER = "Ocp-Apim-Subscription-Key"
NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


class Pace:
    """At most so many calls per second, over all threads that share it. 0: no limit."""

    def __init__(self, calls_per_second: float) -> None:
        self._apart = 1 / calls_per_second if calls_per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is this call's turn."""
        if not self._apart:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._apart
        time.sleep(turn - now)


class Gpd:
    """`DebtPositions` of one creditor over HTTP. `key` is the subscription key itself; it goes into one header only."""

    def __init__(
        self, base_url: str, key: str, tax_code: str, *, timeout: httpx.Timeout, limits: httpx.Limits, pace: Pace
    ) -> None:
        # a bare host is completed, so that the address of a simulator or of a gateway will do
        root = base_url.rstrip("/") + ("" if urlsplit(base_url).path.strip("/") else PRODUCT_PATH)
        self._client = httpx.Client(
            base_url=f"{root}/organizations/{tax_code}",
            headers={KEY_HEADER: key, "Accept": "application/json"},
            timeout=timeout,
            limits=limits,
        )
        self._pace = pace

    def open(self, position: DebtPosition) -> Standing:
        """See `DebtPositions.open`."""
        return standing(self._call("POST", POSITIONS, {"toPublish": "true"}, body(position)))

    def find(self, iupd: str) -> Standing | None:
        """See `DebtPositions.find`."""
        with suppress(_NotThere):
            return standing(self._call("GET", f"{POSITIONS}/{quote(iupd)}"))
        return None

    def publish(self, iupd: str) -> Standing:
        """See `DebtPositions.publish`."""
        return standing(self._call("POST", f"{POSITIONS}/{quote(iupd)}/publish"))

    def invalidate(self, iupd: str) -> Standing | None:
        """See `DebtPositions.invalidate`."""
        with suppress(_NotThere):
            return standing(self._call("POST", f"{POSITIONS}/{quote(iupd)}/invalidate"))
        return None

    def close(self) -> None:
        """See `DebtPositions.close`."""
        self._client.close()

    def _call(
        self, method: str, path: str, params: Mapping[str, str] | None = None, content: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        self._pace.wait()
        try:
            answer = self._client.request(
                method, path, params=params, json=content, headers={"X-Request-Id": str(uuid4())}
            )
        except NOTHING_SENT:
            raise Unreachable from None
        except httpx.RequestError:  # cut or timed out on the way: it may have arrived
            raise NoAnswer from None
        if not answer.is_success:
            raise _error(answer)
        try:
            told = answer.json()
        except ValueError:
            raise Unwell("pagopa-unreadable") from None
        if not isinstance(told, dict):
            raise Unwell("pagopa-unreadable")
        return told


class _NotThere(Unwell):
    """404. A wrong address says it too, so that whoever has no use for "nothing there" takes it as an outage."""


def _error(answer: httpx.Response) -> PagoPaError:
    status = answer.status_code
    if status == 404:
        return _NotThere("pagopa-404")
    if status == 409:
        return Conflict()
    if status in (400, 422):
        return Unacceptable("pagopa-rejected")
    if status in (401, 403):
        return KeyRefused("pagopa-key-refused" if status == 401 else "pagopa-key-not-allowed")
    if status == 429:
        return TooManyCalls(_retry_at(answer))
    return Unwell(f"pagopa-{status}", _retry_at(answer))


def _retry_at(answer: httpx.Response) -> datetime | None:
    """`Retry-After` (RFC 9110: seconds or a date) as an instant."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return datetime.now(UTC) + timedelta(seconds=min(int(value), 86_400))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
