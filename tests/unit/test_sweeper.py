"""Facts that no message asked for are stated once, and again where nobody knows whether they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel, select

from shared.bus.connection import Broker
from shared.bus.runner import StageRunner
from shared.bus.sweeper import AT_ONCE
from shared.bus.topology import Topology
from shared.contracts.facts import Fact
from shared.creditors import load_creditors
from shared.db.engine import Database
from shared.db.ledger import UnaskedRow
from shared.documents import FolderStore
from shared.ids import derived
from shared.process import Surroundings, stage_service
from shared.settings import Settings
from shared.wiring import Setup, StageService, Unasked
from tests.builders import BATCH
from tests.fakes import FakeStage, Killed, Out


class ReceiptRead(Fact):
    """What nobody asked for."""

    owner: ClassVar[str] = "dispatch"
    batch_id: UUID
    number: int


class OwnBase(SQLModel, registry=registry()):
    """The test's own table."""

    metadata: ClassVar[MetaData] = MetaData(schema="own")


class ReceiptRow(UnaskedRow, OwnBase, table=True):
    """A receipt that was read."""

    __tablename__ = "receipt"

    number: int


class Desk:
    """A stage whose service has receipts to state."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(f"sqlite:///{folder / 'own.sqlite'}", OwnBase.metadata, "own")
        self.database.create_all()
        self.out = Out()
        unasked = Unasked(ReceiptRow, lambda row: ReceiptRead(batch_id=row.batch_id, number=row.number))
        self.service = StageService(self.database, FakeStage(), frozenset(), unasked=(unasked,))
        self.runner = StageRunner(self.service, self.out, "one")

    def read(self, *numbers: int) -> None:
        with self.database.write() as session:
            for number in numbers:
                session.add(ReceiptRow(id=derived("receipt", number), batch_id=BATCH, number=number))

    def unstated(self) -> set[int]:
        with self.database.read() as session:
            return {row.number for row in session.exec(select(ReceiptRow)) if not row.stated}

    def close(self) -> None:
        self.runner.close()
        self.database.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_each_row_is_stated_once_under_its_own_id(desk: Desk) -> None:
    desk.read(1, 2)
    assert desk.runner.sweep() == 2
    envelopes = desk.out.take_envelopes()
    assert {each.id for each in envelopes} == {str(derived("receipt", 1)), str(derived("receipt", 2))}
    assert {(each.key, each.correlation) for each in envelopes} == {("dispatch.receipt-read.v1", str(BATCH))}
    desk.read(3)
    assert desk.runner.sweep() == 1
    assert [each.id for each in desk.out.take_envelopes()] == [str(derived("receipt", 3))]
    assert desk.runner.sweep() == 0


def test_more_rows_than_fit_one_window_are_all_stated(desk: Desk) -> None:
    desk.read(*range(AT_ONCE + 1))
    assert desk.runner.sweep() == AT_ONCE + 1
    assert len({each.id for each in desk.out.take_envelopes()}) == AT_ONCE + 1


def test_what_the_broker_did_not_take_stays_to_be_stated(desk: Desk) -> None:
    desk.read(1)
    desk.out.away = True
    with pytest.raises(ConnectionError):
        desk.runner.sweep()
    assert desk.unstated() == {1}
    desk.out.away = False
    assert desk.runner.sweep() == 1
    assert desk.unstated() == set()


def test_killed_between_the_broker_and_the_mark_it_is_stated_again_under_the_same_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.read(1)
    with monkeypatch.context() as patched:
        patched.setattr(desk.database, "write", _killed)
        with pytest.raises(Killed):
            desk.runner.sweep()
    assert desk.runner.sweep() == 1
    first, second = desk.out.take_envelopes()
    assert first.id == second.id


def _killed() -> None:
    raise Killed


def test_the_process_of_a_stage_sweeps_by_its_clock(desk: Desk, tmp_path: Path) -> None:
    setup = Setup(load_creditors(), FolderStore(tmp_path / "documents"), lambda _: "")
    around = Surroundings(setup, Settings(), Broker(), Topology(f"test-{uuid4().hex[:8]}"))
    with around.held:
        part = stage_service("dispatch", lambda _setup: desk.service, ()).assemble(around)
        desk.read(1, 2)
        for tick in part.ticks:
            tick.work()
        assert desk.unstated() == set()
