"""Which sheet is read, which of its rows, and what is wrong with a file as a whole."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from services.ingest.tracciato import Limits, StructureError, write_template
from services.ingest.tracciato.headings import STANDARD, key
from tests.sheets import (
    GOOD,
    a_package,
    a_sheet,
    check,
    codes,
    read,
    registering,
    text_cell,
    xml_headings,
    xml_row,
    xml_sheet,
)


@settings(deadline=None)
@given(st.sampled_from(STANDARD), st.data())
def test_headings_match_without_case_blanks_hyphens_underscores_accents(name: str, data: st.DataObject) -> None:
    between = st.sampled_from(["", "", " ", "-", "_", "\u00a0", "\u200b", "\u2013", "\n"])
    shape = st.sampled_from([str.upper, str.lower, str.title])
    odd = "".join(data.draw(between) + data.draw(shape)(char) for char in name)
    accents = odd.replace("a", "à").replace("E", "É")
    assert key(odd) == key(accents) == key(name)


def test_odd_headings_in_any_order_are_read_and_told_as_the_user_wrote_them(tmp_path: Path) -> None:
    rows = [
        {
            "indirizzo pec": "",
            "IMPORTO": "0",
            "Codice-Fiscale": GOOD["CodiceFiscale"],
            "Note": "x",
            "intestazione ": "Rossi",
        }
    ]
    with read(a_sheet(tmp_path / "a.xlsx", rows, list(rows[0]))) as reading:
        (row,) = reading
    assert codes(row) == [("IMPORTO", "zero-amount")]
    assert row.warnings[0].column == "indirizzo pec"
    assert reading.ignored_columns == ["Note"]


@pytest.mark.parametrize(
    ("headings", "code", "word"),
    [
        (["Intestazione", "CodiceFiscale", "Importo"], "column-missing", "IndirizzoPec"),
        (["Intestazione", "CodiceFiscale", "IndirizzoPec"], "column-missing", "Importo"),
        (["Intestazione", "Importo", "IndirizzoPec"], "column-missing", "CodiceFiscale (oppure PartitaIva)"),
        (["CodiceFiscale", "Importo", "IndirizzoPec"], "column-missing", "Intestazione"),
        ([*GOOD, "importo"], "column-doubled", "Importo"),
        (["Nome", "Totale"], "no-sheet", "Intestazione"),
        (list(GOOD), "no-rows", "Elenco"),
    ],
)
def test_a_column_missing_or_doubled_is_named(tmp_path: Path, headings: list[str], code: str, word: str) -> None:
    with pytest.raises(StructureError) as caught:
        read(a_sheet(tmp_path / "a.xlsx", [], headings))
    assert caught.value.code == str(caught.value) == code
    assert word in caught.value.message_it


def test_the_columns_of_reason_subject_and_letter_are_needed_only_where_nothing_else_gives_them(tmp_path: Path) -> None:
    path = a_sheet(tmp_path / "a.xlsx", [GOOD])
    for options, column in (
        ({"reason": " "}, "CausaleBollettino"),
        ({"register_options": registering(subject="")}, "OggettoProt"),
        ({"letter": "lettera", "letter_columns": ["Alunno"]}, "Alunno"),
    ):
        with pytest.raises(StructureError, match="column-missing") as caught:
            read(path, **options)
        assert column in caught.value.message_it


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"due_date": date(2026, 11, 23)}, "due-date-past"),
        ({"payment_type": "altro"}, "unknown-payment-type"),
        ({"letter": "altra"}, "unknown-letter"),
    ],
)
def test_options_that_fit_no_row_are_refused_at_once(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    with pytest.raises(StructureError, match=code):
        read(a_sheet(tmp_path / "a.xlsx", [GOOD]), **options)
    read(a_sheet(tmp_path / "a.xlsx", [GOOD]), due_date=date(2026, 11, 24))


def test_the_first_visible_sheet_with_the_headings_is_read(tmp_path: Path) -> None:
    book = Workbook()
    book.worksheets[0].append(["Istruzioni"])
    hidden = book.create_sheet("Vecchio")
    hidden.append(list(GOOD))
    hidden.append([*GOOD.values()])
    hidden.sheet_state = "hidden"
    for title in ("Elenco", "Altro"):
        sheet = book.create_sheet(title)
        sheet.append(["Scuolabus, elenco del mese"])
        sheet.append([])
        sheet.append(list(GOOD))
        sheet.append([*GOOD.values()])
    book.save(tmp_path / "a.xlsx")
    with read(tmp_path / "a.xlsx") as reading:
        assert (reading.sheet_name, reading.hidden_sheets, [row.row for row in reading]) == ("Elenco", 1, [4])


def test_hidden_and_blank_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    rows = "".join(
        (
            xml_row(2), xml_row(3, attributes='hidden="1"'), '<row r="4"/>', xml_row(5, attributes='ht="0" customHeight="1"'),
            f'<row r="6">{text_cell("A6", " &#160;")}</row>', xml_row(9), '<row r="10" hidden="1"/>', '<row r="11"/>',
        )
    )  # fmt: skip
    with read(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + rows))) as reading:
        assert [row.row for row in reading] == [2, 9]
    assert (reading.rows, reading.hidden_rows, reading.blank_rows) == (2, 2, 4)
    assert (reading.accepted, reading.rejected, reading.total_cents) == (2, 0, 17010)


def test_rows_without_numbers_are_counted_as_excel_does(tmp_path: Path) -> None:
    sheet = xml_sheet(xml_headings().replace('r="1"', "") + xml_row(2).replace(' r="2"', "").replace('r="A2"', ""))
    assert [row.row for row in check(a_package(tmp_path / "a.xlsx", sheet))] == [2]


def test_a_value_that_merged_cells_only_seem_to_give_is_a_problem(tmp_path: Path) -> None:
    merged = '<mergeCells><mergeCell ref="E2:E3"/><mergeCell ref="A5:B5"/></mergeCells>'
    rows = xml_row(2) + xml_row(3, {"E": '<c r="E3"/>'}) + xml_row(4) + xml_row(5, {"B": '<c r="B5"/>'})
    found = check(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + rows, merged)))
    assert [codes(row) for row in found] == [
        [], [("IndirizzoPec", "merged-cell")], [], [("CodiceFiscale", "merged-cell")],
    ]  # fmt: skip


def test_a_formula_s_saved_value_is_read_and_an_empty_one_is_empty(tmp_path: Path) -> None:
    rows = xml_row(2, {
        "A": '<c r="A2" t="str"><f>B9</f><v>Bianchi Luca</v></c>',
        "C": '<c r="C2" t="str"><f>IF(1,"","")</f><v></v></c>',
        "E": '<c r="E2"><f>B9</f></c>',
    })  # fmt: skip
    (row,) = check(a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + rows)))
    assert codes(row) == [("IndirizzoPec", "formula-without-value")]
    assert row.cells["Intestazione"] == "Bianchi Luca"


def test_a_number_shown_with_leading_zeros_is_read_as_shown(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.append([*GOOD, "Cap"])
    sheet.append([*GOOD.values(), 184])
    sheet["F2"].number_format = "00000"
    book.save(tmp_path / "a.xlsx")
    (row,) = check(tmp_path / "a.xlsx")
    assert row.draft
    assert row.draft.debtor.address.postal_code == "00184"


def test_shared_strings_are_read_without_their_phonetic_readings(tmp_path: Path) -> None:
    strings = (
        '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>altro</t></si>'
        "<si><r><t>Rossi</t></r><r><t xml:space='preserve'> Maria_x000D_</t></r><rPh><t>no</t></rPh></si></sst>"
    )
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="x/worksheet" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="r2" Type="x/sharedStrings" Target="/xl/sharedStrings.xml"/></Relationships>'
    )
    sheet = xml_sheet(xml_headings() + xml_row(2, {"A": '<c r="A2" t="s"><v>1</v></c>'}))
    (row,) = check(
        a_package(tmp_path / "a.xlsx", sheet, {"xl/sharedStrings.xml": strings, "xl/_rels/workbook.xml.rels": rels})
    )
    assert row.draft
    assert row.draft.debtor.name == "Rossi Maria"


def test_the_empty_format_reads_back_as_no_rows_and_explains_every_column(tmp_path: Path) -> None:
    write_template(tmp_path / "t.xlsx", ["Alunno"])
    with pytest.raises(StructureError, match="no-rows"):
        read(tmp_path / "t.xlsx", letter="lettera", letter_columns=["Alunno"])
    book = load_workbook(tmp_path / "t.xlsx")
    sheet, explained = book.worksheets
    assert [cell.value for cell in sheet[1]] == [*STANDARD, "Alunno"]
    assert sheet.freeze_panes == "A2"
    assert {sheet.cell(row, 2).number_format for row in (2, 500, 1001)} == {"@"}
    assert sheet.column_dimensions["B"].number_format == "@"
    assert [row[0].value for row in explained.iter_rows(min_row=2, max_row=len(STANDARD) + 2)] == [*STANDARD, "Alunno"]
    book.close()


def test_too_many_rows_and_columns_are_refused(tmp_path: Path) -> None:
    path = a_sheet(tmp_path / "a.xlsx", [GOOD] * 3)
    with pytest.raises(StructureError, match="too-many-rows") as caught:
        read(path, limits=Limits(rows=2))
    assert "2 righe" in caught.value.message_it
    with pytest.raises(StructureError, match="too-many-columns"):
        read(path, limits=Limits(columns=4))
    with pytest.raises(StructureError, match="too-slow"):
        read(path, limits=Limits(seconds=-1))
