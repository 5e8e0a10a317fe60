"""`staffetta letter check`: what it says of a template, and its exit code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deploy.cli.letter import check
from tests.audit import text_of

EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "examples"
WHOM = "<p>{{ intestazione }}\n"


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFFETTA_RENDER_CPU_SECONDS", "5")
    monkeypatch.delenv("STAFFETTA_CREDITORS", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a good template."""
    shutil.copytree(EXAMPLES / "letters" / "nido", tmp_path / "nido")
    return tmp_path / "nido"


@pytest.mark.parametrize("name", ["scuolabus", "nido"])
def test_the_samples_are_good(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(EXAMPLES / "letters" / name, None, None) == 0
    assert "Va bene: 2 lettere di prova, di 2 pagine." in capsys.readouterr().err


def test_with_a_spreadsheet_the_hardest_rows_are_tried_and_can_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(EXAMPLES / "letters" / "scuolabus", EXAMPLES / "scuolabus.xlsx", tmp_path / "prova")
    said = capsys.readouterr().err
    assert code == 0, said
    assert "Trasporto scolastico" in said
    letters = {path.name: text_of(path.read_bytes()) for path in sorted((tmp_path / "prova").iterdir())}
    assert {"riga-00002.pdf", "riga-00003.pdf", "riga-00004.pdf"} <= letters.keys()
    assert any("Associazione Sportiva Borgo Esempio" in text for text in letters.values())  # the longest name
    assert all("FAC-SIMILE" in text for text in letters.values())


def test_all_columns_that_a_spreadsheet_lacks_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(EXAMPLES / "letters" / "nido", EXAMPLES / "scuolabus.xlsx", None) == 1
    assert (
        "mancano le colonne che la lettera nomina: «Bambino», «Nido», «Mese», «Fascia ISEE»" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (f"{WHOM}{{{{ bambina }}}}\n{{{{ mense }}}}", "«bambina» (letter.html, riga 2), «mense» (letter.html, riga 3)"),
        (f"{WHOM}\n{{% for x in nido %}}", "letter.html, riga 3, sintassi non valida"),
        (f"{WHOM}{{{{ nido.x }}}}", "letter.html, riga 2: chiede un dato che non c’è"),
        (f'{WHOM}<img src="asset:luna.svg">', "chiede «asset:luna.svg», che nella sua cartella non c’è"),
        (f'{WHOM}<img src="http://127.0.0.1:9/x">', "cerca di leggere file, siti o dati interni («http://127.0.0.1:9/x»)"),
        (f"<style>@page{{size:20mm 20mm;margin:0}}</style>{WHOM}" + "<p>x" * 400, "pagine: al massimo 10"),
        ("<p>A tutti", "non dice a chi è diretta"),
        (f"{WHOM}{{{{ '{{% x' }}}}", "mostra segni del modello"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_page_is_said_in_italian(
    folder: Path, capsys: pytest.CaptureFixture[str], page: str, told: str
) -> None:
    (folder / "letter.html").write_text(page, "utf-8")
    assert check(folder, None, None) == 1
    said = capsys.readouterr().err
    assert "Da correggere: " in said
    assert told in said


def test_a_folder_that_is_no_template_and_one_that_is_not_there(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "letter.toml").write_text("columns = 3")
    assert check(folder, None, None) == 1
    assert "letter.toml: columns: valore non valido" in capsys.readouterr().err
    assert check(folder / "altra", None, None) == 2


def test_a_spreadsheet_that_cannot_be_read_and_one_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(EXAMPLES / "letters" / "nido", tmp_path / "niente.xlsx", None) == 2
    (tmp_path / "testo.xlsx").write_text("ciao")
    assert check(EXAMPLES / "letters" / "nido", tmp_path / "testo.xlsx", None) == 1
    assert "Da correggere" in capsys.readouterr().err
