"""The simulator's positions: in memory, and on disk before anybody is told.

The journal (`pagopa.jsonl`) has one line per accepted call: instant, call, body and the position as it stood after it.
It is fsynced before the answer; whoever wants to know what pagoPA accepted, whatever was killed meanwhile, reads it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.simulators.journal import append_line
from deploy.simulators.pagopa.problems import Problem, bad_request, conflict, not_found
from deploy.simulators.pagopa.shapes import PaymentPosition

JOURNAL = "pagopa.jsonl"
PAID = ("PARTIALLY_PAID", "PAID", "REPORTED")
Position = dict[str, Any]


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def written(instant: datetime) -> str:
    """As GPD writes an instant."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    """Append-only JSON lines. A last line without its end was never answered for: it is cut off."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / JOURNAL).open("ab", buffering=0)
        whole = self._whole(folder)
        if whole < self._file.tell():
            self._file.truncate(whole)
            self._file.seek(whole)

    @staticmethod
    def _whole(folder: Path) -> int:
        return (folder / JOURNAL).read_bytes().rfind(b"\n") + 1

    @staticmethod
    def read(folder: Path) -> Iterator[dict[str, Any]]:
        """The accepted calls, in their order."""
        with (folder / JOURNAL).open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def append(self, entry: dict[str, Any]) -> None:
        """On disk when this returns."""
        append_line(self._file, json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Book:
    """Positions by (body, IUPD). Thread-safe. Raises `Problem`."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._positions: dict[tuple[str, str], Position] = {}
        self._numbers: set[tuple[str, str, str]] = set()
        self._journal = Journal(folder)
        for entry in Journal.read(folder):
            self._keep(entry["organization"], entry["position"])

    def close(self) -> None:
        """Let go of the journal."""
        with self._lock:
            self._journal.close()

    def create(self, organization: str, asked: PaymentPosition, *, publish: bool, taken: bool = False) -> Position:
        """A new position. `taken`: somebody else's position under the same number comes first."""
        with self._lock:
            now = self._now()
            if taken:
                iupd = f"ALTRO-SISTEMA-{len(self._positions) + 1}"
                other = asked.model_copy(update={"iupd": iupd, "full_name": "ALTRO SISTEMA"})
                self._write("create", organization, self._opened(organization, other, now, publish=True))
            asked.check(now)
            numbers = self._numbers_of(organization, asked.stored(organization))
            if (organization, asked.iupd) in self._positions or numbers & self._numbers:
                raise conflict("Already exists a debt position with one of these identifiers for the organization")
            return self._write("create", organization, self._opened(organization, asked, now, publish=publish))

    def get(self, organization: str, iupd: str) -> Position:
        """What stands under an IUPD."""
        with self._lock:
            return self._found(organization, iupd)

    def publish(self, organization: str, iupd: str) -> Position:
        """From DRAFT to PUBLISHED or VALID."""
        with self._lock:
            position, now = self._found(organization, iupd), self._now()
            if position["status"] != "DRAFT":
                raise conflict("The debt position is not in a publishable state")
            dues = [datetime.fromisoformat(option["dueDate"]) for option in position["paymentOption"]]
            if any(due < now for due in dues):
                raise conflict("A due date has passed")
            return self._write("publish", organization, _published(position, now))

    def invalidate(self, organization: str, iupd: str) -> Position:
        """From PUBLISHED or VALID to INVALID, for good."""
        with self._lock:
            position = self._found(organization, iupd)
            if position["status"] not in ("PUBLISHED", "VALID"):
                raise conflict("The debt position is not in an invalidable state")
            changed = {"status": "INVALID", "lastUpdatedDate": written(self._now())}
            return self._write("invalidate", organization, {**position, **changed})

    def pay(self, nav: str) -> Position:
        """As if the debtor had paid the option with this notice code."""
        with self._lock:
            for (organization, iupd), position in self._positions.items():
                if any(option["nav"] == nav for option in position["paymentOption"]):
                    current = self._found(organization, iupd)
                    if current["status"] != "VALID":
                        raise Problem(422, "Unprocessable", "The payment option is not in a payable state")
                    return self._write("pay", organization, _paid(current, nav, written(self._now())))
        raise Problem(404, "Not found the payment option", "No payment option has this notice code")

    def all(self, organization: str | None = None) -> list[Position]:
        """Every position (of a body), as inserted."""
        with self._lock:
            return [self._found(*key) for key in self._positions if organization in (None, key[0])]

    # -- inside, with the lock held

    def _opened(self, organization: str, asked: PaymentPosition, now: datetime, *, publish: bool) -> Position:
        if publish and not asked.payment_option:
            raise bad_request("a position without payment options cannot be published")
        position = {
            **asked.stored(organization), "organizationFiscalCode": organization, "status": "DRAFT",
            "insertedDate": written(now), "lastUpdatedDate": written(now),
        }  # fmt: skip
        for option in position["paymentOption"]:
            option["status"] = "PO_UNPAID"
        return _published(position, now) if publish else position

    def _write(self, call: str, organization: str, position: Position) -> Position:
        self._journal.append(
            {"at": written(self._now()), "call": call, "organization": organization, "position": position}
        )
        self._keep(organization, position)
        return position

    def _keep(self, organization: str, position: Position) -> None:
        self._positions[organization, position["iupd"]] = position
        self._numbers |= self._numbers_of(organization, position)

    @staticmethod
    def _numbers_of(organization: str, position: Position) -> set[tuple[str, str, str]]:
        return {(organization, kind, option[kind]) for option in position["paymentOption"] for kind in ("iuv", "nav")}

    def _found(self, organization: str, iupd: str) -> Position:
        position = self._positions.get((organization, iupd))
        if position is None:
            raise not_found(iupd)
        return _aged(position, self._now())


def _published(position: Position, now: datetime) -> Position:
    # it becomes VALID by itself once validityDate is there
    status = "PUBLISHED" if "validityDate" in position else "VALID"
    return {**position, "status": status, "publishDate": written(now), "lastUpdatedDate": written(now)}


def _paid(position: Position, nav: str, at: str) -> Position:
    options = [
        {**option, "status": "PO_PAID", "paymentDate": at} if option["nav"] == nav else option
        for option in position["paymentOption"]
    ]
    left = any(option["status"] == "PO_UNPAID" and option["isPartialPayment"] for option in options)
    status = "PARTIALLY_PAID" if left else "PAID"
    return {**position, "status": status, "paymentDate": at, "lastUpdatedDate": at, "paymentOption": options}


def _aged(position: Position, now: datetime) -> Position:
    """What time alone does to a position."""
    status = position["status"]
    if status == "PUBLISHED" and datetime.fromisoformat(position["validityDate"]) <= now:
        status = "VALID"
    dues = [datetime.fromisoformat(option["dueDate"]) for option in position["paymentOption"]]
    if status == "VALID" and position["switchToExpired"] and all(due < now for due in dues):
        status = "EXPIRED"
    return {**position, "status": status}
