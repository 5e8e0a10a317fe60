"""Files made to do harm, or broken: each is refused by name or harmless, in little time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from services.ingest.tracciato import Limits, StructureError
from tests.sheets import GOOD, MAIN, a_package, a_sheet, check, codes, read, text_cell, xml_headings, xml_row, xml_sheet

DTD = '<!DOCTYPE worksheet [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = "<!DOCTYPE w [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
GOOD_SHEET = xml_sheet(xml_headings() + xml_row(2))


def _content(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def _broken_zip(path: Path) -> Path:
    content = a_package(path, GOOD_SHEET).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def _flipped_bytes(path: Path) -> Path:
    content = bytearray(a_package(path, GOOD_SHEET).read_bytes())
    at = content.index(b"xl/worksheets/sheet1.xml") + 40
    content[at : at + 8] = b"\xff" * 8
    path.write_bytes(bytes(content))
    return path


def _package(sheet: str | bytes = GOOD_SHEET, **parts: str | bytes) -> Callable[[Path], Path]:
    return lambda path: a_package(path, sheet, parts)


def _bomb(path: Path) -> Path:
    """300 MB of blanks inside a part of 300 kB."""
    a_package(path, GOOD_SHEET)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/bomb.xml", "w") as part:
        for _ in range(300):
            part.write(b" " * 1_000_000)
    return path


def _lying_bomb(path: Path) -> Path:
    """A part that inflates to 50 MB and claims to be 100 bytes."""
    name = "xl/worksheets/sheet1.xml"
    a_package(path, b"<worksheet>" + b" " * 50_000_000)
    size, content = 50_000_011, bytearray(path.read_bytes())
    content = bytearray(bytes(content).replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    assert name.encode() in content
    path.write_bytes(bytes(content))
    return path


def _twice(path: Path) -> Path:
    a_package(path, GOOD_SHEET)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", GOOD_SHEET)
    return path


def _many_members(path: Path) -> Path:
    return a_package(path, GOOD_SHEET, {f"xl/media/{at}": b"" for at in range(3_000)})


def _rows_twice(path: Path) -> Path:
    return a_package(path, xml_sheet(xml_headings() + xml_row(3) + xml_row(3)))


def _ods(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    return path


def _zip(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def _two_cells(path: Path) -> Path:
    book = Workbook()
    book.worksheets[0]["A1"], book.worksheets[0]["XFD1048576"] = "Intestazione", "x"
    book.save(path)
    return path


def _other_zip(path: Path) -> Path:
    return _zip(path, {"a.txt": b"x"})


OLE = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600)

REFUSED: list[tuple[str, Callable[[Path], Path], str]] = [
    ("an empty file", _content(b""), "not-an-xlsx"),
    ("a text file", _content(b"Intestazione;Importo\nRossi;12\n"), "not-an-xlsx"),
    ("an html page named .xlsx", _content(b"<html><table></table></html>"), "not-an-xlsx"),
    ("a zip that is no workbook", _other_zip, "not-an-xlsx"),
    ("an old .xls", _content(OLE), "old-xls"),
    ("an encrypted workbook", _content(OLE + "EncryptedPackage".encode("utf-16-le")), "encrypted"),
    ("an .ods", _ods, "opendocument"),
    ("an .xlsb", _package(**{"xl/workbook.bin": b"x"}), "binary-workbook"),
    ("half a zip", _broken_zip, "damaged"),
    ("flipped bytes", _flipped_bytes, "damaged"),
    ("a part twice", _twice, "damaged"),
    ("a row number twice", _rows_twice, "damaged"),
    ("XML that breaks off", _package(GOOD_SHEET[:-30]), "damaged"),
    ("a string that is not there", _package(xml_sheet(xml_headings() + xml_row(2, {"A": '<c r="A2" t="s"><v>9</v></c>'}))), "damaged"),
    ("no number in a number", _package(xml_sheet(xml_headings() + xml_row(2, {"D": '<c r="D2"><v>1_0</v></c>'}))), "damaged"),
    ("an external entity (XXE)", _package(GOOD_SHEET.replace("<worksheet", DTD + "<worksheet")), "forbidden-xml"),
    ("a billion laughs", _package(GOOD_SHEET.replace("<worksheet", LAUGHS + "<worksheet")), "forbidden-xml"),
    ("XXE in UTF-16", _package((DTD + GOOD_SHEET).encode("utf-16")), "forbidden-xml"),
    ("XXE in a part that nobody asked for", _package(**{"docProps/core.xml": DTD + "<worksheet/>"}), "forbidden-xml"),
    ("an endless prolog", _package(b" " * 3_000_000 + b"<worksheet/>"), "forbidden-xml"),
    ("a zip bomb", _bomb, "inflates-too-much"),
    ("a zip bomb that lies about its size", _lying_bomb, "damaged"),
    ("3,000 parts", _many_members, "inflates-too-much"),
    ("a workbook part of 5 MB", _package(**{"xl/workbook.xml": f'<workbook xmlns="{MAIN}">{" " * 5_000_000}</workbook>'}), "inflates-too-much"),
    ("40 MB", lambda path: _zip(path, {"x": os.urandom(40_000_000)}), "too-large"),
    ("a cell of 40,000 characters", _package(xml_sheet(xml_headings() + xml_row(2, {"A": text_cell("A2", "x" * 40_000)}))), "inflates-too-much"),
    ("an attribute of 20 MB", _package(GOOD_SHEET.replace("<sheetData>", f"<sheetData x='{'x' * 20_000_000}'>")), "inflates-too-much"),
    ("two cells, A1 and XFD1048576", _two_cells, "no-sheet"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "code"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_a_hostile_or_broken_file_is_refused_by_name(
    tmp_path: Path, name: str, make: Callable[[Path], Path], code: str
) -> None:
    path = make(tmp_path / "bad.xlsx")
    started = time.process_time()
    with pytest.raises(StructureError) as caught:
        read(path)
    assert caught.value.code == code
    assert "{" not in caught.value.message_it
    assert time.process_time() - started < 5


def test_a_far_cell_beside_good_rows_is_harmless(tmp_path: Path) -> None:
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with read(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + xml_row(2) + far))) as reading:
        assert [row.row for row in reading if row.accepted] == [2]
    assert (reading.rows, reading.blank_rows) == (1, 0)


def test_a_good_row_at_the_very_end_is_read(tmp_path: Path) -> None:
    sheet = xml_sheet(xml_headings() + xml_row(1_048_576))
    assert [row.row for row in check(a_package(tmp_path / "a.xlsx", sheet)) if row.accepted] == [1_048_576]


def test_200_columns_are_read_and_those_that_nobody_asked_for_are_named(tmp_path: Path) -> None:
    extra = {f"Colonna {at}": at for at in range(195)}
    with read(a_sheet(tmp_path / "a.xlsx", [{**GOOD, **extra}])) as reading:
        assert [row.accepted for row in reading] == [True]
    assert reading.ignored_columns == list(extra)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rossi_x0007_", [("Intestazione", "control-character")]),
        ("Rossi_x0000_", [("Intestazione", "control-character")]),
        ("Rossi&#x85;Maria", []),
        ("Rossi\u200b Ma\u00adria\ufeff", []),
        ("Rossi 🚌", [("Intestazione", "unprintable-character")]),
        ("Rossi_xD83D_", []),
        ("Mario 孔", [("Intestazione", "unprintable-character")]),
        ("=cmd|' /C calc'!A0", []),
        ("=HYPERLINK(\"http://x.example\")", []),
        ("{{ 7*7 }} &lt;script&gt;", []),
    ],
)  # fmt: skip
def test_odd_characters_are_told_or_harmless_text(tmp_path: Path, text: str, expected: list[tuple[str, str]]) -> None:
    (row,) = check(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + xml_row(2, {"A": text_cell("A2", text)}))))
    assert codes(row) == expected


def test_a_zero_byte_never_comes_in(tmp_path: Path) -> None:
    """Not in what is told of the row either: no database of ours holds it."""
    cells = {"A": text_cell("A2", "Rossi_x0000_"), "B": text_cell("B2", "_x0000__x0000_")}
    (row,) = check(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + xml_row(2, cells))))
    assert "\0" not in "".join(row.cells.values())
    assert row.cells["Intestazione"] == "Rossi\ufffe"


def test_one_long_string_in_every_cell_does_not_run_away(tmp_path: Path) -> None:
    strings = f'<sst xmlns="{MAIN}"><si><t>{"x" * 30_000}</t></si></sst>'
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="r2" Type="x/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    )
    rows = "".join(xml_row(at, {"A": f'<c r="A{at}" t="s"><v>0</v></c>'}) for at in range(2, 200))
    path = a_package(
        tmp_path / "a.xlsx",
        xml_sheet(xml_headings() + rows),
        {"xl/sharedStrings.xml": strings, "xl/_rels/workbook.xml.rels": rels},
    )
    with pytest.raises(StructureError, match="inflates-too-much"):
        read(path, limits=Limits(text_characters=1_000_000))
    with read(path) as reading:
        row = next(iter(reading))
        assert codes(row) == [("Intestazione", "too-long")]
        assert len(row.cells["Intestazione"]) == 1_000


def test_a_mass_of_empty_elements_takes_no_memory(tmp_path: Path) -> None:
    """In a process of its own: peak memory is a process's."""
    empty = "".join(f'<row r="{at}"/>' for at in range(2, 250_000))
    a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + empty + xml_row(1_048_576)))
    code = (
        "import resource, sys; from pathlib import Path; from tests.sheets import check\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert len(check(Path(sys.argv[1]))) == 1\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.xlsx")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 30_000  # kilobytes


def test_crc_errors_at_the_very_end_are_found_before_a_row_is_given(tmp_path: Path) -> None:
    path = a_package(tmp_path / "a.xlsx", GOOD_SHEET)
    crc = zlib.crc32(GOOD_SHEET.encode()).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(crc, b"\0\0\0\0"))
    with pytest.raises(StructureError, match="damaged"):
        read(path)
