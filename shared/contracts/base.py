"""The root of every model on the wire."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Frozen; keeps the fields that it doesn't know, so that an older service passes a newer field on."""

    model_config = ConfigDict(frozen=True, extra="allow", use_enum_values=False)


class StageName(StrEnum):
    """The four stages of a record, in the order in which it runs them."""

    IUV = "iuv"
    RENDER = "render"
    PROTOCOL = "protocol"
    DISPATCH = "dispatch"


class Channel(StrEnum):
    """*Tipo di spedizione* (S12). AUTO decides by the address's domain, row by row."""

    PEC = "pec"
    EMAIL = "email"
    AUTO = "auto"


class Phase(StrEnum):
    """How far a batch may go: each step is a decision of a person (S15 to S17)."""

    PREVIEW = "preview"
    GENERATE = "generate"
    SEND = "send"
