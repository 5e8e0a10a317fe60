"""What the API is asked with, in JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.status.model import State
from shared.contracts.base import StageName
from shared.contracts.commands import Correction
from shared.contracts.record import Orders


class Asked(BaseModel):
    """Root of the requests: an unknown field is an error, for a misspelt one would be silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordSearch(Asked):
    """Every word of `text` must occur in name, tax code, notice code, IUV, protocol number, address, row number or the
    reference that another system gave it."""

    text: str = Field(default="", max_length=200)
    states: list[State] = []
    stage: str = ""
    code: str = ""
    page: int = Field(default=1, ge=1, le=100_000)
    page_size: int = Field(default=50, ge=1, le=200)


class Correct(Asked):
    """Do a record anew. `orders` as `GET /records/{id}` showed them: the command counts once, while they stand.
    An empty `correction` sends it again as it is."""

    orders: Orders
    correction: Correction = Correction()


class SettleVerdict(Asked):
    """What a person found out about an uncertain sending or registration of `order`. `number` and `year`: of the
    registration that was found."""

    stage: Literal[StageName.DISPATCH, StageName.PROTOCOL]
    order: int = Field(ge=1)
    verdict: Literal["done", "not-done"]
    number: str = Field(default="", pattern=r"^[0-9]{0,20}$")
    year: int = Field(default=0, ge=0, le=2200)
