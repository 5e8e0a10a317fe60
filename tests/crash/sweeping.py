"""The sweeper of `stated` marks, killed: `python -m tests.crash.sweeping POINT CALL` is a stage with a fact of its own kind.

Nothing is asked of that stage; its rows are the facts. No other service runs beside it, so that the queue of status keeps
what was said, and how often.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from uuid import UUID, uuid4

from sqlalchemy import MetaData, text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel, col, func, select

from deploy.migrations.chains import transaction
from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.delivery import Delivery
from shared.bus.sweeper import AT_ONCE
from shared.bus.topology import Topology
from shared.contracts.facts import Fact
from shared.contracts.registry import kebab, messages
from shared.db.engine import Database
from shared.db.ledger import UnaskedRow
from shared.ids import derived
from shared.process import main, stage_service
from shared.wiring import Consumes, Setup, StageService, Unasked
from tests.crash.entry import KillPoint
from tests.crash.service import arm
from tests.e2e.run_hand import ROOT
from tests.fakes import FakeStage
from tests.installation import wait_for

SCHEMA, REVISION = "own", "1"
FACTS = 2 * AT_ONCE + 100
"""Three windows: the kill is in the second."""
POINTS = ("half", "pass-on")
SECONDS = 120.0


class ReceiptRead(Fact):
    """What nobody asked for."""

    owner: ClassVar[str] = "dispatch"
    batch_id: UUID
    number: int


class OwnBase(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA, info={"revision": REVISION}))):
    """The stage's tables."""


class ReceiptRow(UnaskedRow, OwnBase, table=True):
    """A receipt that was read."""

    __tablename__ = "receipt"

    number: int


def wire(setup: Setup) -> StageService:
    """A stage that has nothing to do but to state."""
    database = Database(setup.database_url(SCHEMA), OwnBase.metadata, SCHEMA)
    unasked = Unasked(ReceiptRow, lambda row: ReceiptRead(batch_id=row.batch_id, number=row.number))
    return StageService(database, FakeStage(), frozenset(), unasked=(unasked,), close=database.close)


SERVICE = stage_service("dispatch", wire, (Consumes("dispatch", 10),))


@dataclass(frozen=True, slots=True)
class Swept:
    """How often each fact was said, by its id, and how many rows are not marked."""

    point: str
    said: Counter[str]
    wanted: frozenset[str]
    unmarked: int

    @property
    def repeats(self) -> int:
        """Facts said more than once."""
        return sum(1 for count in self.said.values() if count > 1)

    def wrong(self) -> list[str]:
        """What is not as it must be: a kill may cost repeats of the one window that it cut, under their own ids."""
        cut = AT_ONCE // 2 if self.point == "half" else AT_ONCE
        found = {
            "not said": self.wanted - self.said.keys(),
            "said under another id": self.said.keys() - self.wanted,
            "said more than twice": {each for each, count in self.said.items() if count > 2},
        }
        said = [f"{self}: {len(ids)} {what}" for what, ids in found.items() if ids]
        if self.unmarked or self.repeats != cut:
            said.append(f"{self}: {self.unmarked} unmarked, {self.repeats} said twice, and not {cut}")
        return said

    def __str__(self) -> str:
        return f"sweeper   {self.point:9} 2  {len(self.said)} facts, {self.repeats} of them twice"


@dataclass
class Desk:
    """The stage's place: a namespace, a schema, and the process on them."""

    broker_url: str
    database_url: str
    folder: Path
    topology: Topology = field(default_factory=lambda: Topology(f"sweep-{uuid4().hex[:8]}"))

    @contextmanager
    def process(self, point: str, call: int = 2) -> Iterator[subprocess.Popen[bytes]]:
        """The stage, with a kill point."""
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "STAFFETTA_FOLDER": str(self.folder),
            "STAFFETTA_BROKER_URL": self.broker_url, "STAFFETTA_DATABASE_URL": self.database_url,
            "STAFFETTA_NAMESPACE": self.topology.namespace,
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.crash.sweeping", point, str(call)]
        with (self.folder / "sweeper.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def made(self) -> Iterator[Database]:
        """The topology, and the schema with rows that nobody has stated."""
        with transaction(self.database_url) as connection:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}; SET LOCAL search_path TO {SCHEMA}"))
            OwnBase.metadata.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            connection.execute(text(f"INSERT INTO alembic_version VALUES ('{REVISION}')"))
        with Broker(self.broker_url).connect() as connection:
            self.topology.declare(connection)
        database = Database(self.database_url, OwnBase.metadata, SCHEMA)
        try:
            with database.write() as session:
                session.add_all(
                    ReceiptRow(id=derived("receipt", number), batch_id=uuid4(), number=number)
                    for number in range(FACTS)
                )
            yield database
        finally:
            database.close()
            with transaction(self.database_url) as connection:
                connection.execute(text(f"DROP SCHEMA {SCHEMA} CASCADE"))
            with Broker(self.broker_url).connect() as connection, connection.channel() as channel:
                for part in self.topology.parts():
                    part(channel).delete()

    def said(self) -> Counter[str]:
        """What status would have heard, by id."""
        heard: Counter[str] = Counter()

        def hear(deliveries: Sequence[Delivery]) -> None:
            heard.update(each.envelope.id for each in deliveries)

        reader = Subscription(Broker(self.broker_url), self.topology, "status", hear)
        with known():
            reader.start()
            wait_for("heard", lambda: heard.total() >= FACTS and reader.idle, SECONDS, told=heard.total)
            before = 0
            while before < heard.total():  # until nothing more comes
                before = heard.total()
                time.sleep(1.0)
            reader.stop()
        return heard


@contextmanager
def known() -> Iterator[None]:
    """The fact is one of the contracts meanwhile."""
    kind = (kebab(ReceiptRead.__name__), ReceiptRead.major)
    messages()[kind] = ReceiptRead
    try:
        yield
    finally:
        del messages()[kind]


def unmarked(database: Database) -> int:
    """Rows that were not stated, as far as their stage knows."""
    with database.read() as session:
        return session.exec(select(func.count()).where(~col(ReceiptRow.stated))).one()


def sweep(broker_url: str, database_url: str, folder: Path, point: str) -> Swept:
    """Kill the sweeper in its second window, start it again, and count what was said."""
    desk = Desk(broker_url, database_url, folder)
    with desk.made() as database:
        with desk.process(point) as armed:
            wait_for("the sweeper killed", lambda: armed.poll() is not None, SECONDS)
            assert armed.returncode == -signal.SIGKILL, armed.returncode
        assert 0 < unmarked(database) < FACTS
        with desk.process("none") as whole:
            wait_for("all marked", lambda: not unmarked(database), SECONDS)
            whole.terminate()
            assert whole.wait(SECONDS) == 0
        wanted = frozenset(str(derived("receipt", number)) for number in range(FACTS))
        return Swept(point, desk.said(), wanted, unmarked(database))


if __name__ == "__main__":
    name, when = sys.argv[1:3]
    if name != "none":
        arm("dispatch", KillPoint(name, int(when), 0.0))
    sys.exit(main(SERVICE, []))
