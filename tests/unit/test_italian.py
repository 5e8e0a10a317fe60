"""Money and codes as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.italian import euros, in_fours


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        (1, "0,01"), (29, "0,29"), (100, "1,00"), (115, "1,15"), (8505, "85,05"), (99_999, "999,99"), (123456, "1.234,56"),
        (100_000_000, "1.000.000,00"), (99_999_999_999, "999.999.999,99"), (-115, "-1,15"), (0, "0,00"),
    ],
)  # fmt: skip
def test_an_amount_is_written_the_italian_way(cents: int, text: str) -> None:
    assert euros(cents) == text


@given(st.integers(-(10**14), 10**14))
def test_no_cent_is_lost(cents: int) -> None:
    assert int(euros(cents).replace(".", "").replace(",", "")) == cents


def test_a_notice_code_is_written_in_groups_of_four() -> None:
    assert in_fours("312000000000004260") == "3120 0000 0000 0042 60"
