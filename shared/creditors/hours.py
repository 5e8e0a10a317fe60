"""When a mailbox sends: hours of the day in Italy, on some days of the week. Pure; instants are UTC."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

ROME = ZoneInfo("Europe/Rome")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PATTERN = r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$"
LATEST = 24 * 60


def minutes(hours: str) -> tuple[int, int]:
    """`08:00-20:00` as minutes since midnight."""
    first, _, last = hours.partition("-")
    return _minutes(first), _minutes(last)


def opens_at(hours: str, days: Collection[Day], now: datetime) -> datetime | None:
    """`None` within the hours, otherwise when they begin next. `hours`: as `minutes` takes them, or empty: the whole day.

    By the clock on the wall: on the two days a year when the clocks change, a window is an hour shorter or longer, and one
    that begins in the hour that is left out begins when that hour would have been over.
    """
    begins, ends = minutes(hours) if hours else (0, LATEST)
    today = now.astimezone(ROME).date()
    for day in (today + timedelta(days=ahead) for ahead in range(8)):
        if WEEK[day.weekday()] in days and now < _instant(day, ends):
            opening = _instant(day, begins)
            return opening if now < opening else None
    raise ValueError("no day of the week")


def _minutes(clock: str) -> int:
    hour, _, minute = clock.partition(":")
    return int(hour) * 60 + int(minute)


def _instant(day: date, minute: int) -> datetime:
    day, minute = (day + timedelta(days=1), 0) if minute == LATEST else (day, minute)
    return datetime.combine(day, time(minute // 60, minute % 60), ROME).astimezone(UTC)
