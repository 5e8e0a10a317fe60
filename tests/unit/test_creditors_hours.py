"""Hours in which a mailbox sends, on the wall clock of Italy."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from shared.creditors import Mailbox, load_creditors
from shared.creditors.hours import WEEK, Day, opens_at

ROME = ZoneInfo("Europe/Rome")
WORKDAYS: tuple[Day, ...] = WEEK[:5]


def rome(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=ROME)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (rome(2026, 11, 24, 8, 0), None),
        (rome(2026, 11, 24, 19, 59), None),
        (rome(2026, 11, 24, 7, 59), rome(2026, 11, 24, 8, 0)),
        (rome(2026, 11, 24, 20, 0), rome(2026, 11, 25, 8, 0)),
        (rome(2026, 11, 27, 20, 0), rome(2026, 11, 30, 8, 0)),  # Friday evening: Monday
        (rome(2026, 11, 28, 12, 0), rome(2026, 11, 30, 8, 0)),
    ],
)
def test_it_opens_with_the_next_working_day(now: datetime, expected: datetime | None) -> None:
    assert opens_at("08:00-20:00", WORKDAYS, now.astimezone(UTC)) == expected


def test_eight_on_the_wall_is_eight_on_the_wall_when_the_clocks_change() -> None:
    summer, winter = rome(2026, 10, 24, 21, 0), rome(2027, 3, 27, 21, 0)
    back, forth = (opens_at("08:00-20:00", WEEK, each.astimezone(UTC)) for each in (summer, winter))
    assert back == datetime(2026, 10, 25, 7, 0, tzinfo=UTC)  # winter time since three o'clock
    assert forth == datetime(2027, 3, 28, 6, 0, tzinfo=UTC)
    assert (back - summer).total_seconds() == 12 * 3600
    assert (forth - winter).total_seconds() == 10 * 3600


def test_a_window_that_begins_in_the_hour_left_out_begins_when_it_would_be_over() -> None:
    now = datetime(2027, 3, 28, 0, 0, tzinfo=UTC)  # one o'clock; two becomes three
    assert opens_at("02:30-06:00", WEEK, now) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    assert opens_at("02:30-06:00", WEEK, datetime(2027, 3, 28, 1, 30, tzinfo=UTC)) is None
    assert opens_at("02:30-06:00", WEEK, datetime(2027, 3, 28, 4, 0, tzinfo=UTC)) == datetime(
        2027, 3, 29, 0, 30, tzinfo=UTC
    )


def test_without_hours_the_days_count_and_midnight_ends_the_day() -> None:
    assert opens_at("", WEEK, rome(2026, 11, 28, 3, 0)) is None
    assert opens_at("", WORKDAYS, rome(2026, 11, 28, 3, 0)) == rome(2026, 11, 30, 0, 0)
    assert opens_at("18:00-24:00", WEEK, rome(2026, 11, 24, 23, 59)) is None
    assert opens_at("18:00-24:00", WEEK, rome(2026, 11, 25, 0, 0)) == rome(2026, 11, 25, 18, 0)


@pytest.mark.parametrize("hours", ["20:00-08:00", "08:00-08:00", "8-20", "08:00-25:00"])
def test_hours_that_are_none_are_refused(hours: str) -> None:
    box = load_creditors().creditors["c_x999"].mailboxes["pec"]
    with pytest.raises(ValidationError, match="send_hours"):
        Mailbox.model_validate(box.model_dump() | {"send_hours": hours})
