"""Builds the iuv service."""

from __future__ import annotations

import httpx

from services.iuv.adapters.gpd import Gpd, Pace
from services.iuv.settings import IuvSettings
from services.iuv.stage import IuvStage
from services.iuv.tables import SCHEMA, Base
from services.iuv.withdrawals import Withdrawals
from shared.contracts.commands import AssignIuv, WithdrawPosition
from shared.creditors import Creditor, Creditors, resolve_secret
from shared.db.engine import Database
from shared.wiring import Consumes, Setup, StageService

CONSUMES = (Consumes("iuv", 50),)


def wire(setup: Setup, settings: IuvSettings | None = None) -> StageService:
    """The service over GPD. Raises `SecretMissing` where a creditor's key is not to be found."""
    settings = settings or IuvSettings()
    books = _books(setup.creditors, settings)
    database = Database(setup.database_url(SCHEMA), Base.metadata, schema=SCHEMA)
    database.create_all()
    stage = IuvStage(
        setup.creditors,
        books,
        connections=settings.connections,
        act_seconds=settings.act_seconds,
        lease_seconds=settings.lease_seconds,
    )

    def close() -> None:
        stage.close()
        database.close()

    return StageService(
        database=database,
        stage=stage,
        triggers=frozenset({AssignIuv}),
        handlers={WithdrawPosition: Withdrawals(database, books, stage.acted_on, settings.lease_seconds)},
        close=close,
    )


def _books(creditors: Creditors, settings: IuvSettings) -> dict[str, Gpd]:
    per_second = settings.pace(rehearsal=creditors.rehearsal)
    timeout = httpx.Timeout(settings.answer_seconds, connect=settings.connect_seconds, pool=settings.connect_seconds)
    limits = httpx.Limits(max_connections=settings.connections, max_keepalive_connections=settings.connections)
    paces: dict[tuple[str, str], Pace] = {}  # pagoPA counts by key, which creditors may share

    def book(creditor: Creditor) -> Gpd:
        access = creditor.pagopa
        return Gpd(
            access.base_url,
            resolve_secret(access.key),
            creditor.tax_code,
            timeout=timeout,
            limits=limits,
            pace=paces.setdefault((access.base_url, access.key), Pace(per_second)),
        )

    return {code: book(creditor) for code, creditor in creditors.creditors.items()}
