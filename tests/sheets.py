"""Builders of spreadsheets: valid ones by openpyxl, odd and hostile ones by the XML itself."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from services.ingest.tracciato import CheckedRow, Limits, Reading, read_tracciato
from shared.contracts.base import Channel
from shared.contracts.commands import BatchOptions, RegisterOptions
from shared.creditors import Creditor, Letter, Mailbox, PagoPa, PaymentType

TODAY = date(2026, 11, 24)
GOOD: dict[str, Any] = {
    "Intestazione": "Rossi Maria",
    "CodiceFiscale": "RSSMRA85T50H501S",
    "PartitaIva": None,
    "Importo": 85.05,
    "IndirizzoPec": "maria.rossi@pec.esempio.example",
}
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def a_creditor(letter_columns: Sequence[str] = (), reason: str = "", subject: str = "") -> Creditor:
    """Borgo Esempio with one payment type, and a letter `lettera` that names these columns."""
    box = Mailbox(
        address="a@pec.example", host="127.0.0.1", port=25, security="plain", user="a", password="rehearsal:x"
    )  # fmt: skip
    letter = Letter(title="Lettera", template=Path("lettera.html"), columns=list(letter_columns))
    kind = PaymentType(
        name="Scuolabus", taxonomy="9/0301105TS/", iban="IT60X0542811101000000123456", reason=reason, subject=subject,
        letters={"lettera": letter},
    )  # fmt: skip
    return Creditor(
        name="Comune di Borgo Esempio", tax_code="99999000997", ipa_code="c_x999", aoo_code="AOO1",
        segregation_code="12", pagopa=PagoPa(base_url="http://127.0.0.1:1/gpd", key="rehearsal:x"),
        mailboxes={"pec": box, "email": box}, payment_types={"scuolabus": kind},
    )  # fmt: skip


def some_options(**parts: Any) -> BatchOptions:
    """By address, due in 2027, with a standard reason, nothing registered."""
    return BatchOptions(
        **{
            "channel": Channel.AUTO, "payment_type": "scuolabus", "due_date": date(2027, 1, 23),
            "reason": "Trasporto scolastico 2026/2027", **parts,
        }
    )  # fmt: skip


def registering(subject: str = "Avviso di pagamento") -> RegisterOptions:
    """Options of the protocol screen."""
    return RegisterOptions(subject=subject, classification="7.1", office="scuola")


def a_sheet(path: Path, rows: Iterable[Mapping[str, Any]], headings: Sequence[str] | None = None) -> Path:
    """A workbook with these rows, by heading; headings of `GOOD` and of the first row unless given."""
    listed = list(rows)
    names = list(headings or dict.fromkeys([*GOOD, *(listed[0] if listed else {})]))
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Elenco"
    sheet.append(names)
    for row in listed:
        sheet.append([row.get(name) for name in names])
    book.save(path)
    return path


def xml_sheet(rows: str, tail: str = "", head: str = "") -> str:
    """The XML of a sheet from that of its rows; `head` before the root element."""
    return f'{head}<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{tail}</worksheet>'


def text_cell(at: str, text: str) -> str:
    """An inline string, its text as it is in XML."""
    return f'<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>'


def xml_headings(names: Sequence[str] = tuple(GOOD)) -> str:
    """Row 1 with these headings, in A1, B1, ..."""
    cells = "".join(text_cell(f"{chr(65 + at)}1", name) for at, name in enumerate(names))
    return f'<row r="1">{cells}</row>'


def xml_row(number: int, cells: Mapping[str, str] | None = None, attributes: str = "") -> str:
    """A good row; `cells` gives the XML of some of its cells, by letter."""
    good = {"A": "Rossi Maria", "B": "RSSMRA85T50H501S", "E": "maria.rossi@pec.esempio.example"}
    made = {letter: text_cell(f"{letter}{number}", text) for letter, text in good.items()}
    made["D"] = f'<c r="D{number}"><v>85.05</v></c>'
    made |= cells or {}
    return f'<row r="{number}" {attributes}>{"".join(made[letter] for letter in sorted(made))}</row>'


def a_package(path: Path, sheet: str | bytes, parts: Mapping[str, str | bytes] | None = None) -> Path:
    """An .xlsx around one sheet's XML; `parts` are added or replaced."""
    relations = f'<Relationships xmlns="{PACKAGE}/relationships">'
    whole: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": f'{relations}<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="Elenco" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{relations}<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
        **(parts or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in whole.items():
            archive.writestr(name, content)
    return path


def read(path: Path, *, letter_columns: Sequence[str] = (), limits: Limits = Limits(), **options: Any) -> Reading:
    """Read as on `TODAY`."""
    return read_tracciato(path, some_options(**options), a_creditor(letter_columns), limits=limits, today=TODAY)


def check(path: Path, **given: Any) -> list[CheckedRow]:
    """All rows."""
    with read(path, **given) as reading:
        return list(reading)


def check_one(path: Path, cells: Mapping[str, Any], **given: Any) -> CheckedRow:
    """A sheet of one good row with these cells changed, read."""
    return check(a_sheet(path / "one.xlsx", [{**GOOD, **cells}]), **given)[0]


def codes(row: CheckedRow) -> list[tuple[str, str]]:
    """(column, code) of a row's problems."""
    return [(problem.column, problem.code) for problem in row.problems]


def warned(row: CheckedRow) -> list[str]:
    """Codes of its warnings."""
    return [warning.code for warning in row.warnings]
