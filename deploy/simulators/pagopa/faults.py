"""Faults on command: what the next calls of GPD get instead of, before or after their due.

Runs outside the application, for only there is the socket within reach: a lost answer closes it without a byte.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
Operation = Literal["any", "create", "find", "publish", "invalidate", "list"]
TAKEN = "staffetta.taken"
GPD = "/gpd/"


class Fault(BaseModel):
    """What the next `calls` calls of `operation` meet.

    `status`: that status, without effect (`retry_after` seconds go into a header). `drop-before` and `drop-after`: the
    connection is cut without an answer, without or with effect. `delay-before` and `delay-after`: `seconds` of waiting
    before or after the effect. `taken`: somebody else's position takes the number first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["status", "drop-before", "drop-after", "delay-before", "delay-after", "taken"]
    calls: Annotated[int, Field(ge=1)] = 1
    operation: Operation = "any"
    status: Annotated[int, Field(ge=400, le=599)] = 503
    seconds: Annotated[float, Field(ge=0, le=600)] = 1.0
    retry_after: Annotated[int, Field(ge=0)] | None = None


class Faults:
    """The faults still to come, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Another one, after those that wait."""
        with self._lock:
            self._ordered.append(fault)

    def waiting(self) -> list[Fault]:
        """Those that have not happened yet."""
        with self._lock:
            return list(self._ordered)

    def clear(self) -> None:
        """No more faults."""
        with self._lock:
            self._ordered.clear()

    def next(self, operation: str) -> Fault | None:
        """The fault that this call meets."""
        with self._lock:
            for index, fault in enumerate(self._ordered):
                if fault.operation in ("any", operation):
                    left = fault.calls - 1
                    self._ordered[index : index + 1] = [fault.model_copy(update={"calls": left})] if left else []
                    return fault
        return None


class FaultyServer:
    """An ASGI application around another one."""

    def __init__(self, app: App, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One call."""
        gpd = scope["type"] == "http" and scope["path"].startswith(GPD)
        fault = self._faults.next(operation(scope["method"], scope["path"])) if gpd else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "status":
            await _answer(fault, send)
        else:
            await self._meet(fault, scope, receive, send)

    async def _meet(self, fault: Fault, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if fault.kind == "delay-before":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "taken":
            scope[TAKEN] = True
        if fault.kind == "drop-before":
            await _cut(receive, send)
            return
        if not fault.kind.endswith("-after"):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        if fault.kind == "drop-after":
            await _cut(receive, send)
            return
        await asyncio.sleep(fault.seconds)
        for message in held:
            await send(message)


def operation(method: str, path: str) -> str:
    """What a call of GPD is for."""
    tail = path.rstrip("/").rsplit("/", 1)[-1]
    if tail == "debtpositions":
        return "create" if method == "POST" else "list"
    return tail if method == "POST" else "find"


async def _cut(receive: Receive, send: Send) -> None:
    # uvicorn passes a bound method of the cycle that owns the connection; ASGI itself has no word for hanging up
    cycle: Any = getattr(send, "__self__")  # noqa: B009
    cycle.transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(fault: Fault, send: Send) -> None:
    problem = {"title": "Fault on command", "status": fault.status, "detail": "Ordered at /_faults"}
    headers = [(b"content-type", b"application/json")]
    if fault.retry_after is not None:
        headers.append((b"retry-after", str(fault.retry_after).encode()))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(problem).encode()})
