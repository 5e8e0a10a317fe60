"""What folding costs the database: statements, which do not grow with the handful."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from services.status.fold import fold_handful
from shared.contracts import facts
from shared.contracts.envelope import Envelope
from shared.contracts.record import Documents, Position, SectionState
from tests import databases
from tests.builders import BATCH, a_document, a_record
from tests.fold_hand import database, ingested, model_after, wrapped

ROWS = range(2, 42)


def handfuls(rows: Sequence[int]) -> list[list[Envelope]]:
    """What is said of records on their way: accepted, then numbered and rendered, mixed."""
    records = [a_record(row) for row in rows]
    accepted = facts.RecordsAccepted(
        batch_id=BATCH, records=[facts.AcceptedRecord(record=record) for record in records]
    )
    position = Position(order=1, state=SectionState.DONE, iuv="12000000000004287", notice_code="312000000000004287")
    documents = Documents(order=1, state=SectionState.DONE, notice=a_document())
    numbered = [record.model_copy(update={"position": position}) for record in records]
    rendered = [record.model_copy(update={"documents": documents}) for record in numbered]
    said = [facts.IuvAssigned(record=record) for record in numbered]
    also = [facts.NoticeRendered(record=record) for record in rendered]
    return [[wrapped(ingested()), wrapped(accepted)], [wrapped(message) for message in [*said, *also]]]


@contextmanager
def statements() -> Iterator[list[str]]:
    """The first word of each that the database is given meanwhile."""
    given: list[str] = []
    engine = database(databases.where()).engine

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        given.append(statement.split(maxsplit=1)[0])

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield given
    finally:
        event.remove(engine, "before_cursor_execute", note)


def fold(handful: Sequence[Envelope]) -> list[str]:
    """Folds it; the statements, without those that begin and end a transaction."""
    with statements() as given, database(databases.where()).write() as session:
        touched = fold_handful(session, handful)
        session.commit()
    assert touched.unreadable == 0
    return [word for word in given if word not in ("BEGIN", "COMMIT")]


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS], ids=["one", "forty"])
def test_a_handful_of_any_size_is_two_reads_and_two_writes(rows: Sequence[int]) -> None:
    accepted, stages = handfuls(rows)
    model_after([accepted])
    assert fold(stages) == ["SELECT", "SELECT", "INSERT", "INSERT"]


def test_what_is_known_is_read_and_not_written_again() -> None:
    before = model_after(handfuls(ROWS))
    repeated, retold = handfuls(ROWS)[1], [wrapped(each.message(), 600, restated=True) for each in handfuls(ROWS)[1]]
    for handful in (repeated, retold):
        assert fold(handful) == ["SELECT", "SELECT", "SELECT"]
    assert model_after([*handfuls(ROWS), repeated, retold]) == before


def test_those_who_look_on_hear_of_what_changed_only() -> None:
    told = handfuls(ROWS)
    model_after(told)
    with database(databases.where()).write() as session:
        assert fold_handful(session, told[1]).changes == {}
