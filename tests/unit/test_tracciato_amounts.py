"""*Importo*: what is read as cents, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.tracciato.amounts import MAXIMUM, WrongAmount, cents
from services.ingest.tracciato.shown import shown_number
from tests.sheets import a_package, check, check_one, codes, xml_headings, xml_row, xml_sheet

AMOUNTS = st.integers(min_value=1, max_value=MAXIMUM)


def italian(value: int, *, grouped: bool) -> str:
    euros, rest = divmod(value, 100)
    return f"{f'{euros:,}'.replace(',', '.') if grouped else euros},{rest:02}"


@settings(deadline=None)
@given(AMOUNTS, st.booleans(), st.sampled_from(["{}", "€ {}", "{} €", "€{}", "EUR {}", "{} euro", " {} "]))
def test_italian_text_is_read_to_the_cent(value: int, grouped: bool, frame: str) -> None:
    assert cents(frame.format(italian(value, grouped=grouped))) == value


@settings(deadline=None)
@given(AMOUNTS)
def test_a_number_is_read_to_the_cent_whatever_binary_digits_excel_stored(value: int) -> None:
    stored = repr(value / 100)
    assert cents(shown_number(stored), number=True) == value


@settings(deadline=None)
@given(AMOUNTS, st.integers(min_value=-3, max_value=3))
def test_the_dust_of_a_calculation_is_rounded_away_as_excel_does(value: int, dust: int) -> None:
    exact = Decimal(value) / 100
    stored = exact + Decimal(dust).scaleb(exact.adjusted() - 16)
    assert cents(shown_number(f"{stored:f}"), number=True) == value


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_text_at_all_gives_anything_but_an_amount_or_a_code(text: str) -> None:
    with suppress(WrongAmount):
        assert 1 <= cents(text) <= MAXIMUM


@pytest.mark.parametrize(
    ("text", "code", "proposal"),
    [
        ("1.234", "ambiguous-amount", ""),
        ("1,234", "ambiguous-amount", ""),
        ("€ 12.500", "ambiguous-amount", ""),
        ("12,345", "ambiguous-amount", ""),
        ("0,125", "too-many-decimals", ""),
        ("12,3456", "too-many-decimals", ""),
        ("0", "zero-amount", ""),
        ("0,00", "zero-amount", ""),
        ("-12,50", "negative-amount", ""),
        ("1.000.000.000,00", "amount-too-large", ""),
        ("1" * 40, "amount-too-large", ""),
        ("1,234.56", "not-an-amount", "1234,56"),
        ("dodici", "not-an-amount", ""),
        ("12 50", "not-an-amount", ""),
        ("1.23.456", "not-an-amount", ""),
        ("١٢", "not-an-amount", ""),
        ("€", "not-an-amount", ""),
        ("=1+1", "not-an-amount", ""),
    ],
)
def test_what_is_no_amount_says_why(text: str, code: str, proposal: str) -> None:
    with pytest.raises(WrongAmount) as caught:
        cents(text)
    assert (caught.value.code, caught.value.proposal) == (code, proposal)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.234,56", 123456), ("€ 12,50", 1250), ("12.50", 1250), ("1.234.567", 123456700), ("7", 700), ("999.999.999,99", MAXIMUM)],
)  # fmt: skip
def test_what_can_be_read_in_one_way_is_read(text: str, value: int) -> None:
    assert cents(text) == value


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("<c r='D2'><f>28.35*3</f><v>85.050000000000011</v></c>", 8505),
        ("<c r='D2'><v>1234.5600000000001</v></c>", 123456),
        ("<c r='D2'><v>1.2E2</v></c>", 12000),
        ("<c r='D2'><v>999999999.99</v></c>", MAXIMUM),
        ("<c r='D2'><v>1234</v></c>", 123400),
        ("<c r='D2'><v>12.345</v></c>", "too-many-decimals"),
        ("<c r='D2'><v>1000000000</v></c>", "amount-too-large"),
        ("<c r='D2'><v>1E+300</v></c>", "amount-too-large"),
        ("<c r='D2'><v>1E-300</v></c>", "too-many-decimals"),
        ("<c r='D2'><v>-5</v></c>", "negative-amount"),
        ("<c r='D2'><v>0</v></c>", "zero-amount"),
        ("<c r='D2'><f>A9*2</f></c>", "formula-without-value"),
        ("<c r='D2'><f>A9*2</f><v></v></c>", "formula-without-value"),
        ("<c r='D2' t='e'><f>1/0</f><v>#DIV/0!</v></c>", "error-cell"),
        ("<c r='D2' t='b'><v>1</v></c>", "not-an-amount"),
        ("<c r='D2'/>", "missing-value"),
    ],
)
def test_a_numeric_cell_is_what_excel_shows(tmp_path: Path, cell: str, expected: int | str) -> None:
    (row,) = check(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + xml_row(2, {"D": cell}))))
    if isinstance(expected, str):
        assert codes(row) == [("Importo", expected)]
    else:
        assert row.draft
        assert row.draft.payment.amount_cents == expected


def test_an_amount_that_excel_made_a_date_is_told(tmp_path: Path) -> None:
    assert codes(check_one(tmp_path, {"Importo": datetime(2026, 3, 12)})) == [("Importo", "date-in-text")]  # noqa: DTZ001
