"""Dispatch's settings, from the environment (prefix `STAFFETTA_DISPATCH_`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=3600)]


class DispatchSettings(BaseSettings):
    """Time-outs in seconds. RFC 5321 (4.5.3.2) would have us wait ten minutes for the answer to DATA; submission servers
    answer within seconds, and a longer wait only keeps a person longer from knowing that the end is unclear."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_DISPATCH_", env_ignore_empty=True, frozen=True)

    pec_receipt: Literal["completa", "breve", "sintetica"] = "breve"
    """`X-TipoRicevuta`: `completa` carries the whole message back (the stronger single proof, and a full mailbox),
    `breve` the hashes of the attachments, `sintetica` neither."""
    connect_seconds: Seconds = 30
    """For TCP, TLS, EHLO and login, each."""
    command_seconds: Seconds = 60
    answer_seconds: Seconds = 180
    """From the first byte of the message to the server's answer."""
    hard_seconds: Seconds = 300
    """For the whole sending, whatever it consists of."""
    slot_seconds: Seconds = 60
    """How long to wait for one of the mailbox's connections."""
    margin_seconds: Seconds = 60
    """How much longer a lease is than the longest sending. After a crash its messages become *da verificare* once it has run out."""
    ca_file: Path | None = None
    """Certificates to trust besides the system's: for a mail server of an internal authority."""

    @property
    def lease_seconds(self) -> float:
        """Longer than any act: a lease never runs out under a living one."""
        return self.slot_seconds + self.hard_seconds + self.margin_seconds
