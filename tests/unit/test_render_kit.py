"""What printing needs is checked at start: letters, wording, creditors."""

from __future__ import annotations

import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from services.render.adapters.kit import PrintingConfigurationWrong, load_kit
from services.render.adapters.texts import USED, TextsWrong, load_words
from services.render.settings import RenderSettings
from shared.creditors import Contacts, Creditors, Letter, load_creditors
from tests.builders import a_letter_folder

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = load_creditors(ROOT / "deploy/examples/creditors.toml")


def with_letter(folder: Path, source: str, columns: list[str] | None = None) -> Creditors:
    """The example with a letter *prova* of this source."""
    template = a_letter_folder(folder / "prova", source, columns or [])
    creditor = EXAMPLE.creditors["c_x999"]
    letters = {"prova": Letter(title="Prova", template=template, columns=columns or [])}
    types = {"scuolabus": creditor.payment_types["scuolabus"].model_copy(update={"letters": letters})}
    return EXAMPLE.model_copy(update={"creditors": {"c_x999": creditor.model_copy(update={"payment_types": types})}})


def test_the_example_can_be_printed() -> None:
    letters = load_kit(EXAMPLE, RenderSettings()).letters
    assert set(letters) == {("c_x999", "scuolabus", "scuolabus"), ("c_x999", "asilo-nido", "retta")}


@pytest.mark.parametrize(
    ("source", "columns", "told"),
    [
        (
            "{{ intestazion }}",
            [],
            "letter-variable-unknown: Il modello di lettera «prova» usa «intestazion» (letter.html, riga 1)",
        ),
        ("{{ alunno }}", ["Alunna"], "usa «alunno»"),
        ("{{ range(3) }}", [], "usa «range»"),
        (
            "{% for x in causale %}",
            [],
            "letter-template-broken: Il modello di lettera «prova» ha un errore: letter.html, riga 1",
        ),
        (
            "{{ causale|abbellita }}",
            [],
            "letter-template-broken: Il modello di lettera «prova» ha un errore: letter.html, riga 1",
        ),
        ("{% include 'altro.html' %}", [], "letter-template-unsafe"),
        ("{% include causale %}", [], "letter-template-unsafe"),
        ("{% import '/etc/passwd' as x %}", [], "letter-template-unsafe"),
        ("{{ importo }}", ["Importo"], "la colonna «Importo» ha il nome di un dato dell’avviso"),
    ],
)
def test_a_letter_that_can_never_be_printed_is_told_at_start(
    tmp_path: Path, source: str, columns: list[str], told: str
) -> None:
    with pytest.raises(PrintingConfigurationWrong) as wrong:
        load_kit(with_letter(tmp_path, source, columns), RenderSettings())
    assert str(wrong.value).startswith("creditors.c_x999.payment_types.scuolabus.letters.prova: ")
    assert told in str(wrong.value)


@pytest.mark.parametrize(
    "source", ['{{ "a" * 100000000 }}', '{{ "a"|center(100000000) }}', '{% set x = "a" * 100000000 %}', "{{ 9**9**7 }}"]
)
def test_a_letter_is_checked_without_working_anything_out(tmp_path: Path, source: str) -> None:
    made = with_letter(tmp_path, source, [])
    tracemalloc.start()
    load_kit(made, RenderSettings())
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


def test_a_letter_may_name_its_columns_and_loop_over_what_it_sets(tmp_path: Path) -> None:
    source = "{% set righe = [via, localita] %}{% for riga in righe %}{{ riga }}{% endfor %}{{ gia_pagato }}"
    kit = load_kit(with_letter(tmp_path, source, ["Già pagato"]), RenderSettings())
    assert set(kit.letters) == {("c_x999", "scuolabus", "prova")}


def test_a_missing_template_or_logo_is_told_by_its_key(tmp_path: Path) -> None:
    missing = with_letter(tmp_path, "x")
    (tmp_path / "prova" / "letter.html").unlink()
    with pytest.raises(
        PrintingConfigurationWrong, match=r"letters\.prova\.template: nella cartella manca letter\.html"
    ):
        load_kit(missing, RenderSettings())
    creditor = EXAMPLE.creditors["c_x999"].model_copy(update={"logo": tmp_path / "logo.tiff"})
    with pytest.raises(PrintingConfigurationWrong, match=r"creditors\.c_x999\.logo"):
        load_kit(EXAMPLE.model_copy(update={"creditors": {"c_x999": creditor}}), RenderSettings())


def test_a_creditor_whose_contacts_do_not_fit_is_told(tmp_path: Path) -> None:
    creditor = EXAMPLE.creditors["c_x999"].model_copy(
        update={"contacts": Contacts(email=f"{'w' * 200}@comune.example")}
    )
    with pytest.raises(PrintingConfigurationWrong, match="does-not-fit"):
        load_kit(EXAMPLE.model_copy(update={"creditors": {"c_x999": creditor}}), RenderSettings())


