"""Settings of ingest (`STAFFETTA_INGEST_`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0)]


class IngestSettings(BaseSettings):
    """The pacer's patience, and whom ingest obeys. Seconds throughout; lists as JSON: `[30, 300, 3600]`."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_INGEST_", env_ignore_empty=True, frozen=True)

    retry_seconds: Annotated[tuple[Seconds, ...], Field(min_length=1)] = (30, 300, 3600)
    """How long a record waits after its first failure, its second, and so on; the one after the last parks it."""
    silent_seconds: Seconds = 3600
    """A lane that answered nothing for so long gets its messages again."""
    unanswered_seconds: Seconds = 900
    """How long the cancelling of a batch waits for what is under way. Longer than a stage's longest lease (ten minutes)."""
    restate_seconds: Seconds = 10
    """How long the other services may take to say again what they know, before what was issued is published again."""
    status_user: str = "status"
    """RabbitMQ's user whose spreadsheets and decisions are obeyed: status's. Any other is another system, with its grant."""
    request_bytes: Annotated[int, Field(gt=0)] = 4_000_000
    """The longest body of another system that is read; 1,000 records with long letters take half of it."""

    @property
    def retry_waits(self) -> Sequence[timedelta]:
        """`retry_seconds` as times."""
        return [timedelta(seconds=seconds) for seconds in self.retry_seconds]
