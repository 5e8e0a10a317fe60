"""What the operators' commands read from the environment besides what every process does."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class OperatorSettings(BaseSettings):
    """For `staffetta topology` and `staffetta parked`; `STAFFETTA_BROKER_URL` is then that of an operator's own user."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_", env_ignore_empty=True, frozen=True)

    management_url: SecretStr = SecretStr("")
    """RabbitMQ's management API, `http://user:password@host:15672`, with a user of the tag `monitoring` (`administrator`,
    to look at users too). Unset: the broker's host, port 15672, with the broker's user."""
