"""The commands, each a thin shell over a module of its own."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli import operations
from shared.contracts.base import Channel, Phase

app = typer.Typer(
    name="staffetta",
    help="Avvisi di pagamento pagoPA in massa: dal tracciato Excel all'avviso generato, protocollato e inviato.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
simulate = typer.Typer(help="Un simulatore come processo a sé.", no_args_is_help=True)
letters = typer.Typer(help="I modelli delle lettere di accompagnamento.", no_args_is_help=True)
app.add_typer(simulate, name="simulate")
app.add_typer(letters, name="letter")
app.add_typer(operations.topology, name="topology")
app.add_typer(operations.parked, name="parked")

Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Cartella dei risultati; la stessa cartella riprende il lavoro.")
]
Port = Annotated[int, typer.Option(help="Porta su 127.0.0.1; 0 ne sceglie una libera.")]
Host = Annotated[str, typer.Option(help="Indirizzo della pagina; altro da 127.0.0.1 solo dentro un container.")]


class ServiceName(StrEnum):
    """The services."""

    INGEST = "ingest"
    IUV = "iuv"
    RENDER = "render"
    PROTOCOL = "protocol"
    DISPATCH = "dispatch"
    STATUS = "status"


class Until(StrEnum):
    """Where the run stops: nothing is sent unasked."""

    PREVIEW = "preview"
    GENERATE = "generate"
    SEND = "send"


@app.command()
def tracciato(out: Annotated[Path, typer.Argument(metavar="OUT.xlsx", help="Il file da scrivere.")]) -> None:
    """Scrive il formato vuoto (TracciatoInvioMassivo)."""
    from deploy.cli.template import write  # noqa: PLC0415 - each command loads what it needs

    raise typer.Exit(write(out))


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE.xlsx", help="Il tracciato compilato.")],
    creditor: Annotated[str, typer.Option(metavar="CODE", help="Codice dell'ente creditore nella configurazione.")],
    channel: Annotated[Channel, typer.Option(help="Tipo di spedizione; auto: in base all'indirizzo.")],
    payment_type: Annotated[str, typer.Option(metavar="CODE", help="Tipologia di pagamento.")],
    due_date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Scadenza.")],
    out: Out,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Causale, dove la riga non ne ha una.")] = "",
    register: Annotated[bool, typer.Option("--register", help="Protocolla ogni avviso in uscita.")] = False,
    subject: Annotated[str, typer.Option(metavar="TEXT", help="Oggetto, dove la riga non ha OggettoProt.")] = "",
    classification: Annotated[
        str, typer.Option(metavar="C", help="Classificazione; altrimenti quella della tipologia.")
    ] = "",
    office: Annotated[str, typer.Option(metavar="O", help="Ufficio mittente; altrimenti quello della tipologia.")] = "",
    letter: Annotated[str | None, typer.Option(metavar="NAME", help="Lettera di accompagnamento.")] = None,
    merged: Annotated[bool, typer.Option("--merged", help="Lettera e avviso in un solo PDF.")] = False,
    until: Annotated[
        Until, typer.Option(help="Dove fermarsi: anteprima, avvisi generati, avvisi inviati.")
    ] = Until.GENERATE,
) -> None:
    """Il lavoro intero su un tracciato. Lo stesso comando riprende, ritenta ciò che è fermo e dà lo stesso risultato."""
    from deploy.cli.run import Options, run_file  # noqa: PLC0415

    options = Options(
        creditor=creditor, channel=channel, payment_type=payment_type, due_date=due_date.date(), reason=reason,
        register=register, subject=subject, classification=classification, office=office, letter=letter, merged=merged,
        until=Phase(until.value),
    )  # fmt: skip
    raise typer.Exit(run_file(file, options, out))


@app.command()
def up(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Cartella di un lavoro; senza, STAFFETTA_FOLDER.")
    ] = None,
    port: Port = 8080,
) -> None:
    """La staffetta come processo che resta: cruscotto e API su 127.0.0.1."""
    from deploy.cli.up import serve  # noqa: PLC0415

    raise typer.Exit(serve(folder, port))


@app.command()
def service(
    name: Annotated[
        ServiceName, typer.Argument(metavar="NOME", help="ingest, iuv, render, protocol, dispatch o status.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Controlla configurazione e collegamenti, ed esce.")] = False,
) -> None:
    """Un servizio come processo a sé, su RabbitMQ e PostgreSQL; SIGTERM finisce ciò che ha in mano."""
    from deploy.cli.service import run_service  # noqa: PLC0415

    raise typer.Exit(run_service(name.value, check=check))


@app.command()
def migrate(
    service: Annotated[str | None, typer.Argument(metavar="[SERVIZIO]", help="Uno solo; senza, tutti.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Guarda soltanto: 1 se qualcosa non è aggiornato.")] = False,
    url: Annotated[
        str, typer.Option(envvar="STAFFETTA_DATABASE_URL", show_default=False, help="Con il ruolo proprietario.")
    ] = "",
) -> None:
    """Porta gli schemi di PostgreSQL alla versione di questo programma."""
    from deploy.cli.migrate import migrate as bring  # noqa: PLC0415

    raise typer.Exit(bring(url, service, check=check))


@letters.command("check")
def letter_check(
    template: Annotated[Path, typer.Argument(metavar="MODELLO", help="La cartella del modello.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE.xlsx]", help="Un tracciato: prova le prime righe e quelle con i testi più lunghi."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Cartella in cui mettere le lettere di prova.")
    ] = None,
) -> None:
    """Dice che cosa non va in un modello di lettera. Esce con 0: va bene; 1: da correggere; 2: non si è potuto provare."""
    from deploy.cli.letter import check  # noqa: PLC0415

    raise typer.Exit(check(template, file, out))


@simulate.command("pagopa")
def simulate_pagopa(
    folder: Annotated[Path, typer.Option(help="Cartella del giornale delle chiamate.")] = Path("simulatore-pagopa"),
    port: Port = 8701,
    host: Host = "127.0.0.1",
) -> None:
    """Il simulatore di pagoPA (posizioni debitorie GPD v1), con una pagina che le elenca."""
    from deploy.cli.simulate import pagopa  # noqa: PLC0415

    raise typer.Exit(pagopa(folder, port, host))


@simulate.command("mail")
def simulate_mail(
    folder: Annotated[Path, typer.Option(help="Cartella dei messaggi ricevuti (.eml).")] = Path("simulatore-posta"),
    smtp_port: Port = 8725,
    port: Port = 8702,
    host: Host = "127.0.0.1",
) -> None:
    """Il simulatore di posta (SMTP con accesso), con una pagina di ciò che è stato inviato."""
    from deploy.cli.simulate import mail  # noqa: PLC0415

    raise typer.Exit(mail(folder, smtp_port, port, host))


def main() -> None:
    """The console script."""
    app()
