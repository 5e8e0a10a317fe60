"""Builds the dispatch service: a mailer per mailbox, the stage, and the settlement of unclear ends."""

from __future__ import annotations

from services.dispatch.adapters.settlement import Settlement
from services.dispatch.adapters.smtp import SmtpMailer
from services.dispatch.settings import DispatchSettings
from services.dispatch.stage import DispatchStage, lane_of
from services.dispatch.tables import SCHEMA, Base
from shared.contracts.base import Channel
from shared.contracts.commands import DispatchNotice, SettleSending
from shared.contracts.facts import NoticeRegistered
from shared.creditors import resolve_secret
from shared.db.engine import Database
from shared.wiring import Consumes, Setup, StageService

CONSUMES = (Consumes("dispatch", 20),)


def wire(setup: Setup, settings: DispatchSettings | None = None) -> StageService:
    """Dispatch, ready to run; `settings` from the environment where not given. Raises `SecretMissing`."""
    settings = settings or DispatchSettings()
    mailers = {
        lane_of(code, Channel(kind)): SmtpMailer(mailbox, resolve_secret(mailbox.password), settings)
        for code, creditor in setup.creditors.creditors.items()
        for kind, mailbox in creditor.mailboxes.items()
    }
    database = Database(setup.database_url(SCHEMA), Base.metadata, SCHEMA)
    database.create_all()
    stage = DispatchStage(
        creditors=setup.creditors,
        documents=setup.documents,
        mailers=mailers,
        lease_seconds=settings.lease_seconds,
        pec_receipt=settings.pec_receipt,
    )

    def close() -> None:
        for mailer in mailers.values():
            mailer.close()
        database.close()

    return StageService(
        database=database,
        stage=stage,
        triggers=frozenset({NoticeRegistered, DispatchNotice}),
        handlers={SettleSending: Settlement(database)},
        close=close,
    )
