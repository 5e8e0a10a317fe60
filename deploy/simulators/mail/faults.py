"""What the simulated mail server does wrong on command."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    """Each happens at one place of the conversation."""

    LOGIN_REFUSED = "login-refused"  # 535
    UNAVAILABLE_AT_MAIL = "unavailable-at-mail"  # 421, and the connection closed
    UNAVAILABLE_AT_RCPT = "unavailable-at-rcpt"
    UNAVAILABLE_AT_DATA = "unavailable-at-data"  # instead of 354
    SENDER_REFUSED = "sender-refused"  # 553
    GREYLIST = "greylist"  # 450 to RCPT
    UNKNOWN_RECIPIENT = "unknown-recipient"  # 550 to RCPT
    TOO_BIG = "too-big"  # 552 after the final dot
    REJECTED = "rejected"  # 554 after the final dot
    DEFERRED = "deferred"  # 451 after the final dot
    CUT_BEFORE_DATA = "cut-before-data"  # closed instead of 354
    CUT_ACCEPTED = "cut-accepted"  # all received and kept, closed without an answer
    CUT_LOST = "cut-lost"  # all received and thrown away, closed without an answer
    DELAY = "delay"  # the answer to the final dot waits


class Fault(BaseModel):
    """`times` how often it happens (0: until cleared), `recipient` to whom (empty: to anybody)."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    times: Annotated[int, Field(ge=0)] = 1
    recipient: str = ""
    seconds: Annotated[float, Field(ge=0, le=3600)] = 0


class Faults:
    """The faults that are switched on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing: list[Fault] = []

    def switch_on(self, fault: Fault) -> None:
        """One more fault."""
        with self._lock:
            self._standing.append(fault.model_copy())

    def clear(self) -> None:
        """No faults."""
        with self._lock:
            self._standing.clear()

    def standing(self) -> list[Fault]:
        """Those that can still happen."""
        with self._lock:
            return [fault.model_copy() for fault in self._standing]

    def strike(self, kind: FaultKind, recipients: list[str] | None = None) -> Fault | None:
        """The fault of this kind that happens now, if any: counted down."""
        with self._lock:
            for fault in self._standing:
                if fault.kind is kind and (not fault.recipient or fault.recipient in (recipients or [])):
                    if fault.times == 1:
                        self._standing.remove(fault)
                    elif fault.times:
                        fault.times -= 1
                    return fault
        return None
