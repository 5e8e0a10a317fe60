"""What is printed of a record: figures, dates, codes, and the variables of a letter."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from services.render.adapters.content import notice_of
from services.render.model import (
    RECORD_VARIABLES,
    Unprintable,
    letter_columns,
    letter_variables,
    long_day,
    variable,
)
from shared.contracts.record import Address, Debtor
from shared.creditors import Creditor, load_creditors
from tests.builders import a_record, a_rendered_record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def creditor() -> Creditor:
    return load_creditors(ROOT / "deploy/examples/creditors.toml").creditors["c_x999"]


def test_the_first_of_a_month_is_an_ordinal() -> None:
    assert long_day(date(2027, 3, 1)) == "1º marzo 2027"
    assert long_day(date(2026, 12, 31)) == "31 dicembre 2026"


def test_a_heading_is_a_variable_in_any_spelling() -> None:
    assert variable("Importo già pagato") == "importo_gia_pagato"
    assert letter_columns({"NOME-alunno": "Ugo", "Altro": "x"}, ["Nome Alunno", "Plesso"]) == {"nome_alunno": "Ugo"}


def test_a_letter_gets_plain_text_for_every_variable(creditor: Creditor) -> None:
    values = letter_variables(a_rendered_record(), creditor, date(2026, 11, 24))
    assert tuple(values) == RECORD_VARIABLES
    assert {type(value) for value in values.values()} == {str}
    assert values["codice_avviso"] == "3120 0000 0000 0042 60"
    assert values["tipologia"] == "Trasporto scolastico"


def test_a_preview_has_no_number_and_does_not_look_as_if_it_had(creditor: Creditor) -> None:
    values = letter_variables(a_record(), creditor, date(2026, 11, 24))
    assert values["codice_avviso"] == "XXXX XXXX XXXX XXXX XX"


def test_contacts_that_wrap_end_no_line_with_a_dot(creditor: Creditor) -> None:
    assert [
        line
        for name, line in notice_of(a_rendered_record(), creditor).values.items()
        if name.startswith("contacts") and line.endswith("·")
    ] == []


@pytest.mark.parametrize(
    ("debtor", "code", "field"),
    [
        (Debtor(name="W" * 70, fiscal_code="99999000997"), "does-not-fit", "intestazione"),
        (Debtor(name="Anna \N{SCHOOL}", fiscal_code="99999000997"), "unprintable-character", "intestazione"),
        (
            Debtor(name="Anna", fiscal_code="99999000997", address=Address(street="W" * 120, city="Roma")),
            "does-not-fit",
            "indirizzo",
        ),
    ],
)
def test_what_cannot_be_printed_names_the_field_and_not_its_value(
    creditor: Creditor, debtor: Debtor, code: str, field: str
) -> None:
    with pytest.raises(Unprintable) as refusal:
        notice_of(a_rendered_record(debtor=debtor), creditor)
    assert refusal.value.code == code
    assert field in refusal.value.detail
    assert "Anna" not in refusal.value.detail
