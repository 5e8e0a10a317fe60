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
    http_host: str = "127.0.0.1"
    """Where the pages and the API listen when status is a process of its own. There are no accounts: anything but this machine
    only inside a container whose port is published on 127.0.0.1."""
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    command_patience_seconds: Annotated[float, Field(ge=0)] = 10.0
    preview_seconds: Annotated[float, Field(ge=0)] = 15.0
    """How long a page waits for a preview that it asked for."""
