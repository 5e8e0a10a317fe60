"""The lanes' rows. Facts leave words about a lane; whoever issues holds its row and takes them in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from sqlalchemy import delete, insert
from sqlmodel import Session, col, select

from services.ingest.pace import lanes_ahead, learn
from services.ingest.tables import Lane, LaneWord
from services.ingest.waiting import Waiting
from shared.db.engine import Database
from shared.db.insert import insert_missing

WORDS_AT_ONCE = 500
_LEAVE = insert(LaneWord)


@dataclass(slots=True)
class Words:
    """What one handful of facts says of the lanes."""

    answered: Counter[str] = field(default_factory=Counter)
    closed: dict[str, datetime] = field(default_factory=dict)

    def bounced(self, lane: str, until: datetime) -> None:
        """A stage did not act on a record, for its lane is closed."""
        self.closed[lane] = max(until, self.closed.get(lane, until))

    def leave(self, session: Session, at: datetime) -> None:
        """For whoever issues next: a row for each lane, never one for each record."""
        answered = [(lane, count, None) for lane, count in sorted(self.answered.items())]
        closed = [(lane, 0, until) for lane, until in sorted(self.closed.items())]
        words = [
            {"lane": lane, "at": at, "answered": count, "closed_until": until}
            for lane, count, until in (*answered, *closed)
        ]
        if words:
            session.connection().execute(_LEAVE, words)


def lanes_of(waiting: Iterable[Waiting]) -> set[str]:
    """Every lane that what waits has before it."""
    return {
        name for batch in waiting for place in batch.places
        for name in lanes_ahead(place.step, batch.creditor, place.channel)
    }  # fmt: skip


class KnownLanes:
    """The lanes that are known to have a row."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names: set[str] = set()

    def ensure(self, names: Collection[str]) -> None:
        """Make the rows that are missing, in a transaction of their own."""
        if not (missing := sorted(set(names) - self._names)):
            return
        with self._database.write() as session:
            insert_missing(session, [Lane(name=name) for name in missing])
        self._names.update(missing)

    def forget(self, names: Collection[str]) -> None:
        """Look again whether they have one."""
        self._names.difference_update(names)


def held(session: Session, names: Collection[str], now: datetime) -> dict[str, Lane]:
    """Lock those of the lanes that no other replica has in hand, and take in what was said of them."""
    query = select(Lane).where(col(Lane.name).in_(sorted(names))).order_by(col(Lane.name))
    lanes = {lane.name: lane for lane in session.exec(query.with_for_update(skip_locked=True))}
    words = dict(_words(session, lanes))
    for name, lane in lanes.items():
        learn(lane, words.get(name, ()), now)
        session.add(lane)
    return lanes


def spoken_of(session: Session) -> set[str]:
    """The lanes of which something was said that nobody took in yet."""
    return set(session.exec(select(LaneWord.lane).distinct()))


def _words(session: Session, names: Collection[str]) -> Iterator[tuple[str, list[LaneWord]]]:
    query = select(LaneWord).where(col(LaneWord.lane).in_(sorted(names))).order_by(col(LaneWord.lane), col(LaneWord.id))
    words = list(session.exec(query.limit(WORDS_AT_ONCE)))
    if words:
        ids = [word.id for word in words]
        session.connection().execute(delete(LaneWord).where(col(LaneWord.id).in_(ids)))
    for name, said in groupby(words, key=lambda word: word.lane):
        yield name, list(said)
