"""Whether a corrected file may come in. Rows that were never issued may change, come and go. A row that was issued is a
debt somebody may already hold in their hands: if the file changes, moves or drops one, nothing of the file comes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import select

from services.ingest.model import content_hash
from services.ingest.tables import Row
from shared.contracts.facts import Problem
from shared.db.engine import Database

AT_ONCE = 200
ROWS_LISTED = 200
CHANGED = "La riga {row} è già stata emessa e nel file è cambiata: riportala com'era e correggila dalla sua pagina."
MISSING = "La riga {row} è già stata emessa e nel file non c'è più: rimettila al suo posto."
MOVED = "La riga {row} è già stata emessa e nel file si trova alla riga {to}: rimettila al suo posto."


@dataclass(frozen=True, slots=True)
class Held:
    """A row as we hold it. `hashes`: its content in the last file, and as it was corrected since."""

    begun: bool
    hashes: frozenset[str]
    duplicate: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """A row of the file; both empty where it must be corrected."""

    content: str = ""
    duplicate: str = ""


def held_rows(database: Database, batch_id: UUID) -> dict[int, Held]:
    """The rows of a batch by their numbers."""
    found: dict[int, Held] = {}
    with database.read() as session:
        for row in session.exec(select(Row).where(Row.batch_id == batch_id)).yield_per(AT_ONCE):
            hashes = {row.sheet_hash} | ({content_hash(row.whole)} if row.begun else set())
            found[row.number] = Held(row.begun, frozenset(hashes), row.duplicate)
            session.expunge(row)
    return found


def disturbed(held: Mapping[int, Held], incoming: Mapping[int, Incoming]) -> list[Problem]:
    """The issued rows that the file changes, drops or moves; the first `ROWS_LISTED` of them."""
    wrong = [
        number for number, row in held.items()
        if row.begun and incoming.get(number, Incoming()).content not in row.hashes
    ]  # fmt: skip
    elsewhere = {row.duplicate: number for number, row in sorted(incoming.items(), reverse=True) if row.duplicate}
    problems = []
    for number in sorted(wrong)[:ROWS_LISTED]:
        to = elsewhere.get(held[number].duplicate)
        if to is not None and to != number:
            code, text = "row-moved", MOVED.format(row=number, to=to)
        elif number in incoming:
            code, text = "row-changed", CHANGED.format(row=number)
        else:
            code, text = "row-missing", MISSING.format(row=number)
        problems.append(Problem(row=number, column="", code=code, message=text))
    return problems
