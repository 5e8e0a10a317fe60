"""The stable codes of everything that can be wrong with a spreadsheet, and what the clerk reads.

The sentences say what to do and hold no personal data; a value to put instead travels apart, as the proposal.
"""

from __future__ import annotations

import re
from typing import Final

STRUCTURE: Final[dict[str, str]] = {
    "not-an-xlsx": "Il file non è una cartella di lavoro Excel: in Excel usa Salva con nome, tipo «Cartella di lavoro di Excel (.xlsx)».",
    "old-xls": "Il file è nel vecchio formato .xls: aprilo in Excel e salvalo come «Cartella di lavoro di Excel (.xlsx)».",
    "encrypted": "Il file è protetto da password: aprilo in Excel, togli la password e salvalo di nuovo.",
    "opendocument": "Il file è nel formato OpenDocument (.ods): in LibreOffice usa Salva con nome, tipo «Excel 2007-365 (.xlsx)».",
    "binary-workbook": "Il file è nel formato binario .xlsb: in Excel usa Salva con nome, tipo «Cartella di lavoro di Excel (.xlsx)».",
    "damaged": "Il file è danneggiato e non si può leggere: aprilo in Excel, salvalo di nuovo e ricaricalo.",
    "too-large": "Il file supera i {limit} MB: dividi l'elenco in più file, oppure togli immagini e fogli che non servono.",
    "inflates-too-much": "Il contenuto del file è enorme rispetto alla sua dimensione: copia le righe in un tracciato vuoto e ricaricalo.",
    "forbidden-xml": "Il file contiene dichiarazioni non ammesse (DTD o entità): copia le righe in un tracciato vuoto e ricaricalo.",
    "too-slow": "La lettura del file richiede troppo tempo: copia le righe in un tracciato vuoto e ricaricalo.",
    "no-sheet": "Nessun foglio visibile contiene le intestazioni del tracciato ({expected}): scarica il tracciato vuoto e copiaci le righe.",
    "column-missing": "Nel foglio «{sheet}» manca la colonna {column}: aggiungila con questa intestazione.",
    "column-doubled": "Nel foglio «{sheet}» la colonna {column} compare più di una volta: lasciane una sola.",
    "too-many-columns": "Il foglio «{sheet}» ha più di {limit} colonne: togli quelle che non servono.",
    "too-many-merged": "Il foglio «{sheet}» ha più di {limit} celle unite: dividile.",
    "no-rows": "Il foglio «{sheet}» non contiene righe sotto le intestazioni: compila almeno una riga visibile.",
    "too-many-rows": "Il foglio «{sheet}» ha più di {limit} righe: dividi l'elenco in più file.",
    "due-date-past": "La scadenza è già passata: scegli una data da oggi in poi.",
    "unknown-payment-type": "La tipologia di pagamento scelta non è configurata per questo ente: scegline un'altra.",
    "unknown-letter": "La lettera scelta non è configurata per questa tipologia di pagamento: scegline un'altra.",
}
"""One at a time: the reading stops at the first."""

PROBLEMS: Final[dict[str, str]] = {
    "missing-value": "Manca il valore: compila la cella.",
    "merged-cell": "La cella fa parte di celle unite: dividile e scrivi il valore in ogni riga.",
    "error-cell": "La cella contiene un errore di Excel: correggi la formula o scrivi il valore.",
    "formula-without-value": "La formula non ha un valore salvato: apri il file in Excel, ricalcola e salva, oppure scrivi il valore.",
    "date-in-text": "Excel ha trasformato il valore in una data: imposta la cella come Testo e riscrivilo.",
    "digits-lost": "Excel conserva solo 15 cifre di un numero: imposta la cella come Testo e riscrivi il valore per intero.",
    "control-character": "La cella contiene caratteri invisibili non ammessi: cancella il contenuto e riscrivilo a mano.",
    "unprintable-character": "La cella contiene caratteri che l'avviso non può stampare (emoji, o alfabeti diversi da latino, greco e cirillico): riscrivila in lettere latine.",
    "too-long": "Il testo supera i {limit} caratteri: accorcialo.",
    "does-not-fit": "Il testo non entra nello spazio previsto sull'avviso: accorcialo.",
    "missing-code": "Mancano sia il codice fiscale sia la partita IVA: compila almeno uno dei due.",
    "leading-zeros-lost": "Excel ha tolto gli zeri iniziali: imposta la cella come Testo e scrivi tutte le {digits} cifre.",
    "wrong-code-length": "Il codice deve avere {expected}: controlla di averlo scritto per intero.",
    "wrong-check-character": "Il codice non è corretto (il carattere di controllo non torna): ricontrollalo sul documento.",
    "malformed-code": "Il codice non ha la forma giusta: ricontrollalo sul documento.",
    "code-in-wrong-column": "Questo è un codice fiscale di 16 caratteri: spostalo nella colonna CodiceFiscale.",
    "not-an-amount": "L'importo non è un numero: scrivi per esempio 1234,56.",
    "ambiguous-amount": "L'importo si può leggere in due modi (migliaia o decimali): scrivi per esempio 1234,00 oppure 1,23.",
    "too-many-decimals": "L'importo ha più di due decimali: arrotondalo ai centesimi.",
    "zero-amount": "L'importo è zero: togli la riga o scrivi l'importo dovuto.",
    "negative-amount": "L'importo è negativo: scrivi l'importo dovuto.",
    "amount-too-large": "L'importo supera 999.999.999,99 euro: controllalo.",
    "malformed-address": "L'indirizzo e-mail o PEC non è scritto correttamente: serve un indirizzo come nome@dominio.it.",
    "two-addresses": "La cella contiene più di un indirizzo: lasciane uno solo.",
    "unknown-channel": "Il tipo di spedizione non è riconosciuto: scrivi PEC, E-mail oppure In base all'indirizzo.",
    "wrong-postal-code": "Il CAP deve avere 5 cifre (per l'estero, al massimo 16 caratteri): correggilo.",
    "wrong-province": "La provincia si scrive con la sigla di due lettere, per esempio VA.",
}
"""They stop the row."""

