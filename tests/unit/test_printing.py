"""What fits on a notice is decided by one rule, before a debt is opened."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.render.adapters.fonts import width_tables
from shared.contracts.record import Address
from shared.printing import (
    DOES_NOT_FIT,
    NAME,
    POINTS_PER_MM,
    SUBJECT,
    UNPRINTABLE,
    WIDTHS_FILE,
    address_lines,
    address_problem,
    creditor_problem,
    fit,
    name_problem,
    reason_problem,
    wrap,
)

LATIN = st.text(st.sampled_from("aeilmnorstzAEIMTWÀèéìòùčšžäöüß'’-.,/&0123456789   "), min_size=1, max_size=140)


def test_the_width_tables_are_those_of_the_embedded_fonts() -> None:
    assert json.loads(WIDTHS_FILE.read_text("utf-8")) == width_tables()


@pytest.mark.parametrize(
    "reason",
    [
        "Trasporto scolastico 2026/2027",
        "Servizio di trasporto scolastico anno 2026/2027 seconda rata, alunno iscritto alla primaria Gianni Rodari, "
        "tratta B, plesso via Verdi, Nord",
        "TASSA RIFIUTI " * 10,
        "W" * 140,
        "Scuola dell’infanzia “Čabaj” – š ž ä ö ü ß ș ț €",
    ],
)
def test_a_reason_of_up_to_140_characters_wraps_over_the_lines_of_the_notice(reason: str) -> None:
    assert len(reason) <= 140
    assert reason_problem(reason) is None


@pytest.mark.parametrize(
    "text",
    [
        "Mensa \N{SCHOOL}",
        "محمد",
        "משה",
        "李伟",
        "G\u0303uarani",
        "a\u202eb",
        "a\x07b",
        "due\nrighe",
        "segno\u00adnascosto",
        "a\u200bb",
    ],
)
def test_what_the_fonts_cannot_draw_is_told_by_a_code(text: str) -> None:
    assert reason_problem(text) == UNPRINTABLE
    assert name_problem(text) == UNPRINTABLE


@pytest.mark.parametrize(
    "name", ["D'ANGELO", "D’Angelo", "Nuñez", "Łukasz", "Groß", "Щукина Ольга", "Παπαδόπουλος", "Nguyễn Thị Ánh"]
)
def test_names_in_latin_greek_and_cyrillic_letters_are_printed(name: str) -> None:
    assert name_problem(name) is None


def test_a_name_too_wide_for_its_box_is_told_by_a_code() -> None:
    assert name_problem("W" * 70) == DOES_NOT_FIT
    assert name_problem("ASSOCIAZIONE SPORTIVA DILETTANTISTICA POLISPORTIVA BORGO ESEMPIO 1921!"[:70]) is None


def test_decomposed_accents_count_as_the_letters_that_they_are() -> None:
    assert name_problem("Nicolo\u0300 De\u0301sire\u0301e") is None


def test_an_address_is_printed_as_street_and_town_without_what_is_empty() -> None:
    full = Address(street="Via Roma", number="1/bis", postal_code="00100", city="Borgo Esempio", province="BE")
    assert address_lines(full) == ("Via Roma 1/bis", "00100 Borgo Esempio (BE)")
    assert address_lines(Address(city="Borgo Esempio")) == ("Borgo Esempio",)
    assert address_lines(Address()) == ()
    assert address_problem(full) is None
    assert address_problem(Address()) is None


def test_an_address_of_140_characters_fits_and_an_absurd_one_does_not() -> None:
    assert (
        address_problem("Via del Santissimo Crocifisso di San Martino " * 2 + "\n00100 San Giovanni in Persiceto (BO)")
        is None
    )
    assert address_problem("W" * 140) == DOES_NOT_FIT


def test_a_creditor_is_measured_too() -> None:
    assert creditor_problem("Comune di Borgo Esempio", "Ufficio scuola", "tel. 000 · a@comune.example") is None
    assert creditor_problem("W" * 100, "", "") == DOES_NOT_FIT


@given(LATIN)
def test_wrapping_loses_and_changes_no_character(text: str) -> None:
    lines = wrap(text, "bold", 150 * POINTS_PER_MM, 16)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(LATIN)
def test_a_preferred_size_is_only_left_where_its_lines_do_not_suffice(text: str) -> None:
    fitted = fit((text,), SUBJECT)
    assert fitted is None or len(fitted.lines) <= {step.size: step.lines for step in SUBJECT.steps}[fitted.size]
    short = fit((text[:10],), NAME)
    assert short is not None
    assert short.size == NAME.steps[0].size
