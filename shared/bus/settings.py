"""Settings of the lanes (`STAFFETTA_LANE_`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]


class LaneSettings(BaseSettings):
    """How often an outside system that does not answer is tried."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_LANE_", env_ignore_empty=True, frozen=True)

    probe_seconds: Annotated[tuple[Seconds, ...], Field(min_length=1)] = (5, 15, 60, 300)
    """Seconds between one try and the next, as JSON; the last goes on for as long as it takes. An outage's end is noticed
    within the last."""

    @property
    def probe_waits(self) -> Sequence[timedelta]:
        """`probe_seconds` as times."""
        return [timedelta(seconds=seconds) for seconds in self.probe_seconds]
