"""A letter's folder: what may be in it, its manifest, and its version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.creditors.letters import LetterWrong, Stamp, manifest_of, pack, read_folder, unpack
from tests.builders import a_letter_folder

MANIFEST = b'columns = ["Alunno"]\nlanguage = "de-AT"\nstamp = { left = 1, top = 2.5, width = 30, height = 10 }\n'


def test_a_folder_is_read_and_what_is_hidden_is_left_out(tmp_path: Path) -> None:
    folder = a_letter_folder(tmp_path / "l", "<p>", ["Alunno"], letter_css="p{}", timbro_svg="<svg/>")
    (folder / ".letter.html.swp").write_text("x")
    assert sorted(read_folder(folder)) == ["letter.css", "letter.html", "letter.toml", "timbro.svg"]


def test_the_manifest_says_columns_language_and_the_place_of_the_stamp() -> None:
    manifest = manifest_of({"letter.toml": MANIFEST})
    assert (manifest.columns, manifest.language) == (["Alunno"], "de-AT")
    assert manifest.stamp == Stamp(left=1, top=2.5, width=30, height=10)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"columns = [", r"letter\.toml.*TOML non valido"),
        (b"\n\nlanguage = x", r"letter\.toml, riga 3: TOML non valido"),
        (b'colums = ["A"]', r"letter\.toml: colums: chiave sconosciuta"),
        (b'language = "italiano"', r"letter\.toml: language: valore non valido"),
        (b"stamp = { left = 400, top = 0, width = 1, height = 1 }", r"stamp\.left: valore non valido"),
        (b'columns = ["a\\nb"]', r"columns\.0: valore non valido"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_wrong_manifest_is_told_by_its_key_or_line(manifest: bytes, told: str) -> None:
    with pytest.raises(LetterWrong, match=told):
        manifest_of({"letter.toml": manifest})


@pytest.mark.parametrize(
    ("name", "told"),
    [("script.js", "script.js: i nomi"), ("Timbro.svg", "Timbro.svg: i nomi"), ("immagine", "immagine: i nomi")],
)
def test_a_file_of_another_kind_is_told(tmp_path: Path, name: str, told: str) -> None:
    folder = a_letter_folder(tmp_path / "l", "<p>")
    (folder / name).write_text("x")
    with pytest.raises(LetterWrong, match=told):
        read_folder(folder)


def test_a_link_a_folder_inside_and_too_much_of_anything_are_refused(tmp_path: Path) -> None:
    linked = a_letter_folder(tmp_path / "a", "<p>")
    (linked / "segreto.svg").symlink_to("/etc/hostname")
    with pytest.raises(LetterWrong, match=r"segreto\.svg non è un file"):
        read_folder(linked)
    (a_letter_folder(tmp_path / "b", "<p>") / "img").mkdir()
    with pytest.raises(LetterWrong, match="img non è un file"):
        read_folder(tmp_path / "b")
    with pytest.raises(LetterWrong, match="supera 4 MB"):
        read_folder(a_letter_folder(tmp_path / "c", "x" * (4 << 20)))
    many = a_letter_folder(tmp_path / "d", "<p>", **{f"a{n}_svg": "" for n in range(39)})
    with pytest.raises(LetterWrong, match="41 file"):
        read_folder(many)


@pytest.mark.parametrize("name", ["letter.toml", "letter.html"])
def test_what_a_folder_must_have_is_told(tmp_path: Path, name: str) -> None:
    (a_letter_folder(tmp_path / "l", "<p>") / name).unlink()
    with pytest.raises(LetterWrong, match=f"manca {name}"):
        read_folder(tmp_path / "l")
    with pytest.raises(LetterWrong, match="non c'è"):
        read_folder(tmp_path / "niente")


def test_the_version_depends_on_the_files_alone(tmp_path: Path) -> None:
    one = a_letter_folder(tmp_path / "a", "<p>", timbro_svg="<svg/>")
    two = a_letter_folder(tmp_path / "b", "<p>", timbro_svg="<svg/>")
    os.utime(two / "letter.html", (0, 0))
    assert pack(read_folder(one)) == pack(read_folder(two))
    (two / "timbro.svg").write_text("<svg />")
    assert pack(read_folder(one)) != pack(read_folder(two))
    assert unpack(pack(read_folder(one))) == read_folder(one)


def test_an_archive_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LetterWrong):
        unpack(b"PK\x03\x04 no archive")