def wording(folder: Path, language: str = "it", **changed: str) -> Path:
    """A folder with our file of a language, changed."""
    texts = json.loads((ROOT / f"services/render/texts/{language}.json").read_text("utf-8"))
    for key, value in changed.items():
        _put(texts, key, value)
    (folder / f"{language}.json").write_text(json.dumps(texts), "utf-8")
    return folder


def test_a_municipality_drops_in_its_own_wording(tmp_path: Path) -> None:
    words = load_words(wording(tmp_path, **{"avviso.dovePagare.titolo": "Dove si paga?"}), ("it",))
    assert words.said("avviso.dovePagare.titolo") == ("Dove si paga?",)
    assert words.ours("senzaScadenza") == "Quanto pagare?"


@pytest.mark.parametrize("key", [key for key in USED if not key.endswith(".esteso")])
def test_a_language_that_lacks_what_the_notice_says_is_refused_by_name_and_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(TextsWrong, match=rf"^de\.json: {re.escape(key)} is missing"):
        load_words(wording(tmp_path, "de", **{key: ""}), ("de",))


@pytest.mark.parametrize(("languages", "place"), [(("en",), "estero"), (("it", "en"), "italia")])
def test_whoever_reads_another_language_alone_may_live_abroad(
    tmp_path: Path, languages: tuple[str, ...], place: str
) -> None:
    key = f"avviso.dovePagare.{place}.online.titolo"
    wording(tmp_path, "en", **{key: "Over there"})
    assert "Over there" in load_words(wording(tmp_path), languages).place("online.titolo")
    with pytest.raises(TextsWrong, match=f"^en.json: {key} is missing"):
        load_words(wording(tmp_path, "en", **{key: ""}), languages)


def test_a_long_form_that_is_missing_falls_back_to_the_short_one(tmp_path: Path) -> None:
    key = "avviso.datiPagamento.avviso.esteso"
    words = load_words(wording(tmp_path, "de", **{key: ""}), ("de",))
    assert words.said(key) == words.said("avviso.datiPagamento.avviso.breve")


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("avviso.datiPagamento.numRata", "Instalment #[n]"),
        ("avviso.datiPagamento.numRata", "Instalment #{{Numero}}"),
        ("avviso.importoScadenza.disclaimer.rate.rate", "Instalment #[avviso.rate.totali]"),
    ],
)
def test_numbers_are_filled_in_however_the_official_files_write_them(tmp_path: Path, key: str, written: str) -> None:
    assert load_words(wording(tmp_path, "en", **{key: written}), ("en",)).said(key, 3) == ("Instalment #3",)


@pytest.mark.parametrize("placeholder", ["{{EnteNome}}", "[Ente.Nome]", "[n]"])
def test_a_placeholder_that_nobody_fills_is_refused(tmp_path: Path, placeholder: str) -> None:
    with pytest.raises(TextsWrong, match="placeholder"):
        load_words(wording(tmp_path, **{"avviso.dovePagare.cta": f"vai su {placeholder}"}), ("it",))


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextsWrong, match=r"it\.json"):
        load_words(tmp_path, ("it",))


def test_only_the_languages_of_the_configuration_are_read(tmp_path: Path) -> None:
    settings = RenderSettings().model_copy(update={"notice_texts": wording(tmp_path)})
    assert set(load_kit(EXAMPLE, settings).words) == {("it",)}
    creditor = EXAMPLE.creditors["c_x999"].model_copy(update={"languages": ["it", "sl"]})
    with pytest.raises(TextsWrong, match=r"^sl\.json"):
        load_kit(EXAMPLE.model_copy(update={"creditors": {"c_x999": creditor}}), settings)


def test_marks_come_from_a_folder_and_what_is_not_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "poste.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>', "utf-8")
    assert set(load_kit(EXAMPLE, RenderSettings().model_copy(update={"notice_marks": tmp_path})).marks) == {"poste"}
    (tmp_path / "pagopa.svg").write_text("<svg/>", "utf-8")
    with pytest.raises(PrintingConfigurationWrong, match=r"^STAFFETTA_NOTICE_MARKS: pagopa\.svg is no SVG"):
        load_kit(EXAMPLE, RenderSettings().model_copy(update={"notice_marks": tmp_path}))


def test_a_folder_of_marks_without_any_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PrintingConfigurationWrong, match="STAFFETTA_NOTICE_MARKS: none of pagopa, poste"):
        load_kit(EXAMPLE, RenderSettings().model_copy(update={"notice_marks": tmp_path}))


def _put(texts: dict[str, Any], key: str, value: str) -> None:
    *path, last = key.split(".")
    for part in path:
        texts = texts[part]
    texts[last] = value