WARNINGS: Final[dict[str, str]] = {
    "no-address": "Manca l'indirizzo: l'avviso sarà prodotto ma andrà consegnato a mano.",
    "identical-row": "Riga uguale alla riga {first} (stesso debitore, importo e causale): resta, ma controlla che non sia ripetuta.",
    "shared-address": "Lo stesso indirizzo è usato per debitori diversi: controlla che sia voluto.",
    "sequential-address": "Gli indirizzi crescono di uno in uno, come quando si trascina una cella: controlla che siano veri.",
    "misspelt-domain": "Il dominio dell'indirizzo sembra scritto male: controllalo.",
    "pec-to-ordinary": "Invio PEC verso un indirizzo di posta ordinaria: non ci sarà la ricevuta di consegna.",
    "email-to-pec": "Invio per e-mail ordinaria verso una casella PEC: potrebbe essere rifiutato.",
    "personal-data": "Il testo contiene il nome o un codice fiscale: togli i dati personali, che qui sono visibili a terzi.",
    "no-mailbox": "Per questo tipo di spedizione l'ente non ha una casella configurata: il messaggio non potrà partire.",
}
"""They do not stop anything."""

COUNTS: Final[dict[str, str]] = {
    "no-address": "Righe senza indirizzo, da consegnare a mano: {count}.",
    "identical-row": "Righe uguali a una precedente (stesso debitore, importo e causale): {count}.",
    "shared-address": "Righe il cui indirizzo è usato per debitori diversi: {count}.",
    "sequential-address": "Righe con indirizzi in sequenza numerica, forse una colonna trascinata: {count}.",
    "misspelt-domain": "Righe con il dominio dell'indirizzo forse scritto male: {count}.",
    "pec-to-ordinary": "Righe con invio PEC verso posta ordinaria: {count}.",
    "email-to-pec": "Righe con invio per e-mail verso una casella PEC: {count}.",
    "personal-data": "Righe con dati personali nella causale o nell'oggetto: {count}.",
    "no-mailbox": "Righe il cui tipo di spedizione non ha una casella configurata: {count}.",
}
"""The same causes, for the top of the preview."""


PLACE: Final = re.compile(r"\{\w+\}")


class StructureError(Exception):
    """The spreadsheet as a whole cannot be read. `code` is stable, `message_it` what the clerk reads.

    `str()` is the code alone, since it is logged and headings are the user's own words.
    """

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.message_it = STRUCTURE[code].format_map(values)


def codes_page() -> str:
    """The operators' page of all codes and sentences, in Markdown. `…` stands for what the occasion gives."""
    parts = [
        "# 5. I messaggi sul tracciato",
        "",
        "Pagina generata da `services/ingest/tracciato/problems.py` con `make generate`.",
    ]
    for title, sentences in (
        ("Il file non si può leggere (un motivo alla volta)", STRUCTURE),
        ("La riga è da correggere (tutti i motivi insieme)", PROBLEMS),
        ("La riga va avanti, ma è meglio guardarla", WARNINGS),
    ):
        parts += ["", f"## {title}", "", "| codice | messaggio |", "| --- | --- |"]
        parts += [f"| `{code}` | {PLACE.sub('…', sentence)} |" for code, sentence in sentences.items()]
    return "\n".join(parts) + "\n"
