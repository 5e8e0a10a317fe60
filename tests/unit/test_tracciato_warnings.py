"""What does not stop a row but deserves a look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from deploy.examples.make_scuolabus import demo_rows, make_rows, tax_code, write
from services.ingest.tracciato import Outcome, TechnicalRow, write_esito
from services.ingest.tracciato.esito import RESULTS
from services.ingest.tracciato.problems import COUNTS, PROBLEMS, STRUCTURE, WARNINGS, codes_page
from shared.contracts.base import Channel
from tests.sheets import (
    GOOD,
    a_package,
    a_sheet,
    check,
    check_one,
    read,
    registering,
    text_cell,
    warned,
    xml_headings,
    xml_row,
    xml_sheet,
)


def somebody(serial: int, **cells: Any) -> dict[str, Any]:
    code = tax_code("Rossi", "Maria", serial)
    return {**GOOD, "CodiceFiscale": code, "IndirizzoPec": f"r{serial * serial}@pec.esempio.example", **cells}


def test_identical_rows_are_kept_and_the_later_one_points_to_the_first(tmp_path: Path) -> None:
    rows = [GOOD, somebody(1), {**GOOD, "Importo": "85,05"}, {**GOOD, "Importo": 85.06}]
    found = check(a_sheet(tmp_path / "a.xlsx", rows))
    assert [warned(row) for row in found] == [[], [], ["identical-row"], []]
    assert "alla riga 2" in found[2].warnings[0].message
    assert all(row.accepted for row in found)


def test_one_address_for_different_debtors_is_told_at_each_of_them(tmp_path: Path) -> None:
    rows = [GOOD, somebody(1, IndirizzoPec="MAILTO:Maria.Rossi@pec.esempio.example"), somebody(5)]
    assert [warned(row) for row in check(a_sheet(tmp_path / "a.xlsx", rows))] == [
        ["shared-address"],
        ["shared-address"],
        [],
    ]


def test_a_drag_filled_column_of_addresses_is_seen(tmp_path: Path) -> None:
    names = ["a9", "a20", "info1", "info2", "info3", "info4", "b7", "b8", "c"]
    rows = [somebody(at, IndirizzoPec=f"{name}@pec.esempio.example") for at, name in enumerate(names)]
    found = check(a_sheet(tmp_path / "a.xlsx", rows))
    assert ["sequential-address" in warned(row) for row in found] == [False] * 2 + [True] * 4 + [False] * 3


@pytest.mark.parametrize(
    ("cells", "channel", "code"),
    [
        ({"IndirizzoPec": "a@gmial.com"}, Channel.AUTO, "misspelt-domain"),
        ({"IndirizzoPec": "a@gmail.com"}, Channel.PEC, "pec-to-ordinary"),
        ({"IndirizzoPec": "a@legalmail.it"}, Channel.EMAIL, "email-to-pec"),
        ({"CausaleBollettino": "Scuolabus di Maria ROSSI"}, Channel.AUTO, "personal-data"),
        ({"CausaleBollettino": "Scuolabus rssmra85t50h501s"}, Channel.AUTO, "personal-data"),
        ({"OggettoProt": "Avviso a BNCLCU60A02Z94UL"}, Channel.AUTO, "personal-data"),
    ],
)
def test_a_suspicious_row_goes_on_with_a_warning(
    tmp_path: Path, cells: dict[str, str], channel: Channel, code: str
) -> None:
    row = check_one(tmp_path, cells, channel=channel, register_options=registering())
    assert row.accepted
    assert warned(row) == [code]


def test_a_near_miss_domain_proposes_the_address(tmp_path: Path) -> None:
    assert check_one(tmp_path, {"IndirizzoPec": "m.r@gmial.com"}).warnings[0].proposal == "m.r@gmail.com"


def test_warnings_are_counted_by_cause(tmp_path: Path) -> None:
    rows = [GOOD, GOOD, GOOD, somebody(2, IndirizzoPec=""), somebody(3, Importo="0", IndirizzoPec="a@gmial.com")]
    with read(a_sheet(tmp_path / "a.xlsx", rows)) as reading:
        first = list(reading)
        counted = [(item.code, item.count) for item in reading.warnings]
        assert list(reading) == first
        assert [(item.code, item.count) for item in reading.warnings] == counted
    assert counted == [("identical-row", 2), ("misspelt-domain", 1), ("no-address", 1)]
    assert (reading.accepted, reading.rejected) == (4, 1)


def test_the_demo_s_rows_are_all_good_and_show_two_children_of_one_parent(tmp_path: Path) -> None:
    write(demo_rows(), tmp_path / "demo.xlsx")
    columns = ["Alunno", "Plesso", "Tratta"]
    found = check(tmp_path / "demo.xlsx", letter="lettera", letter_columns=columns, register_options=registering())
    assert [row.accepted for row in found] == [True] * 25
    assert [warned(row) for row in found if row.warnings] == [["identical-row"]]
    assert {row.draft.debtor.kind for row in found if row.draft} == {"F", "G"}
    assert {row.draft.delivery.channel for row in found if row.draft} == {Channel.PEC, Channel.EMAIL}


def test_generated_rows_are_good_and_each_has_its_own_debtor(tmp_path: Path) -> None:
    write(make_rows(500), tmp_path / "many.xlsx")
    found = check(tmp_path / "many.xlsx")
    assert not [row for row in found if row.problems or row.warnings]
    assert len({row.draft.debtor.fiscal_code for row in found if row.draft}) == 500


def test_the_operators_page_lists_every_code_with_its_sentence() -> None:
    page = (Path(__file__).parents[2] / "docs/guida/5-messaggi.md").read_text("utf-8")
    assert page == codes_page()
    assert all(f"`{code}`" in page for code in [*STRUCTURE, *PROBLEMS, *WARNINGS])


def test_every_code_has_a_sentence_that_ends_and_none_is_used_twice() -> None:
    every = [*STRUCTURE, *PROBLEMS, *WARNINGS]
    assert len(every) == len(set(every))
    assert set(WARNINGS) == set(COUNTS)
    for code, sentence in [*STRUCTURE.items(), *PROBLEMS.items(), *WARNINGS.items(), *COUNTS.items()]:
        assert sentence.endswith("."), code
        assert code == code.lower()


SENT = Outcome(
    "Inviato", "", "312000000000004260", "12000000000004260", "0000012", "24/11/2026", "avvisi/2.pdf", "=lettere/2.pdf"
)


def test_outcomes_stand_beside_the_user_s_own_rows_as_text(tmp_path: Path) -> None:
    cmd = text_cell("A3", "=cmd|' /C calc'!A0")
    rows = (
        xml_row(2)
        + xml_row(3, {"A": cmd})
        + xml_row(5, attributes='hidden="1"')
        + xml_row(7, {"A": text_cell("A7", "x_x0007_")})
    )
    source = a_package(tmp_path / "a.xlsx", xml_sheet(xml_headings() + rows))
    refused = Outcome("Da correggere", "Manca l'importo")
    write_esito(source, tmp_path / "e.xlsx", {2: SENT, 3: refused, 7: refused}, [TechnicalRow(2, "id-2", "<a@b>", "x")])
    book = load_workbook(tmp_path / "e.xlsx")
    sheet, technical = book.worksheets
    assert [cell.value for cell in sheet[1]] == [*GOOD, *RESULTS]
    assert [cell.value for cell in sheet[2]][-8:] == [
        "Inviato", None, "312000000000004260", "12000000000004260", "0000012", "24/11/2026", "avvisi/2.pdf", "=lettere/2.pdf",
    ]  # fmt: skip
    assert sheet["A3"].value == "=cmd|' /C calc'!A0"
    assert (sheet["F3"].value, sheet["F5"].value) == ("Da correggere", "Non considerata: riga nascosta")
    assert (sheet["A4"].value, sheet.row_dimensions[5].hidden) == (None, True)
    assert [[cell.value for cell in row] for row in technical] == [
        ["Riga", "Id record", "Message-ID", "Codici"], ["2", "id-2", "<a@b>", "x"],
    ]  # fmt: skip
    written = [cell for row in sheet for cell in row if cell.value is not None]
    assert {cell.data_type for cell in written} == {"s"}
    assert {cell.number_format for cell in written} == {"@"}
    book.close()


def test_an_outcome_file_can_be_sent_again_and_its_old_outcomes_give_way(tmp_path: Path) -> None:
    source = a_sheet(tmp_path / "a.xlsx", [GOOD])
    write_esito(source, tmp_path / "e.xlsx", {2: Outcome("Da correggere")}, [])
    write_esito(tmp_path / "e.xlsx", tmp_path / "f.xlsx", {2: SENT}, [])
    (row,) = check(tmp_path / "e.xlsx")
    assert row.accepted
    book = load_workbook(tmp_path / "f.xlsx")
    sheet = book.worksheets[0]
    assert [cell.value for cell in sheet[1]] == [*GOOD, *RESULTS]
    assert sheet["F2"].value == "Inviato"
    book.close()
