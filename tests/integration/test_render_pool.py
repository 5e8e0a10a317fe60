"""The processes that print: replaced when they die, gone when their parent is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from services.render.adapters.kit import load_kit
from services.render.adapters.pool import WorkerPool
from services.render.ports import Answer, Job, Printed, Unmade
from services.render.settings import RenderSettings
from services.render.tables import RenderRow
from services.render.wire import wire
from shared.contracts.base import StageName
from shared.contracts.commands import PreviewRecord
from shared.contracts.facts import IuvAssigned, PreviewRendered
from shared.contracts.record import Documents, Record
from shared.creditors import load_creditors
from shared.documents import FolderStore
from shared.stage import Done, LookableStage, Request, Work
from shared.wiring import Setup
from tests.builders import a_rendered_record

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 24)
PARENT = """
import sys, time
from pathlib import Path
from services.render.adapters.kit import load_kit
from services.render.adapters.pool import WorkerPool
from services.render.settings import RenderSettings
from services.render.tables import RenderRow
from services.render.wire import wire
from shared.contracts.base import StageName
from shared.contracts.commands import PreviewRecord
from shared.contracts.facts import IuvAssigned, PreviewRendered
from shared.contracts.record import Documents, Record
from shared.creditors import load_creditors
from shared.documents import FolderStore
from shared.stage import Done, Request, Work
from shared.wiring import Setup
pool = WorkerPool(load_kit(load_creditors(Path(sys.argv[1])), RenderSettings()), 2, 60.0)
print(*pool.processes, flush=True)
time.sleep(600)
"""


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(load_kit(load_creditors(ROOT / "deploy/examples/creditors.toml"), RenderSettings()), 1, 60.0)
    yield pool
    pool.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGXCPU])  # SIGXCPU: as if it had used up its processor time
def test_a_worker_that_was_killed_is_replaced_and_its_record_printed(pool: WorkerPool, how: signal.Signals) -> None:
    job = Job(a_rendered_record(), TODAY)
    assert isinstance(pool.make([job])[0], Printed)
    (killed,) = pool.processes
    os.kill(killed, how)
    assert until(lambda: not runs(killed))
    assert isinstance(pool.make([job])[0], Printed)
    assert pool.processes != (killed,)


def test_a_record_that_kills_every_worker_is_refused_and_no_other(pool: WorkerPool) -> None:
    jobs = [Job(a_rendered_record(row, letter="scuolabus"), TODAY) for row in (2, 3)]
    pool.make(jobs[1:])  # warm: from here on, every death is one while a record is printed
    finished = threading.Event()

    def kill_on_sight() -> None:
        seen: set[int] = set()
        while len(seen) < 2 and not finished.is_set():
            (process,) = pool.processes
            if process not in seen and runs(process):
                seen.add(process)
                os.kill(process, signal.SIGKILL)
            time.sleep(0.002)

    killer = threading.Thread(target=kill_on_sight)
    killer.start()
    answers: list[Answer] = list(pool.make(jobs[:1]))
    finished.set()
    killer.join()
    assert isinstance(answers[0], Unmade)
    assert answers[0].code == "letter-template-unsafe"
    (second,) = pool.make(jobs[1:])
    assert isinstance(second, Unmade)
    assert second.code == "letter-variable-missing"  # printed as far as its own data go: the row has no Alunno


def test_workers_end_when_their_parent_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(ROOT / "deploy/examples/creditors.toml")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    assert all(map(runs, workers))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert until(lambda: not any(map(runs, workers)))


def test_the_workers_get_none_of_our_secrets(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPD_KEY", "segreto")
    fresh = WorkerPool(load_kit(load_creditors(ROOT / "deploy/examples/creditors.toml"), RenderSettings()), 1, 60.0)
    try:
        (process,) = fresh.processes
        assert until(lambda: b"services.render" in Path(f"/proc/{process}/cmdline").read_bytes())
        assert b"segreto" not in Path(f"/proc/{process}/environ").read_bytes()
    finally:
        fresh.close()


def test_the_service_prints_a_handful_into_the_store_and_ends_its_processes(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "documents")
    creditors = load_creditors(ROOT / "deploy/examples/creditors.toml")
    service = wire(Setup(creditors, store, lambda name: f"sqlite:///{tmp_path / name}.sqlite"))
    try:
        columns = {"Alunno": "Anna", "Plesso": "Rodari", "Tratta": "B"}
        handful = [work(a_rendered_record(row, letter="scuolabus", columns=columns)) for row in (2, 3, 4)]
        outcomes = cast("LookableStage[Any]", service.stage).act(handful)
        sections = [outcome.section for outcome in outcomes if isinstance(outcome, Done)]
        assert len(sections) == 3
        for section in sections:
            assert isinstance(section, Documents)
            assert section.notice is not None
            assert section.letter is not None
            assert store.get(section.notice).startswith(b"%PDF-")
            assert store.get(section.letter).startswith(b"%PDF-")
        assert service.triggers == {IuvAssigned}
        (previewed,) = service.handlers[PreviewRecord](PreviewRecord(record=handful[0].request.record))
        assert isinstance(previewed, PreviewRendered)
        assert previewed.letter is not None
        printing = children()
        assert len(printing) == 3
    finally:
        service.close()
    assert not any(map(runs, printing))


def test_a_preview_is_made_while_every_process_that_prints_is_busy(tmp_path: Path) -> None:
    creditors = load_creditors(ROOT / "deploy/examples/creditors.toml")
    documents = FolderStore(tmp_path / "documents")
    service = wire(Setup(creditors, documents, lambda name: f"sqlite:///{tmp_path / name}.sqlite"))
    batch = threading.Thread(target=cast("LookableStage[Any]", service.stage).act, args=([work(a_rendered_record())],))
    show = service.handlers[PreviewRecord]
    show(PreviewRecord(record=a_rendered_record()))  # its process is known from here on: the one that has worked most
    idle = sorted(children(), key=worked)[:-1]
    try:
        for process in idle:
            os.kill(process, signal.SIGSTOP)
        batch.start()
        (previewed,) = show(PreviewRecord(record=a_rendered_record(3)))
        assert isinstance(previewed, PreviewRendered)
        assert previewed.notice is not None
        assert batch.is_alive()
    finally:
        for process in idle:
            os.kill(process, signal.SIGCONT)
        batch.join()
        service.close()


def worked(process: int) -> int:
    """Its processor time so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def work(record: Record) -> Work[RenderRow]:
    request = Request.of(PreviewRecord(record=record), StageName.RENDER)
    row = RenderRow(
        record_id=record.id, order=1, batch_id=record.batch_id, fingerprint="", request={}, dated=TODAY,
        updated_at=datetime.now(UTC),
    )  # fmt: skip
    return Work(request, row)


def children() -> list[int]:
    """The workers of this process."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for file in found for pid in file.read_text().split()]
    return [pid for pid in pids if b"services.render" in Path(f"/proc/{pid}/cmdline").read_bytes()]
