"""The demo's spreadsheet: invented debtors of the invented Comune di Borgo Esempio, in the format of the tracciato.

`python deploy/examples/make_scuolabus.py` writes the 25 rows of `scuolabus.xlsx`; `--rows 1000 --out FILE` writes as many
as asked, each with a debtor of its own, for measurements. The same arguments give the same rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Final

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from stdnum.it import codicefiscale
from stdnum.luhn import calc_check_digit

HERE: Final = Path(__file__).parent
HEADINGS: Final = (
    "Intestazione", "CodiceFiscale", "PartitaIva", "Importo", "OggettoProt", "CausaleBollettino", "IndirizzoPec", "Indirizzo",
    "Civico", "Cap", "Comune", "Provincia", "Alunno", "Plesso", "Tratta",
)  # fmt: skip
TEXT_COLUMNS: Final = ("CodiceFiscale", "PartitaIva", "Cap", "Civico")
Row = dict[str, str | float | int]

# Surname and name; the last part of the tax code's rule is applied to them below.
PEOPLE: Final = (
    ("Rossi", "Maria"), ("D'Angelo", "Niccolò"), ("Ferrari", "Giulia"), ("Dell'Acqua", "José"), ("Bianchi", "Luca"),
    ("Müller", "Anna"), ("Lo Presti", "Salvatore"), ("Però", "Chloé"), ("Esposito", "Carmela"), ("De Luca", "Matteo"),
    ("Colombo", "Sofia"), ("Ricci", "Andrea"), ("Marino", "Aurora"), ("Greco", "Leonardo"), ("Bruno", "Ginevra"),
    ("Gallo", "Tommaso"), ("Conti", "Beatrice"), ("Zanon", "Nicolò"), ("Fontana", "Alice"), ("Dé Rossi", "Irène"),
    ("Šarić", "Marko"), ("Costa", "Noemi"),
)  # fmt: skip
PUPILS: Final = ("Emma", "Zoë", "Pietro", "Nicolò", "Ada", "Elia", "Nina", "Ettore")
SCHOOLS: Final = (
    "Primaria Gianni Rodari",
    "Primaria Maria Montessori",
    "Secondaria Leonardo da Vinci",
    "Infanzia L'Aquilone",
)
LINES: Final = ("Linea 1 - Centro", "Linea 2 - Frazione Sant'Anna", "Linea 3 - Località Ca' Bianca")
STREETS: Final = ("Via Roma", "Via XXV Aprile", "Piazza dell'Unità", "Vicolo Sant'Ambrogio", "Largo Ca' d'Oro")
AMOUNTS: Final = (85.05, 120, 240.5, 310, 199.99, 60.3, 1250)
OMOCODIA: Final = dict(zip("0123456789", "LMNPQRSTUV", strict=True))
MONTHS: Final = "ABCDEHLMPRST"


def _letters(text: str, *, name: bool) -> str:
    """The three letters of a tax code for a surname or a first name."""
    plain = {"Š": "S", "Ć": "C", "Ü": "U", "É": "E", "È": "E", "Ò": "O", "Ë": "E"}
    bare = "".join(plain.get(char, char) for char in text.upper())
    consonants = "".join(char for char in bare if char.isalpha() and char not in "AEIOU")
    if name and len(consonants) > 3:
        consonants = consonants[0] + consonants[2:4]
    return (consonants + "".join(char for char in bare if char in "AEIOU") + "XX")[:3]


def tax_code(surname: str, name: str, serial: int, *, omocodia: bool = False) -> str:
    """A well-formed invented code: the serial number spells birth date and place (Z9xx: no country has such a code)."""
    serial, place = divmod(serial, 100)
    serial, day = divmod(serial, 28)
    serial, month = divmod(serial, 12)
    year = 60 + serial % 40
    body = f"{_letters(surname, name=False)}{_letters(name, name=True)}{year:02}{MONTHS[month]}{day + 1:02}Z9{place:02}"
    if omocodia:
        body = body[:14] + OMOCODIA[body[14]]
    return body + str(codicefiscale.calc_check_digit(body))


def firm_code(serial: int, office: str = "888") -> str:
    """11 digits with their check digit; no register gives the office 888."""
    body = f"{serial:07}{office}"
    return body + str(calc_check_digit(body))


def _mail(surname: str, name: str, serial: int) -> str:
    plain = str.maketrans("òéèüšćë", "oeeusce", "' ")
    user = f"{name}.{surname}".lower().translate(plain)
    return f"{user}.{serial * 7919 % 99_991}@{'pec.esempio.example' if serial % 2 else 'posta.example'}"


def _person(serial: int) -> Row:
    surname, name = PEOPLE[serial % len(PEOPLE)]
    return {
        "Intestazione": f"{surname} {name}",
        "CodiceFiscale": tax_code(surname, name, serial * 37, omocodia=serial == 4),
        "Importo": AMOUNTS[serial % len(AMOUNTS)],
        "IndirizzoPec": _mail(surname, name, serial),
        "Indirizzo": STREETS[serial % len(STREETS)],
        "Civico": f"{serial % 90 + 1}{'/A' if serial % 7 == 0 else ''}",
        "Cap": "00999",
        "Comune": "Borgo Esempio",
        "Provincia": "EX",
        "Alunno": f"{PUPILS[serial % len(PUPILS)]} {surname}",
        "Plesso": SCHOOLS[serial % len(SCHOOLS)],
        "Tratta": LINES[serial % len(LINES)],
    }


def make_rows(count: int) -> Iterator[Row]:
    """`count` valid rows, each with another debtor and another address."""
    return map(_person, range(count))


def demo_rows() -> Iterator[Row]:
    """The 25 of the demo: 22 people, a second child of the first, a firm and an association."""
    people = list(make_rows(len(PEOPLE)))
    sibling = {
        **people[0],
        "Alunno": "Bruno Rossi",
        "Plesso": SCHOOLS[1],
    }
    firm: Row = {
        "Intestazione": "Autonoleggi L'Esempio S.r.l.", "PartitaIva": firm_code(1_234_567), "Importo": 1890.75,
        "IndirizzoPec": "amministrazione@pec.autonoleggi.example", "Indirizzo": "Via dell'Industria", "Civico": "12",
        "Cap": "00999", "Comune": "Borgo Esempio", "Provincia": "EX", "Alunno": "Figli dei dipendenti",
        "Plesso": SCHOOLS[2], "Tratta": LINES[1],
    }  # fmt: skip
    club: Row = {
        "Intestazione": "Associazione Sportiva Borgo Esempio", "CodiceFiscale": firm_code(9_000_017), "Importo": 450,
        "CausaleBollettino": "Trasporto per le attività sportive 2026/2027",
        "OggettoProt": "Trasporto per le attività sportive: avviso di pagamento",
        "IndirizzoPec": "segreteria@sportiva-borgo.example", "Alunno": "Squadra giovanile", "Plesso": SCHOOLS[0],
        "Tratta": LINES[2],
    }  # fmt: skip
    return chain(people[:3], [sibling], people[3:], [firm, club])


def write(rows: Iterator[Row], path: Path) -> None:
    """A workbook with these rows, headings first."""
    book = Workbook(write_only=True)
    book.properties.creator, book.properties.title = "Comune di Borgo Esempio", "Scuolabus"
    book.properties.created = book.properties.modified = datetime(2026, 9, 1, tzinfo=UTC).replace(tzinfo=None)
    sheet = book.create_sheet("Tracciato")
    sheet.freeze_panes = "A2"
    for at, heading in enumerate(HEADINGS):
        sheet.column_dimensions[chr(ord("A") + at)].width = max(14, len(heading) + 2)
    heads = [WriteOnlyCell(sheet, heading) for heading in HEADINGS]
    for head in heads:
        head.font = Font(bold=True)
    sheet.append(heads)
    for row in rows:
        cells = []
        for heading in HEADINGS:
            cell = WriteOnlyCell(sheet, row.get(heading))
            if heading in TEXT_COLUMNS:
                cell.number_format = "@"
            elif heading == "Importo":
                cell.number_format = "#,##0.00"
            cells.append(cell)
        sheet.append(cells)
    book.save(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=0, help="how many rows, each with its own debtor (default: the demo's 25)"
    )
    parser.add_argument("--out", type=Path, default=HERE / "scuolabus.xlsx")
    given = parser.parse_args()
    write(make_rows(given.rows) if given.rows else demo_rows(), given.out)


if __name__ == "__main__":
    main()
