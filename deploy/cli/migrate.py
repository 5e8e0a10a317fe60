"""`staffetta migrate`: the schemas of PostgreSQL, brought to what this program was written for."""

from __future__ import annotations

from collections.abc import Sequence

from alembic.util import CommandError
from rich.console import Console
from sqlalchemy.exc import ArgumentError, DBAPIError

from deploy.migrations import chains

console = Console(stderr=True, highlight=False, soft_wrap=True)
WRONG_USE, BEHIND = 2, 1
VARIABLE = "STAFFETTA_DATABASE_URL"
NO_URL = (
    f"Manca {VARIABLE}: l'indirizzo del database con il ruolo proprietario degli schemi, per esempio "
    "postgresql+psycopg://staffetta:password@host:5432/staffetta"
)
NEWER = "è alla revisione {found}, più recente di questo programma: aggiorna il programma prima di migrare."
NO_ANSWER = "Il database non risponde o rifiuta l'operazione ({error}): controlla {variable}. Il ruolo deve poter creare gli schemi."


def migrate(url: str, service: str | None, *, check: bool) -> int:
    """Every chain, or one service's; with `check` nothing is changed. The exit code: 1 where something is behind or ahead,
    2 for a wrong use."""
    services: Sequence[str] = [service] if service else chains.SERVICES
    if not url:
        console.print(f"[red]{NO_URL}[/]")
        return WRONG_USE
    if service and service not in chains.SERVICES:
        console.print(f"[red]Il servizio «{service}» non esiste:[/] {', '.join(chains.SERVICES)}")
        return WRONG_USE
    try:
        return max([_look(url, each) if check else _bring(url, each) for each in services])
    except ArgumentError:
        console.print(f"[red]{VARIABLE} non è un indirizzo valido.[/] {NO_URL}")
    except (DBAPIError, CommandError) as error:
        cause = getattr(error, "orig", None)
        name = type(cause or error).__name__
        console.print(f"[red]{NO_ANSWER.format(error=name, variable=VARIABLE)}[/]")
    return WRONG_USE


def _look(url: str, service: str) -> int:
    with chains.transaction(url) as connection:
        found, head = chains.revision_of(connection, service), chains.head_of(service)
    if found == head:
        console.print(f"{service}: {head}, aggiornato.")
        return 0
    if found is not None and found > head:
        console.print(f"[red]{service}[/] {NEWER.format(found=found)}")
    else:
        console.print(f"[red]{service}: {found or 'vuoto'}, va portato a {head}:[/] esegui staffetta migrate.")
    return BEHIND


def _bring(url: str, service: str) -> int:
    try:
        with chains.transaction(url) as connection:
            before, now = chains.upgrade(connection, service)
    except chains.UnknownRevision as found:
        console.print(f"[red]{service}[/] {NEWER.format(found=found)}")
        return BEHIND
    console.print(f"{service}: {now}, già aggiornato." if before == now else f"{service}: {before or 'vuoto'} → {now}")
    return 0
