"""The stages with null acts: no pagoPA, no printing, no mail server. All the rest is the product's: numbers, ledger, register,
the mark before an act that cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import services.dispatch.tables
import services.iuv.tables
import services.protocol.wire
import services.render.tables
from services.dispatch.stage import DispatchStage
from services.dispatch.tables import SendingRow
from services.iuv.model import NoticeCode
from services.iuv.stage import IuvStage
from services.iuv.tables import IuvRow
from services.render.ports import Answer, Job
from services.render.stage import RenderStage
from services.render.tables import RenderRow
from shared.contracts.commands import AssignIuv, DispatchNotice
from shared.contracts.facts import IuvAssigned, NoticeRegistered
from shared.contracts.record import DocumentRef, Documents, Position, SectionState, Sending
from shared.db.engine import Database
from shared.documents import PDF
from shared.stage import Deferred, Done, Outcome, Work
from shared.wiring import Setup, StageService

NOTICE = DocumentRef(sha256="0" * 64, media_type=PDF, size=1)


class NullIuv(IuvStage):
    """Numbers, without pagoPA."""

    def act(self, works: Sequence[Work[IuvRow]]) -> Sequence[Outcome]:
        """Every position is open."""
        return [self._open_at_once(work) for work in works]

    def _open_at_once(self, work: Work[IuvRow]) -> Outcome:
        code = NoticeCode.parse(work.row.nav or "")
        return Done(
            Position(
                order=work.request.order, state=SectionState.DONE, iupd=work.row.iupd or "", iuv=code.iuv,
                notice_code=code.nav,
            )
        )  # fmt: skip


class NoPress:
    """Prints nothing."""

    def make(self, jobs: Sequence[Job]) -> Sequence[Answer]:
        """Never asked: the act is null."""
        raise AssertionError(f"{len(jobs)} jobs for nobody")


class NullRender(RenderStage):
    """Every notice is one and the same, and nobody made it."""

    def act(self, works: Sequence[Work[RenderRow]]) -> Sequence[Outcome]:
        """Documents without content."""
        return [Done(Documents(order=work.request.order, state=SectionState.DONE, notice=NOTICE)) for work in works]


class NullDispatch(DispatchStage):
    """Marks each record as it would before the first byte of a message, and sends none."""

    def act_once(self, work: Work[SendingRow], mark: Callable[[], bool]) -> Outcome:
        """Sent."""
        now = datetime.now(UTC)
        if not mark():
            return Deferred(now, "leased")
        return Done(
            Sending(
                order=work.request.order, state=SectionState.DONE, message_id=work.row.message_id or "",
                channel=work.request.record.delivery.channel, mailbox=self.lane(work.request), sent_at=now,
            )
        )  # fmt: skip


def iuv(setup: Setup) -> StageService:
    """The iuv service without pagoPA."""
    tables = services.iuv.tables
    stage = NullIuv(setup.creditors, {}, connections=1, act_seconds=60, lease_seconds=300)
    return StageService(_database(setup, tables.SCHEMA, tables.Base), stage, frozenset({AssignIuv}), close=stage.close)


def render(setup: Setup) -> StageService:
    """The render service without printing processes."""
    tables = services.render.tables
    stage = NullRender(NoPress(), setup.documents, setup.creditors, lambda: datetime.now(UTC).date())
    return StageService(_database(setup, tables.SCHEMA, tables.Base), stage, frozenset({IuvAssigned}))


def dispatch(setup: Setup) -> StageService:
    """The dispatch service without mail servers."""
    tables = services.dispatch.tables
    stage = NullDispatch(creditors=setup.creditors, documents=setup.documents, mailers={}, lease_seconds=420)
    triggers = frozenset({NoticeRegistered, DispatchNotice})
    return StageService(_database(setup, tables.SCHEMA, tables.Base), stage, triggers)


WIRES: dict[str, Callable[[Setup], StageService]] = {
    "iuv": iuv,
    "render": render,
    "protocol": services.protocol.wire.wire,
    "dispatch": dispatch,
}
"""The own register's act is its reservation: nothing of it is left out."""


def _database(setup: Setup, schema: str, base: type) -> Database:
    return Database(setup.database_url(schema), base.metadata, schema)  # type: ignore[attr-defined]
