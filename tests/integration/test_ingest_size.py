"""A batch of many rows: no question of the clock reads them all, and a small batch does not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, insert, text

from services.ingest.tables import Row
from shared.contracts.base import Phase
from shared.contracts.commands import CancelBatch, RecordCommand
from shared.ids import record_id
from tests.builders import BATCH
from tests.ingest_house import IngestHouse, about, answers

MANY = 8_000
"""So many that PostgreSQL reads an index rather than the table, where there is one."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    house.batch((2,))
    first = house.row(2)
    like = {column.name: getattr(first, column.name) for column in Row.__table__.columns}  # type: ignore[attr-defined]
    rows = [like | {"id": record_id(BATCH, number), "number": number} for number in range(3, MANY + 2)]
    for row in rows:
        row["record"] = row["record"] | {"id": str(row["id"]), "row": row["number"]}
    with house.service.database.write() as session:
        session.connection().execute(insert(Row), rows)
        session.connection().execute(text("ANALYZE"))
    yield house
    house.close()


def plans(house: IngestHouse, work: Callable[[], object]) -> Iterator[tuple[str, str]]:
    """(question, plan) of what `work` asks of the rows."""
    asked: list[tuple[str, Any]] = []
    engine = house.service.database.engine
    listener = lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters))  # noqa: E731
    event.listen(engine, "before_cursor_execute", listener)
    work()
    event.remove(engine, "before_cursor_execute", listener)
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        for statement, parameters in asked:
            if "row" in statement and "INSERT" not in statement:
                one = parameters[0] if isinstance(parameters, list) else parameters
                plan = connection.exec_driver_sql(f"{explain} {statement}", one)
                yield statement, "\n".join(str(line[-1]) for line in plan)


def test_no_question_of_the_clock_reads_all_rows(house: IngestHouse) -> None:
    other = uuid4()
    house.batch(range(2, 22), batch_id=other, until=Phase.GENERATE)
    found = list(plans(house, house.service.tick))
    for command in [each for each in house.out.take() if isinstance(each, RecordCommand)]:
        house.hear(*answers(command))
    found += plans(house, house.service.tick)
    house.clock.forward(minutes=5)
    found += plans(house, house.service.tick)
    house.tell(CancelBatch(**about(other)))
    found += plans(house, house.service.tick)
    assert len(found) > 20
    for statement, plan in found:
        assert "SCAN row" not in plan, statement
        assert 'Seq Scan on "row"' not in plan, (statement, plan)


def test_an_urgent_batch_of_twenty_is_issued_in_the_middle_of_a_large_one(house: IngestHouse) -> None:
    """As soon as places fall free: here the answers to twenty records of the large one."""
    large = house.issue()
    urgent = uuid4()
    house.batch(range(2, 22), batch_id=urgent)
    for command in large[:20]:
        house.hear(*answers(command))
    issued = [command for command in house.issue() if command.record.batch_id == urgent]
    assert len(issued) == 20
    for command in issued:
        house.hear(*answers(command))
    assert len([command for command in house.issue() if command.record.batch_id == urgent]) == 20  # to be registered
