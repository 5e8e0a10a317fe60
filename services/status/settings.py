"""Settings of the status service (environment, prefix `STAFFETTA_`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StatusSettings(BaseSettings):
    """`upload_limit_bytes` bounds a spreadsheet; a command without an answer is published again after
    `command_patience_seconds`, then after twice as long, and so on up to five minutes."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_", env_ignore_empty=True, frozen=True)

    upload_limit_bytes: Annotated[int, Field(gt=0)] = 20 * 1024 * 1024
    command_patience_seconds: Annotated[float, Field(ge=0)] = 10.0
