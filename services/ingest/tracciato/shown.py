"""Numbers and dates as Excel shows them to an Italian user, from what the file holds."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Final

FIFTEEN: Final = Context(prec=15, rounding=ROUND_HALF_UP)
NUMBER: Final = re.compile(r"[+-]?[0-9]{0,40}\.?[0-9]{0,40}([Ee][+-]?[0-9]{1,3})?")


def shown_number(raw: str) -> str:
    """A number as Excel shows it: 15 significant digits, decimal comma, no thousands. Raises `InvalidOperation`."""
    if raw.isdecimal() and len(raw) <= 15 and raw.isascii():
        return str(int(raw))
    if not NUMBER.fullmatch(raw):
        raise InvalidOperation
    value = FIFTEEN.plus(Decimal(raw))
    if abs(value.adjusted()) > 20:
        return f"{value.normalize():E}".replace(".", ",")
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text.replace(".", ",")


def shown_date(value: date | time | timedelta) -> str:
    """`gg/mm/aaaa`, with the time where there is one."""
    if isinstance(value, datetime):
        return f"{value:%d/%m/%Y}" if value.time() == time() else f"{value:%d/%m/%Y %H:%M}"
    return f"{value:%d/%m/%Y}" if isinstance(value, date) else str(value)
