"""Settings that every process has, from the environment (prefix `STAFFETTA_`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """`STAFFETTA_NAMESPACE` and so on. An empty variable counts as none, as in compose files."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_", env_ignore_empty=True, frozen=True)

    namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "staffetta"
    """First part of the names of exchanges and queues: two installations can share a broker."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    creditors: Path | None = None
    """The creditors' file; without it, the rehearsal file."""
    folder: Path = Path("staffetta")
    """Where the embedded relay keeps databases and documents."""
    broker_url: SecretStr = SecretStr("memory://")
    """`amqp://user:password@host:5672/vhost`, each service with a user of its own. `memory://` is inside one process."""
