"""A progress bar per stage, from what ingest knows; and the end of a run: nothing issued, nothing waiting."""

from __future__ import annotations

import time
from types import TracebackType
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from deploy.embedded import Relay
from services.ingest.closing import counts, unfinished
from services.ingest.model import BY_HAND, RowState, Step
from services.ingest.tables import Batch, Row
from services.status.api.wording import lane_message
from shared.contracts.base import Phase

POLL_SECONDS = 0.2
STEPS = (Step.IUV, Step.RENDER, Step.PROTOCOL, Step.DISPATCH, Step.NOTHING)
TITLES = {
    Step.IUV: "IUV e posizione",
    Step.RENDER: "Avviso e lettera",
    Step.PROTOCOL: "Protocollo",
    Step.DISPATCH: "Invio",
}


class Watch:
    """Shows the bars while it is entered."""

    def __init__(self, relay: Relay, batch_id: UUID, until: Phase, *, registers: bool, letter: bool) -> None:
        self._relay, self._batch_id, self._until = relay, batch_id, until
        self._letter = letter
        self._progress = Progress(
            TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[why]}"), console=Console(stderr=True), transient=False,
        )  # fmt: skip
        shown = [step for step in TITLES if step is not Step.PROTOCOL or registers]
        if until is Phase.GENERATE:
            shown = [Step.IUV, Step.RENDER]
        self._tasks: dict[Step, TaskID] = {}
        self._checked = self._progress.add_task("Controllo", total=None, why="")
        if until is Phase.PREVIEW:
            shown = []
            self._previews = self._progress.add_task("Lettere", total=None, why="") if letter else None
        for step in shown:
            self._tasks[step] = self._progress.add_task(TITLES[step], total=None, why="")

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()

    def until_done(self) -> None:
        """Return when nothing is issued or waiting."""
        while True:
            started = time.monotonic()
            if self._look():
                return
            # A look at 100,000 rows is not free: it takes a tenth of the time at most.
            time.sleep(max(POLL_SECONDS, 9 * (time.monotonic() - started)))

    def _look(self) -> bool:
        with self._relay.ingest.database.read() as session:
            batch = session.get_one(Batch, self._batch_id)
            found = counts(session, self._batch_id)
            rows = sum(found.values())
            rejected = sum(count for (_, state), count in found.items() if state == RowState.REJECTED)
            self._progress.update(self._checked, total=rows, completed=rows, why=self._held())
            self._show(session, rows - rejected)
            if self._until is Phase.PREVIEW:
                return self._previews_done(session, rows - rejected)
        if batch.paused or batch.cancelling or batch.cancelled:
            return True
        return unfinished(found, self._until) == 0

    def _show(self, session: Session, total: int) -> None:
        groups = (col(Row.step), col(Row.code))
        query = (
            sql_select(*groups, func.count())
            .where(col(Row.batch_id) == self._batch_id, col(Row.state) != RowState.REJECTED.value)
            .group_by(*groups)
        )
        at: dict[Step, int] = dict.fromkeys(STEPS, 0)
        by_hand = 0
        for step, code, count in session.connection().execute(query):
            at[Step(step)] += count
            by_hand += count if code == BY_HAND else 0
        for step, task in self._tasks.items():
            done = sum(at[later] for later in STEPS[STEPS.index(step) + 1 :])
            hands = by_hand if step is Step.DISPATCH else 0
            self._progress.update(task, total=total - hands, completed=done - hands, why=self._why(step))

    def _why(self, step: Step) -> str:
        closed = self._relay.runners[step.value].lanes.closed()
        return "; ".join(lane_message(step.value, code, since) for code, since in closed.values())

    def _held(self) -> str:
        """What of our own (disk, database) keeps the services waiting: they go on by themselves when it works again."""
        kinds = sorted(set(self._relay.troubles.values()))
        return f"in attesa: disco o database ({', '.join(kinds)}), vedi .staffetta/staffetta.log" if kinds else ""

    def _previews_done(self, session: Session, total: int) -> bool:
        if not self._letter or self._previews is None:
            return True
        done = select(func.count()).where(Row.batch_id == self._batch_id, Row.preview == "done")
        completed = session.exec(done).one()
        self._progress.update(self._previews, total=total, completed=completed)
        ready = select(func.count()).where(
            Row.batch_id == self._batch_id, Row.state == RowState.READY.value, Row.preview != "done"
        )
        return session.exec(ready).one() == 0
