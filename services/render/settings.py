"""Render's settings, from the environment (prefix `STAFFETTA_RENDER_`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RenderSettings(BaseSettings):
    """How many processes print, and what a letter template may use up. The limits are per record."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_RENDER_", env_ignore_empty=True, frozen=True)

    notice_texts: Annotated[Path | None, Field(validation_alias="STAFFETTA_NOTICE_TEXTS")] = None
    """A folder with the official string files (`it.json`, `de.json`, ...); without it the notice has wording of our own."""
    notice_marks: Annotated[Path | None, Field(validation_alias="STAFFETTA_NOTICE_MARKS")] = None
    """A folder with the marks `pagopa`, `poste`, `bancoposta` and `bollettino` (SVG or PNG), which are their owners' and not
    shipped; in place of one that is not there stand plain words."""
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    raster_every: Annotated[int, Field(ge=0)] = 50
    """Of so many notices one is also drawn at 200 dpi and its codes read from the pictures (1: all; 0: none), which takes longer
    than printing it. Text and codes of every notice are read from the finished PDF all the same."""
    preview_workers: Annotated[int, Field(ge=1, le=16)] = 1
    """Processes that make nothing but previews: a person waits for them, whatever batch is being printed."""
    cpu_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    wall_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    """Longer than the processor time: on a busy machine a healthy letter waits its turn."""
    memory_mb: Annotated[int, Field(ge=256)] = 1536
    """Address space of a worker (about 130 MB of it in use)."""
    html_kb: Annotated[int, Field(ge=16)] = 1024
    letter_pages: Annotated[int, Field(ge=1)] = 10
