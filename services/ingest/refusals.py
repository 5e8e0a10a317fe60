"""Why a command is not carried out, and the answers that are kept, so that a repeat gets the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from services.ingest.tables import TakenCommand
from shared.contracts.facts import CommandRefused, CommandTaken, Problem

REFUSALS = {
    "unknown-batch": "Questo invio massivo non esiste.",
    "unknown-record": "Questa riga non esiste.",
    "batch-cancelled": "L'invio massivo è stato interrotto: non si può più cambiare.",
    "batch-not-ready": "Il tracciato non è ancora stato letto: riprova tra qualche istante.",
    "generate-first": "Prima genera gli avvisi: il pulsante è «Genera avvisi PagoPA».",
    "orders-moved": "Nel frattempo la riga è cambiata: ricarica la pagina e ripeti.",
    "in-flight": "La riga è in lavorazione: attendi che sia ferma e ripeti.",
    "in-doubt": "Non si sa se il messaggio è partito: prima rispondi alla verifica.",
    "correction-invalid": "I valori corretti non sono validi: controllali.",
    "address-missing": "La riga non ha un indirizzo a cui rimandare l'avviso: scrivilo nella correzione.",
    "already-paid": "L'avviso risulta già pagato: non si può ritirare.",
    "unexpected": "La richiesta non si è potuta eseguire per un errore del sistema: avvisa chi lo gestisce.",
}


class Refusal(Exception):
    """The command is not carried out; the text is the code."""

    def __init__(self, code: str, rows: Sequence[Problem] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.rows = list(rows)


def refused(command_id: UUID, batch_id: UUID, refusal: Refusal, message: str = "") -> CommandRefused:
    """The answer to a command that is not carried out."""
    return CommandRefused(
        command_id=command_id, batch_id=batch_id, code=refusal.code, message=message or REFUSALS[refusal.code],
        rows=refusal.rows,
    )  # fmt: skip


def answered(session: Session, command_id: UUID) -> CommandTaken | CommandRefused | None:
    """The answer that a command got, if it came before."""
    taken = session.get(TakenCommand, command_id)
    return answer_of(taken) if taken is not None else None


def answer_of(taken: TakenCommand) -> CommandTaken | CommandRefused:
    """The answer that was kept."""
    kind = CommandRefused if taken.refused else CommandTaken
    return kind.model_validate(taken.answer)


def keep(session: Session, answer: CommandTaken | CommandRefused, at: datetime) -> None:
    """Keep the answer, in the transaction that carries the command out."""
    session.add(
        TakenCommand(
            id=answer.command_id,
            answer=answer.model_dump(mode="json"),
            refused=isinstance(answer, CommandRefused),
            at=at,
        )
    )
