"""Issuing: rows of one place of a batch are marked and read in one statement, and so become commands."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Uuid, bindparam, update
from sqlalchemy import select as sql_select
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import Session, col

from services.ingest.model import RowState
from services.ingest.outgoing import ASKED, Asked
from services.ingest.tables import WITHDRAW, Row
from services.ingest.waiting import DUE, READY, Place, rows_of
from shared.db.engine import UtcDateTime


def issue(session: Session, batch_id: UUID, place: Place, now: datetime, overdue_at: int, most: int) -> list[Asked]:
    """Up to `most` rows of a batch that stand in `place`, now issued: those that waited longest, then the next ones of the
    spreadsheet. Rows that somebody else has in hand are left out. `overdue_at`: see the row's."""
    kind = WITHDRAW if place.step == WITHDRAW else place.state
    given = {"batch": batch_id, "step_": place.step, "channel_": place.channel, "now": now}
    found = session.connection().execute(_ISSUE[kind], {**given, "mark": overdue_at, "most": most})
    return sorted((Asked._make(line) for line in found), key=lambda asked: asked.number)


def _issue(place: Place) -> ReturningUpdate[*tuple[Any, ...]]:
    here = [col(Row.batch_id) == bindparam("batch", type_=Uuid()), *rows_of(place)]
    if place.step != WITHDRAW:
        here += [col(Row.step) == bindparam("step_"), col(Row.channel) == bindparam("channel_")]
    next_ones = sql_select(col(Row.id)).where(*here).order_by(col(Row.next_at), col(Row.number))
    held = next_ones.limit(bindparam("most", type_=Integer())).with_for_update(skip_locked=True).cte("held")
    issued = {
        "state": RowState.ISSUED.value,
        "issue": col(Row.issue) + 1,
        "next_at": None,
        "issued_at": bindparam("now", type_=UtcDateTime()),
        "overdue_at": bindparam("mark", type_=BigInteger()),
    }
    return update(Row).where(col(Row.id).in_(sql_select(held.c.id))).values(issued).returning(*ASKED)


_ISSUE = {
    READY: _issue(Place("", "", READY)),
    DUE: _issue(Place("", "", DUE)),
    WITHDRAW: _issue(Place(WITHDRAW, "", DUE)),
}
