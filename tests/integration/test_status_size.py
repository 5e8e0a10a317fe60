"""A page's cost must not be the batch's size times something: the number of questions and the way they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event

from services.status.api.asked import RecordSearch
from services.status.api.queries import batch_page, problem_counts, total_counts
from services.status.api.record_queries import record_page
from shared.contracts.facts import Problem, RecordsRejected, RejectedRow
from shared.ids import record_id
from tests.status_house import House

BATCH = UUID("0192b6a0-0000-7000-8000-000000000001")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A status service of its own."""
    house = House.at(tmp_path)
    yield house
    house.service.close()


@contextmanager
def asked(engine: Engine) -> Iterator[list[str]]:
    """The questions that the database is asked meanwhile."""
    questions: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            questions.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield questions
    finally:
        event.remove(engine, "before_cursor_execute", note)


def tell(house: House, batch_id: UUID, rows: list[RejectedRow]) -> None:
    house.tell(RecordsRejected(batch_id=batch_id, rows=rows))


def rejected(row: int, code: str) -> RejectedRow:
    problem = Problem(row=row, column="Importo", code=code, message=f"Riga {row}: importo da correggere.")
    return RejectedRow(record_id=record_id(BATCH, row), row=row, cells={}, problems=[problem])


def test_a_cause_tells_its_count_its_first_rows_and_the_words_of_the_first(house: House) -> None:
    tell(house, BATCH, [rejected(row, "zero-amount") for row in range(30, 1, -1)] + [rejected(31, "not-an-amount")])

    with house.service.database.read() as session:
        many, one = problem_counts(session, BATCH)

    assert (many.code, many.count, many.rows) == ("zero-amount", 29, list(range(2, 12)))
    assert many.message == "Riga 2: importo da correggere."
    assert (one.code, one.count, one.rows) == ("not-an-amount", 1, [31])


def test_a_page_asks_as_many_questions_for_two_hundred_records_as_for_one(house: House) -> None:
    tell(house, BATCH, [rejected(2, "zero-amount")])
    database, search = house.service.database, RecordSearch(page_size=200)
    with asked(database.engine) as few, database.read() as session:
        record_page(session, search)
        batch_page(session, 1)

    for _ in range(5):
        other = uuid4()
        rows = [rejected(row, "zero-amount") for row in range(3, 43)]
        tell(house, other, [row.model_copy(update={"record_id": record_id(other, row.row)}) for row in rows])
    with asked(database.engine) as many, database.read() as session:
        record_page(session, search)
        batch_page(session, 1)

    assert len(many) == len(few)


@pytest.mark.parametrize("question", ["causes", "totals", "far down"])
def test_counts_and_far_pages_are_answered_from_indexes_alone(house: House, question: str) -> None:
    tell(house, BATCH, [rejected(row, "zero-amount") for row in range(2, 30)])
    database = house.service.database
    with asked(database.engine) as questions, database.read() as session:
        match question:
            case "causes":
                problem_counts(session, BATCH)
            case "totals":
                total_counts(session)
            case _:
                record_page(session, RecordSearch(page=2, page_size=10))
    plans = [plan(house, each) for each in questions]

    index = {"causes": "ix_problem_cause", "totals": "ix_record_state", "far down": "ix_record_batch_row"}[question]
    assert any(f"COVERING INDEX {index}" in step for each in plans for step in each), plans


def plan(house: House, question: str) -> list[str]:
    """How SQLite would answer, step by step."""
    with house.service.database.engine.connect() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}", (1,) * question.count("?"))
        return [step[3] for step in steps]
