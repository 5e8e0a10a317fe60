"""IUV and NAV: the published rule (SACI 3.2.1) on numbers that others published."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.iuv.model import LAST_BASE, InvalidNotice, NoticeCode, check_digits, due_instant


@pytest.mark.parametrize(
    ("segregation_code", "number", "nav"),
    [
        ("01", 42, "301000000000004285"),
        ("01", 93, "301000000000009343"),
        ("02", 320027000002, "302032002700000251"),
        ("00", 7157000000000, "300715700000000032"),
        ("00", 30, "300000000000003033"),
    ],
)
def test_a_number_becomes_the_notice_code_that_others_computed(segregation_code: str, number: int, nav: str) -> None:
    code = NoticeCode.of(segregation_code, number)
    assert (code.nav, code.iuv) == (nav, nav[1:])


def test_check_digits_keep_their_leading_zero() -> None:
    assert check_digits("3451234567890123") == "09"


@pytest.mark.parametrize(
    ("nav", "iuv", "prefix"),
    [
        ("301000000000004285", "01000000000004285", "01"),
        ("345123456789012309", "45123456789012309", "45"),
        ("001340000002217576", "340000002217576", "01"),
        ("101234567890123456", "01234567890123456", ""),
        ("201234567890123415", "01234567890123415", ""),
    ],
)
def test_codes_of_every_aux_digit_are_read(nav: str, iuv: str, prefix: str) -> None:
    code = NoticeCode.parse(nav)
    assert (code.nav, code.iuv, code.prefix, code.aux) == (nav, iuv, prefix, nav[0])


@pytest.mark.parametrize(
    "nav",
    [
        "301000000000004286",  # wrong check digits
        "201234567890123422",
        "344012345678901233",
        "011012345678901222",
        "244012345678901200",
        "302000100000019421",
        "3010000000000004285",  # 19 digits
        "14401234567890120",  # 17
        "401000000000004285",  # aux digit 4
        "444012345678901200",
        "24401234567890120X",
        "30100000000000428٥",  # a digit, but not one of ours
        "",
    ],
)
def test_what_is_no_notice_code_is_refused_without_being_quoted(nav: str) -> None:
    with pytest.raises(InvalidNotice) as refusal:
        NoticeCode.parse(nav)
    assert not nav or nav not in str(refusal.value)


@pytest.mark.parametrize(
    ("segregation_code", "number"), [("1", 1), ("123", 1), ("1x", 1), ("12", -1), ("12", LAST_BASE + 1)]
)
def test_no_code_is_made_outside_its_range(segregation_code: str, number: int) -> None:
    with pytest.raises(InvalidNotice):
        NoticeCode.of(segregation_code, number)


@given(st.from_regex(r"\A[0-9]{2}\Z"), st.integers(0, LAST_BASE))
def test_what_is_made_is_read_back(segregation_code: str, number: int) -> None:
    code = NoticeCode.of(segregation_code, number)
    assert NoticeCode.parse(code.nav) == code
    assert (len(code.nav), len(code.iuv), code.aux) == (18, 17, "3")


@given(st.from_regex(r"\A3[0-9]{15}\Z"), st.integers(0, 15), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(first_sixteen: str, place: int, change: int) -> None:
    nav = first_sixteen + check_digits(first_sixteen)
    wrong = str((int(nav[place]) + change) % 10)
    with pytest.raises(InvalidNotice):
        # place 0 may turn it into aux digit 1, which has no check digits
        NoticeCode.parse(nav[:place] + wrong + nav[place + 1 :] if place else "4" + nav[1:])


def test_a_due_date_is_the_last_second_of_that_day_in_rome() -> None:
    assert due_instant(date(2027, 1, 23)) == datetime(2027, 1, 23, 22, 59, 59, tzinfo=UTC)
    assert due_instant(date(2027, 7, 23)) == datetime(2027, 7, 23, 21, 59, 59, tzinfo=UTC)
    # the day on which the clocks go back
    assert due_instant(date(2026, 10, 25)) == datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)
