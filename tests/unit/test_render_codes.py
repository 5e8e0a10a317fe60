"""What the two codes of a notice say, and how they are drawn."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.render.adapters.codes import MATRIX_MODULES, QR_MODULES, matrix_rows, operators, qr_rows
from services.render.adapters.payloads import QR, Slip, matrix_payload, qr_payload

NAV, TAX_CODE = "302032002700000251", "03334231200"
SLIP = Slip(
    notice_code="301000000000004285",
    account="000016302093",
    cents=12_345,
    creditor_tax_code="01199250158",
    debtor_tax_code="RSSMRA60D20F205R",
    debtor_name="Mario Rossi",
    reason="Trasporto scolastico 2026",
)


@pytest.mark.parametrize(
    "payload",
    [
        *(f"PAGOPA|002|{NAV}|{TAX_CODE}|{cents}" for cents in ("11", "01", "001", "999", "1000")),
        "PAGOPA|002|123456789012345678|12345678901|1234567801",
        "PAGOPA|002|000000000000000000|01199250158|0000015000",
    ],
)
def test_what_readers_accept_is_accepted(payload: str) -> None:
    assert QR.fullmatch(payload)
    assert len(qr_rows(payload)) == QR_MODULES


@pytest.mark.parametrize(
    "payload",
    [
        f"XAGOPA|002|{NAV}|{TAX_CODE}|11",
        f"PAGOPA|003|{NAV}|{TAX_CODE}|11",
        f"PAGOPA|002|{NAV}|{TAX_CODE}|1X",
        f"PAGOPA|002|{NAV[:-1]}X|{TAX_CODE}|11",
        f"PAGOPA|002|{NAV}|X{TAX_CODE[1:]}|11",
        f"PAGOPA|002|5{NAV[1:]}|{TAX_CODE}|11",
        f"PAGOPA|002|{NAV}|0333423120*|11",
        f"PAGOPA|002|{NAV}|{TAX_CODE}",
        f"PAGOPA|002|{NAV}|{TAX_CODE}|1",
        f"PAGOPA|002|{NAV}|{TAX_CODE}|{10**11}",
        f"PAGOPA|002|{NAV}|{TAX_CODE}|11|",
        f"PAGOPA|002|{NAV}|{TAX_CODE}|11.00",
    ],
)
def test_what_readers_refuse_is_refused(payload: str) -> None:
    assert not QR.fullmatch(payload)


def test_the_code_carries_bare_cents_with_at_least_two_digits() -> None:
    assert qr_payload(NAV, TAX_CODE, 1) == f"PAGOPA|002|{NAV}|{TAX_CODE}|01"
    assert qr_payload(NAV, TAX_CODE, 99_999_999_999).endswith("|99999999999")


@pytest.mark.parametrize(
    "fields", [("5" + NAV[1:], TAX_CODE, 11), (NAV[1:], TAX_CODE, 11), (NAV, "CNL", 11), (NAV, TAX_CODE, 10**11)]
)
def test_what_no_reader_would_accept_is_never_printed(fields: tuple[str, str, int]) -> None:
    with pytest.raises(ValueError, match="readers accept"):
        qr_payload(*fields)


def test_the_qr_code_has_33_modules_whatever_it_carries() -> None:
    for cents in (1, 8505, 99_999_999_999):
        rows = qr_rows(qr_payload(NAV, TAX_CODE, cents))
        assert len(rows) == QR_MODULES
        assert all(row < 1 << QR_MODULES for row in rows)


def test_the_postal_code_is_that_of_the_reference() -> None:
    payload = matrix_payload(SLIP)
    assert payload.startswith(
        "codfase=NBPA;183010000000000042851200001630209310000001234538961P101199250158RSSMRA60D20F205R"
    )
    assert hashlib.sha256(payload.encode("ascii")).hexdigest() == (
        "7a8d16658322248b8367621d0ea5fbcfb9649ddfd737c32c23bddfe2e02b8ee9"
    )


def test_the_head_of_the_postal_code_is_what_the_io_app_reads() -> None:
    slip = replace(
        SLIP, notice_code="300715700000000032", cents=1, creditor_tax_code="00085240950",
        debtor_tax_code="BSCMTT83A12L719R",
    )  # fmt: skip
    payload = matrix_payload(slip)
    assert (payload[15:33], payload[49:59], payload[66:77]) == ("300715700000000032", "0000000001", "00085240950")
    assert payload[:93] == (
        "codfase=NBPA;183007157000000000321200001630209310000000000138961P100085240950BSCMTT83A12L719R"
    )


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Nicolò D’Angelo", "NICOLO D'ANGELO"),
        ("Nuñez Łukasz Groß", "NUNEZ LUKASZ GROSS"),
        ("Щукина Ольга", "SHCHUKINA OL'GA"),
        ("Rossi (erede) \N{EM DASH} C/O Bianchi", "ROSSI  EREDE  - C O BIANCHI"),
        ("ß" * 40, "S" * 40),
    ],
)
def test_a_name_is_transliterated_then_cleaned_then_cut_then_padded(name: str, printed: str) -> None:
    payload = matrix_payload(replace(SLIP, debtor_name=name))
    assert payload[93:133] == printed.ljust(40)
    assert len(payload) == 256


@given(
    name=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=70),
    reason=st.text(st.sampled_from("AÈèß’'-&,.:_() z09/€Щ"), min_size=1, max_size=140),
)
def test_whatever_is_written_the_postal_code_has_256_characters_and_48_modules(name: str, reason: str) -> None:
    payload = matrix_payload(replace(SLIP, debtor_name=name, reason=reason))
    assert len(payload) == len(payload.encode("ascii")) == 256
    assert payload[243:] == " " * 12 + "A"
    assert len(matrix_rows(payload)) == MATRIX_MODULES


@pytest.mark.parametrize(
    "wrong",
    [{"cents": 10**10}, {"account": "16302093"}, {"notice_code": "3010"}, {"debtor_tax_code": "RSSMRA60D20F205R1"}],
)
def test_a_field_that_would_shift_the_next_ones_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="length"):
        matrix_payload(replace(SLIP, **wrong))


@pytest.mark.parametrize("rows", [qr_rows(qr_payload(NAV, TAX_CODE, 8505)), matrix_rows(matrix_payload(SLIP))])
def test_every_dark_module_is_drawn_once(rows: list[int]) -> None:
    drawn = [line.split()[:4] for line in operators(rows, (10, 154, 25)).decode().split("\n") if line.endswith("re")]
    squares = [
        (x, y)
        for left, top, width, height in (map(int, numbers) for numbers in drawn)
        for x in range(left, left + width)
        for y in range(top, top + height)
    ]
    dark = {(x, y) for y, row in enumerate(rows) for x in range(len(rows)) if row >> x & 1}
    assert len(squares) == len(set(squares))
    assert set(squares) == dark


@pytest.mark.parametrize("encode", [qr_rows, matrix_rows])
def test_what_does_not_fit_the_code_is_an_error(encode: Any) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode("PAGOPA|002|" + "3" * 400)
