"""Render, put together."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.render.adapters.kit import load_kit
from services.render.adapters.pool import WorkerPool
from services.render.settings import RenderSettings
from services.render.stage import PreviewDesk, RenderStage
from services.render.tables import SCHEMA, Base
from shared.contracts.commands import PreviewRecord
from shared.contracts.facts import IuvAssigned
from shared.db.engine import Database
from shared.wiring import Consumes, Setup, StageService

CONSUMES = (Consumes("render", 16), Consumes("render.preview", 1))
"""Previews are told one by one: a person waits for each."""


def wire(setup: Setup) -> StageService:
    """The render service. Raises `PrintingConfigurationWrong` or `TextsWrong` for what could never be printed."""
    settings = RenderSettings()
    kit = load_kit(setup.creditors, settings)
    database = Database(setup.database_url("render"), Base.metadata, SCHEMA)
    database.create_all()
    pool = WorkerPool(kit, settings.workers, settings.wall_seconds)
    previews = WorkerPool(kit, settings.preview_workers, settings.wall_seconds)

    def close() -> None:
        pool.close()
        previews.close()
        database.close()

    return StageService(
        database=database,
        stage=RenderStage(pool, setup.documents, setup.creditors, today),
        triggers=frozenset({IuvAssigned}),
        handlers={PreviewRecord: PreviewDesk(previews, setup.documents, setup.creditors, today)},
        close=close,
    )


def today() -> date:
    """Today in Italy."""
    return datetime.now(ZoneInfo("Europe/Rome")).date()
