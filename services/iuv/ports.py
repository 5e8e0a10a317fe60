"""What the stage needs from pagoPA, and the ways in which it may not get it.

The errors are told apart by what is known afterwards: whether the call can have had an effect, and whose fault it was.
None carries pagoPA's own words: they may quote the debtor.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from services.iuv.model import DebtPosition, Standing
from shared.stage import Deferred, Outcome, Refused, Transient

DUE_DATE_PAST = Refused(
    "due-date-past", "La scadenza è già passata: correggi la data di scadenza e genera di nuovo l'avviso."
)
REJECTED = Refused(
    "pagopa-rejected",
    "pagoPA non accetta i dati di questo avviso: controlla codice fiscale, importo, scadenza e causale, "
    "correggi la riga e genera di nuovo l'avviso.",
)
LATEST_RETRY = timedelta(hours=1)


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


class PagoPaError(Exception):
    """pagoPA did not do it. `code` is stable and kebab."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class NoAnswer(PagoPaError):
    """The call left and no answer came: it may have had its effect."""

    def __init__(self) -> None:
        super().__init__("pagopa-no-answer")


class Unreachable(PagoPaError):
    """No connection: it had no effect."""

    def __init__(self) -> None:
        super().__init__("pagopa-unreachable")


class Unwell(PagoPaError):
    """A 5xx, or an answer that cannot be read: it may have had its effect. `retry_at` (UTC) where pagoPA said so."""

    def __init__(self, code: str, retry_at: datetime | None = None) -> None:
        super().__init__(code)
        self.retry_at = retry_at


class TooManyCalls(PagoPaError):
    """429: it had no effect. `retry_at` (UTC) where pagoPA said so."""

    def __init__(self, retry_at: datetime | None = None) -> None:
        super().__init__("pagopa-too-many-calls")
        self.retry_at = retry_at


class KeyRefused(PagoPaError):
    """401 or 403: the key does not open this body or this segregation code."""


class Conflict(PagoPaError):
    """409: something is there already, or it is not in a state for this. pagoPA does not say which."""

    def __init__(self) -> None:
        super().__init__("pagopa-conflict")


class Unacceptable(PagoPaError):
    """400, 422 and what else is wrong with the request itself."""


class DebtPositions(Protocol):
    """The debt positions of one creditor. Every method raises `PagoPaError`."""

    def open(self, position: DebtPosition) -> Standing:
        """Create and publish in one call."""
        ...

    def find(self, iupd: str) -> Standing | None:
        """What stands under an IUPD; `None`: nothing."""
        ...

    def publish(self, iupd: str) -> Standing:
        """From DRAFT to payable. `Conflict` from any other status."""
        ...

    def invalidate(self, iupd: str) -> Standing | None:
        """Make it unpayable for good; `None`: nothing stands there. `Conflict` unless PUBLISHED or VALID."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


def later(why: str, at: datetime | None = None) -> Deferred:
    """Not now: at `at` (an hour from now at the latest), or in a second."""
    now = utc_now()
    return Deferred(min(at or now + timedelta(seconds=1), now + LATEST_RETRY), why)


def outcome(error: PagoPaError, due: datetime) -> Outcome:
    """What happens next after what pagoPA said, or didn't, about a position that is due at `due`."""
    match error:
        case TooManyCalls(retry_at=datetime() as at) | Unwell(retry_at=datetime() as at):
            return later(error.code, at)
        case KeyRefused():
            return Transient(error.code, lane=True, shut=True)
        case Unacceptable():
            return DUE_DATE_PAST if due <= utc_now() else REJECTED
        case _:
            return Transient(error.code, lane=True)
