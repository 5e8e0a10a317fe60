"""`staffetta letter check`: what is wrong with a letter's template, before a clerk finds out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from deploy.cli.session import WrongUse, read_settings
from deploy.cli.specimens import ColumnsMissing, invented, of_sheet, with_letters
from services.ingest.tracciato import StructureError
from services.render.adapters.kit import PrintingConfigurationWrong, load_kit
from services.render.adapters.pool import WorkerPool
from services.render.adapters.texts import TextsWrong
from services.render.ports import Answer, Job, Misprint, Printed, Unmade
from services.render.settings import RenderSettings
from shared.contracts.record import Record
from shared.creditors import Creditors, CreditorsError, Letter, load_creditors
from shared.creditors.letters import LetterWrong, manifest_of, pack, read_folder

console = Console(stderr=True, highlight=False)
GOOD, BAD, WRONG = 0, 1, 2
DIFFERS = {
    "read-back-letter-name": "La lettera non dice a chi è diretta: deve mostrare {{ intestazione }} per intero.",
    "read-back-letter-markup": "La lettera mostra segni del modello o di HTML: {{, {% oppure </.",
    "read-back-letter-facsimile": "La lettera nasconde la scritta FAC-SIMILE: gli stili non possono coprire o togliere ciò che è fisso.",
}


def check(folder: Path, sheet: Path | None, out: Path | None) -> int:
    """0: good. 1: the template, or the sheet for it, is to be mended. 2: it could not be tried."""
    if not folder.is_dir():
        return _untried(f"La cartella {folder} non c'è.")
    try:
        files = read_folder(folder)
        columns = manifest_of(files).columns
    except (LetterWrong, OSError) as wrong:
        return _bad([str(wrong)])
    letter = Letter(title=folder.resolve().name, template=folder, columns=columns)
    try:
        creditors, code, payment_type = _home(folder)
        records = _records(sheet, creditors, code, payment_type, letter)
        answers = _made(creditors, [Job(each, date.today(), True, pack(files), notice=False) for each in records])  # noqa: DTZ011
        pages = _kept(out, records, answers)
    except (ColumnsMissing, StructureError) as wrong:
        return _bad([_lacking(wrong)])
    except WrongUse as wrong:
        return _untried(str(wrong))
    troubles: dict[str, list[int]] = defaultdict(list)
    for record, answer in zip(records, answers, strict=True):
        if not isinstance(answer, Printed):
            troubles[_said(answer)].append(record.row)
    if troubles:
        return _bad(f"{_rows(rows)}{text}" if sheet else text for text, rows in troubles.items())
    console.print(f"[green]Va bene:[/] {len(pages)} lettere di prova, {_counted(pages)}.", soft_wrap=True)
    return GOOD


def _home(folder: Path) -> tuple[Creditors, str, str]:
    """The creditors' file, and whose letter it is there: the first creditor's first payment type, where it is nobody's."""
    try:
        creditors = load_creditors(read_settings().creditors, secrets=())
    except CreditorsError as error:
        raise WrongUse(str(error)) from error
    every = [(code, kind) for code, creditor in creditors.creditors.items() for kind in creditor.payment_types]
    mine = [(code, kind) for code, kind in every if _is_of(creditors, code, kind, folder)]
    code, kind = (mine or every)[0]
    creditor = creditors.creditors[code]
    console.print(f"[dim]Con i dati di {escape(creditor.name)}, {escape(creditor.payment_types[kind].name)}.[/]")
    return creditors, code, kind


def _is_of(creditors: Creditors, code: str, kind: str, folder: Path) -> bool:
    letters = creditors.creditors[code].payment_types[kind].letters.values()
    return any(letter.template.resolve() == folder.resolve() for letter in letters)


def _records(sheet: Path | None, creditors: Creditors, code: str, kind: str, letter: Letter) -> list[Record]:
    if sheet is None:
        return invented(code, kind, letter)
    try:
        records, rejected = of_sheet(sheet, code, creditors.creditors[code], kind, letter)
    except OSError as error:
        raise WrongUse(f"Non riesco a leggere {sheet}: {error.strerror}.") from error
    if rejected:
        console.print(f"[yellow]{rejected} righe del foglio sono da correggere e non sono state provate.[/]")
    if not records:
        raise WrongUse("Nel foglio nessuna riga è pronta: non c'è nulla da provare.")
    return records


def _made(creditors: Creditors, jobs: Sequence[Job]) -> Sequence[Answer]:
    """In a process with the limits of those that print: a template is not trusted here either."""
    record, settings = jobs[0].record, RenderSettings()
    creditor = with_letters(creditors.creditors[record.creditor], record.payment.payment_type, {})
    try:
        kit = load_kit(creditors.model_copy(update={"creditors": {record.creditor: creditor}}), settings)
    except (PrintingConfigurationWrong, TextsWrong) as error:
        raise WrongUse(str(error)) from error
    pool = WorkerPool(kit, 1, settings.wall_seconds)
    try:
        return pool.make(jobs)
    finally:
        pool.close()


def _kept(out: Path | None, records: Sequence[Record], answers: Sequence[Answer]) -> list[int]:
    """The pages of each letter; the letters themselves in `out`."""
    import pypdfium2  # noqa: PLC0415 - no other command needs it

    letters = {
        record.row: each.letter for record, each in zip(records, answers, strict=True) if isinstance(each, Printed)
    }
    for row, pdf in letters.items():
        if out is not None and pdf is not None:
            try:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"riga-{row:05d}.pdf").write_bytes(pdf)
            except OSError as error:
                raise WrongUse(f"Nella cartella {out} non si può scrivere: {error.strerror}.") from error
    return [len(pypdfium2.PdfDocument(pdf)) for pdf in letters.values() if pdf is not None]


def _said(answer: Answer) -> str:
    match answer:
        case Unmade(_, detail):
            return detail
        case Misprint(code) if code in DIFFERS:
            return DIFFERS[code]
    return "La lettera non si è potuta preparare: il programma di stampa si è fermato."


def _lacking(wrong: ColumnsMissing | StructureError) -> str:
    if isinstance(wrong, StructureError):
        return wrong.message_it
    names = ", ".join(f"«{name}»" for name in wrong.names)
    return f"Nel foglio mancano le colonne che la lettera nomina: {names}."


def _rows(rows: Sequence[int]) -> str:
    return f"{'riga' if len(rows) == 1 else 'righe'} {', '.join(map(str, rows))}: "


def _counted(pages: Sequence[int]) -> str:
    fewest, most = min(pages), max(pages)
    return f"di {most} pagine" if fewest == most else f"da {fewest} a {most} pagine"


def _untried(why: str) -> int:
    console.print(f"[red]{escape(why)}[/]", soft_wrap=True)
    return WRONG


def _bad(told: Iterable[str]) -> int:
    for text in told:
        console.print(f"[red]Da correggere:[/] {escape(text)}", soft_wrap=True)
    return BAD
