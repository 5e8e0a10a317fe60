"""Settings of the iuv service: `STAFFETTA_IUV_...`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

CALLS_OF_ONE_RECORD = 3  # create, look, publish: the longest way through one act
MARGIN_SECONDS = 10.0


class IuvSettings(BaseSettings):
    """How pagoPA is called. Seconds throughout."""

    model_config = SettingsConfigDict(env_prefix="STAFFETTA_IUV_", env_ignore_empty=True, frozen=True)

    connections: Annotated[int, Field(ge=1, le=32)] = 4
    """Positions opened at a time, over as many connections for each creditor."""
    connect_seconds: Annotated[float, Field(gt=0)] = 5.0
    answer_seconds: Annotated[float, Field(gt=0)] = 15.0
    act_seconds: Annotated[float, Field(gt=0)] = 60.0
    """A handful that takes longer stops there: what had no answer is looked up by its repeat."""
    calls_per_second: Annotated[float, Field(ge=0)] | None = None
    """Per pagoPA key; 0: no limit. Unset: 10 (the gateway's limit is 100 calls in 10 s), none in rehearsal. Several
    processes share the gateway's limit: divide it among them."""

    @property
    def lease_seconds(self) -> float:
        """After this long nobody is still at work on a record: the act's end, and the slowest call begun just before."""
        call = 2 * self.connect_seconds + 2 * self.answer_seconds  # wait for a connection, connect, send, receive
        return self.act_seconds + CALLS_OF_ONE_RECORD * call + MARGIN_SECONDS

    def pace(self, *, rehearsal: bool) -> float:
        """Calls per second and key; 0: no limit."""
        if self.calls_per_second is not None:
            return self.calls_per_second
        return 0.0 if rehearsal else 10.0
