"""`staffetta run`: the main job on one spreadsheet, from the folder's own state: the same command resumes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.cli.progress import Watch
from deploy.cli.results import ESITO, Summary, write_results
from deploy.cli.session import HIDDEN, Opened, WrongUse, opened
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import BatchOptions, RegisterOptions, RequestBatch, RetryRecords
from shared.contracts.envelope import Envelope
from shared.contracts.facts import CommandRefused, CommandTaken
from shared.documents import XLSX
from shared.ids import derived

console = Console(stderr=True)
CLIENT = "staffetta-run"
ANSWER_POLL = 0.02
DRAIN_SECONDS = 30.0
LARGEST_UPLOAD = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """The command line's options."""

    creditor: str
    channel: Channel
    payment_type: str
    due_date: date
    reason: str = ""
    register: bool = False
    subject: str = ""
    classification: str = ""
    office: str = ""
    letter: str | None = None
    merged: bool = False
    until: Phase = Phase.GENERATE


def run_file(file: Path, options: Options, out: Path) -> int:
    """The exit code: 0 all done, 1 some rows need a person, 2 nothing came in."""
    try:
        sheet = _read(file)
        with opened(out) as session:
            try:
                return _run(session, sheet, file.name, options)
            except KeyboardInterrupt:
                console.print("Mi fermo appena è finito ciò che è in corso: può volerci qualche secondo.")
                raise
    except WrongUse as wrong:
        console.print(f"[red]{escape(str(wrong))}[/]", highlight=False)
        return 2
    except KeyboardInterrupt:
        console.print("Interrotto. Nulla è perduto: lo stesso comando riprende da qui.")
        return 1


def batch_id_of(folder: Path) -> UUID:
    """The batch of a folder, from a key that the folder keeps."""
    key = folder / HIDDEN / "key"
    if not key.exists():
        part = key.with_suffix(".part")
        part.write_text(uuid4().hex)
        part.replace(key)
    return derived("run", key.read_text())


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            content = source.read(LARGEST_UPLOAD + 1)
    except OSError as error:
        raise WrongUse(f"Non riesco a leggere {file}: {error.strerror}.") from error
    if len(content) > LARGEST_UPLOAD:
        raise WrongUse(f"{file} supera i 20 MB: dividi l'elenco in più file.")
    return content


def _run(session: Opened, sheet: bytes, name: str, options: Options) -> int:
    relay, started = session.relay, time.monotonic()
    batch_id = batch_id_of(session.folder)
    request = RequestBatch(
        command_id=uuid4(), batch_id=batch_id, request_id=str(batch_id), client=CLIENT, creditor=options.creditor,
        options=_batch_options(session, options), sheet=relay.documents.put(sheet, XLSX), file_name=name,
        until=options.until,
    )  # fmt: skip
    with Watch(relay, batch_id, options.until, registers=options.register, letter=options.letter is not None) as watch:
        answer = _ask(session, request)
        if isinstance(answer, CommandRefused):
            watch.close()
            return _refused(session, answer)
        _ask(session, RetryRecords(command_id=uuid4(), batch_id=batch_id))
        watch.until_done()
    _drain(session)
    summary = write_results(session, batch_id, sheet)
    _tell(session, summary, options, name, time.monotonic() - started)
    return 1 if summary.rejected or summary.stuck else 0


def _batch_options(session: Opened, options: Options) -> BatchOptions:
    creditor = session.creditors.creditors.get(options.creditor)
    payment_type = creditor.payment_types.get(options.payment_type) if creditor else None
    register = None
    if options.register:
        register = RegisterOptions(
            subject=options.subject or (payment_type.subject if payment_type else ""),
            classification=options.classification or (payment_type.classification if payment_type else ""),
            office=options.office or (payment_type.office if payment_type else ""),
        )
    return BatchOptions(
        channel=options.channel, payment_type=options.payment_type, due_date=options.due_date, reason=options.reason,
        letter=options.letter, merged=options.merged and options.letter is not None, register_options=register,
    )  # fmt: skip


def _ask(session: Opened, command: RequestBatch | RetryRecords) -> CommandTaken | CommandRefused:
    session.relay.publish([Envelope.of(command, source="cli", id=command.command_id, correlation=command.batch_id)])
    while (answer := session.relay.ingest.answer(command.command_id)) is None:
        if troubles := session.relay.troubles:
            raise WrongUse(
                f"La lettura del tracciato si è fermata ({', '.join(troubles.values())}): vedi {HIDDEN}/staffetta.log."
            )
        time.sleep(ANSWER_POLL)
    return answer


def _refused(session: Opened, answer: CommandRefused) -> int:
    console.print(f"[red]{escape(answer.message)}[/] [dim]({answer.code})[/]", highlight=False)
    for problem in answer.rows:
        console.print(f"  riga {problem.row}: {escape(problem.message)} [dim]({problem.code})[/]", highlight=False)
    if answer.rows:
        console.print(
            f"Per correggere una riga già emessa: staffetta up {escape(str(session.folder))}", highlight=False
        )
    return 2


def _drain(session: Opened) -> None:
    """Let status hear the last facts: quiet for a moment is enough, the broker is in this process."""
    deadline, quiet = time.monotonic() + DRAIN_SECONDS, 0
    while quiet < 5 and time.monotonic() < deadline:
        quiet = quiet + 1 if session.relay.idle else 0
        time.sleep(0.05)


def _tell(session: Opened, summary: Summary, options: Options, name: str, seconds: float) -> None:
    console.print(f"\n[bold]{escape(name)}[/]: {summary.rows} righe in {seconds:.1f} s", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("Esito")
    table.add_column("Righe", justify="right")
    for state, count in summary.states.items():
        table.add_row(state, str(count))
    console.print(table)
    for line in summary.notes:
        console.print(f"  {escape(line)}", highlight=False)
    if session.creditors.rehearsal:
        console.print("[yellow]AMBIENTE DI PROVA:[/] pagoPA e posta sono simulati; nessun avviso è pagabile.")
    made = [f"{name}/" for name in ("avvisi", "lettere", "inviati") if any(session.folder.glob(f"{name}/*"))]
    console.print(f"Risultati in {escape(str(session.folder))}/: {', '.join([ESITO, *made])}", highlight=False)
    further = {Phase.PREVIEW: "generate", Phase.GENERATE: "send"}.get(options.until)
    if summary.rejected:
        console.print(
            f"Righe da correggere: il perché è in {ESITO}, colonna Motivo. Correggi il foglio e ripeti lo stesso comando.",
            highlight=False,
        )
    if summary.stuck:
        console.print(
            f"Per vedere e sistemare ciò che è fermo: staffetta up {escape(str(session.folder))}", highlight=False
        )
    elif further and not summary.rejected:
        console.print(f"Poi, lo stesso comando con --until {further}", highlight=False)
    elif not summary.rejected:
        console.print(
            f"Per guardare gli avvisi nel cruscotto: staffetta up {escape(str(session.folder))}", highlight=False
        )
