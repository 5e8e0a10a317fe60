"""How people in Italy write money, days and times; and back."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from services.status.api.wording import ROME
from shared.italian import euros

NBSP = "\u00a0"


def euro(cents: int) -> str:
    """`1.234,56 €`."""
    return f"{euros(cents)}{NBSP}€"


def number(value: int) -> str:
    """`1.234`."""
    return f"{value:,}".replace(",", ".")


def counted(value: int, one: str, many: str) -> str:
    """`1 riga`, `2 righe`."""
    return f"{number(value)} {one if value == 1 else many}"


def day(value: date | str | None) -> str:
    """`31/01/2027`; empty for none."""
    if isinstance(value, str):
        value = date.fromisoformat(value)
    return f"{value:%d/%m/%Y}" if value else ""


def moment(value: datetime | None) -> str:
    """`24/11/2026 10:42`, Italian time; empty for none."""
    return f"{value.astimezone(ROME):%d/%m/%Y %H:%M}" if value else ""


def parsed_day(text: str) -> date | None:
    """The date in `gg/mm/aaaa` (or with dots or hyphens); `None` where it is none."""
    found = re.fullmatch(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})\s*", text)
    try:
        return date(int(found[3]), int(found[2]), int(found[1])) if found else None
    except ValueError:
        return None


def parsed_euro(text: str) -> int | None:
    """Cents of `1.234,56`, `1234,5`, `€ 12`; `None` where it is no amount, or could be read in two ways (`1.234`)."""
    plain = re.sub(r"[€\s]", "", text)
    if not re.fullmatch(r"(\d{1,3}(\.\d{3})+,\d{2}|\d+(,\d{1,2})?)", plain):
        return None
    try:
        return int(Decimal(plain.replace(".", "").replace(",", ".")) * 100)
    except InvalidOperation:
        return None
