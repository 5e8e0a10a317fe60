"""`TracciatoInvioMassivo`: the empty format that a clerk downloads and fills (S4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from services.ingest.tracciato.headings import AMOUNT, CHANNEL

TEXT: Final = "@"
MONEY: Final = "#,##0.00"
PREPARED_ROWS: Final = 1_000
"""Rows whose cells are formatted one by one; the column's own format serves the rest, where the program honours it."""


class Column(NamedTuple):
    """What the second sheet says of a column."""

    name: str
    needed: str
    example: str
    rule: str
    width: int


COLUMNS: Final = (
    Column("Intestazione", "Sì", "Rossi Maria", "Cognome e nome, oppure ragione sociale. Al massimo 70 caratteri.", 34),
    Column(
        "CodiceFiscale",
        "Questa o PartitaIva",
        "RSSMRA85T50H501S",
        "16 caratteri per le persone, 11 cifre per enti e società. Se ci sono entrambe le colonne, è questa che identifica il debitore.",
        20,
    ),
    Column("PartitaIva", "Questa o CodiceFiscale", "12345678887", "11 cifre, con gli zeri iniziali.", 16),
    Column(
        "Importo",
        "Sì",
        "1.234,56",
        "Importo dell'avviso in euro, al massimo due decimali, da 0,01 a 999.999.999,99.",
        14,
    ),
    Column(
        "OggettoProt",
        "Solo se si protocolla e non c'è un oggetto unico",
        "Avviso di pagamento scuolabus",
        "Oggetto della registrazione di protocollo. Se è vuoto vale l'oggetto indicato per tutto l'invio. Senza dati personali.",
        34,
    ),
    Column(
        "CausaleBollettino",
        "Solo se non c'è una causale unica",
        "Trasporto scolastico 2026/2027",
        "Causale del pagamento, al massimo 140 caratteri. Se è vuota vale la causale indicata per tutto l'invio. Senza dati personali.",
        34,
    ),
    Column(
        "IndirizzoPec",
        "Sì (la cella può restare vuota)",
        "nome.cognome@pec.esempio.example",
        "Un solo indirizzo e-mail o PEC. Se è vuoto, l'avviso viene prodotto e va consegnato a mano.",
        34,
    ),
    Column("Indirizzo", "No", "Via Roma", "Stampato su avviso e lettera, se presente.", 26),
    Column("Civico", "No", "12/A", "Numero civico: scritto come testo, altrimenti Excel trasforma 3/5 in una data.", 9),
    Column("Cap", "No", "00999", "5 cifre, con gli zeri iniziali.", 9),
    Column("Comune", "No", "Borgo Esempio", "Comune di residenza o sede.", 22),
    Column("Provincia", "No", "VA", "Sigla di due lettere; EE per l'estero.", 11),
    Column(
        "TipoSpedizione",
        "No",
        "PEC",
        "PEC, E-mail oppure In base all'indirizzo. Se è vuoto vale il tipo indicato per tutto l'invio.",
        22,
    ),
)
NOTES: Final = (
    "Le righe si scrivono nel foglio «Tracciato», sotto le intestazioni; l'ordine delle colonne è libero.",
    "Le colonne facoltative si possono togliere. Altre colonne sono ignorate, tranne quelle richieste dalla lettera scelta.",
    "Le righe e i fogli nascosti non vengono letti.",
    "Al massimo 100.000 righe e 20 MB per file.",
)


def _prepare(sheet: Worksheet, at: int, column: Column) -> None:
    letter = get_column_letter(at)
    form = MONEY if column.name == AMOUNT else TEXT
    sheet.column_dimensions[letter].width = column.width
    sheet.column_dimensions[letter].number_format = form
    head = sheet.cell(1, at, column.name)
    head.font, head.fill = Font(bold=True), PatternFill("solid", start_color="DCE6F1")
    for row in range(2, PREPARED_ROWS + 2):
        sheet.cell(row, at).number_format = form


def _explain(sheet: Worksheet, columns: Sequence[Column]) -> None:
    sheet.append(("Colonna", "Obbligatoria", "Esempio", "Regola"))
    for column in columns:
        sheet.append(column[:4])
    sheet.append(())
    for note in NOTES:
        sheet.append((note,))
    for at, width in enumerate((22, 30, 36, 90), 1):
        sheet.column_dimensions[get_column_letter(at)].width = width
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for row in sheet.iter_rows(min_row=2, max_row=len(columns) + 1):
        for cell in row:
            cell.number_format, cell.alignment = TEXT, Alignment(vertical="top", wrap_text=True)
    sheet.freeze_panes = "A2"


def write_template(path: Path, letter_columns: Sequence[str] = ()) -> None:
    """Write the empty format to `path`, with the columns that a letter names after the standard ones.

    It holds no row: read back as it is, it is refused with `no-rows`.
    """
    extra = [
        Column(name, "Sì, per questa lettera", "", "Testo riportato nella lettera.", 22) for name in letter_columns
    ]
    columns = (*COLUMNS, *extra)
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = "Tracciato"
    for at, column in enumerate(columns, 1):
        _prepare(sheet, at, column)
    sheet.freeze_panes = "A2"
    choice = DataValidation(type="list", formula1='"PEC,E-mail,In base all\'indirizzo"', allow_blank=True)
    choice.error = "Scegli PEC, E-mail oppure In base all'indirizzo."
    letter = get_column_letter([column.name for column in columns].index(CHANNEL) + 1)
    choice.add(f"{letter}2:{letter}100001")
    sheet.add_data_validation(choice)
    _explain(book.create_sheet("Istruzioni"), columns)
    book.save(path)
    book.close()
