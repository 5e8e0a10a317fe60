"""What the stage needs from the press, and the ways in which it may not get it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Protocol

from shared.contracts.record import Record

READ: Final = "text+codes"
"""How a notice was verified: its text, and its codes as the finished pages draw them."""
DRAWN: Final = "text+codes+raster"
"""And its codes in pictures of its pages."""


@dataclass(frozen=True, slots=True)
class Job:
    """A record to print, or only its `notice` or `letter`. `dated` is the letter's date; `template`, the archive of its
    template's folder (none: the one that was there at start); `preview`: as FAC-SIMILE without a number that can be paid,
    whether the record has one or not."""

    record: Record
    dated: date
    preview: bool = False
    template: bytes | None = None
    notice: bool = True
    letter: bool = True


@dataclass(frozen=True, slots=True)
class Printed:
    """PDFs that were read back and equal the record."""

    notice: bytes | None
    letter: bytes | None
    verified: str = READ


@dataclass(frozen=True, slots=True)
class Unmade:
    """It cannot be made of these data or this template. `detail` is Italian, without personal data."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Misprint:
    """What was made says something else than the record (`read-back-...`): a bug of ours. It is never given out, and the
    record is refused, which withdraws its position."""

    code: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The process that made it died, twice, and no limit of ours killed it."""

    code: str


Answer = Printed | Unmade | Misprint | Lost


class Press(Protocol):
    """Prints; safe to call from several threads."""

    def make(self, jobs: Sequence[Job]) -> Sequence[Answer]:
        """One answer per job, in order."""
        ...
