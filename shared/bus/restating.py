"""`Restate`: say again what the ledger knows, and how the lanes stand; never act."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.bus.lanes import Lanes
from shared.bus.ledgers import SETTLED, Ledger
from shared.bus.statements import Statements
from shared.contracts.commands import Restate
from shared.contracts.envelope import Envelope
from shared.stage import Work


def restated(command: Restate, ledger: Ledger[Any], lanes: Lanes, statements: Statements) -> Iterator[list[Envelope]]:
    """A page at a time; the last one holds the lanes and `Restated`."""
    for rows in ledger.pages(command.batch_ids):
        works = [Work(ledger.request(row), row) for row in rows if row.state in SETTLED]
        yield [statements.told_again(work) for work in works]
    standing = [statements.lane(event) for event in lanes.standing()]
    said = [Envelope.of(fact, source=statements.stage.value, restated=True) for fact in standing]
    yield [*said, statements.restated(command.request_id)]
