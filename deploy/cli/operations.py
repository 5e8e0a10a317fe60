"""The commands of those who keep it running, each a thin shell over a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

topology = typer.Typer(help="Exchange, code e collegamenti di RabbitMQ.", no_args_is_help=True)
parked = typer.Typer(help="I messaggi che nessun servizio ha saputo leggere.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Per i programmi.")]
Service = Annotated[str, typer.Option("--service", metavar="SERVIZIO", help="Solo la coda di questo servizio.")]
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Come in «staffetta parked list».")]


@topology.command("show")
def topology_show(json: Json = False) -> None:
    """Ciò che il programma si aspetta. Non chiede nulla a nessuno."""
    from deploy.cli.topology import show  # noqa: PLC0415 - each command loads what it needs

    raise typer.Exit(show(json=json))


@topology.command("apply")
def topology_apply() -> None:
    """Crea ciò che manca, con l'utente che può farlo. Non tocca ciò che c'è."""
    from deploy.cli.topology import apply  # noqa: PLC0415

    raise typer.Exit(apply())


@topology.command("verify")
def topology_verify(
    definitions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Confronta anche utenti e permessi con questo definitions.json."),
    ] = None,
    json: Json = False,
) -> None:
    """Confronta il broker con il programma. Esce con 0: uguale; 1: diverso; 2: non si può chiedere."""
    from deploy.cli.topology import verify  # noqa: PLC0415

    raise typer.Exit(verify(definitions, json=json))


@topology.command("definitions")
def topology_definitions(
    passwords: Annotated[
        Path | None,
        typer.Option("--users", metavar="FILE.toml", help='Righe come: iuv = "file:/percorso" oppure "env:NOME".'),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Dove scriverlo; altrimenti qui.")] = None,
    vhost: Annotated[str, typer.Option(help="Virtual host.")] = "/",
) -> None:
    """Il definitions.json di RabbitMQ: topologia, utenti e permessi, con l'hash delle password al posto delle password."""
    from deploy.cli.definitions import write  # noqa: PLC0415

    raise typer.Exit(write(passwords, out, vhost))


@parked.command("list")
def parked_list(
    service: Service = "",
    limit: Annotated[int, typer.Option(min=1, help="Quanti per coda, dal più vecchio.")] = 50,
    json: Json = False,
) -> None:
    """Quanti sono, da quando e perché. Mai il contenuto."""
    from deploy.cli.parked import listing  # noqa: PLC0415

    raise typer.Exit(listing(service, limit, json=json))


@parked.command("show")
def parked_show(
    wanted: Annotated[str, typer.Argument(metavar="ID")],
    body: Annotated[bool, typer.Option("--body", help="Anche il contenuto: dati personali.")] = False,
    json: Json = False,
) -> None:
    """Le intestazioni di un messaggio; il contenuto solo con --body."""
    from deploy.cli.parked import show  # noqa: PLC0415

    raise typer.Exit(show(wanted, body=body, json=json))


@parked.command("redrive")
def parked_redrive(
    wanted: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="Tutti (di --service, se indicato).")] = False,
    service: Service = "",
    json: Json = False,
) -> None:
    """Rimanda i messaggi da dove sono venuti, per esempio dopo un aggiornamento. Un'interruzione non ne perde."""
    from deploy.cli.parked import redrive  # noqa: PLC0415

    raise typer.Exit(redrive(wanted or [], service, every=every, json=json))


@parked.command("discard")
def parked_discard(
    wanted: Ids = None,
    yes: Annotated[bool, typer.Option("--yes", help="Non chiedere.")] = False,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="Dove scriverli prima; altrimenti qui.")] = None,
) -> None:
    """Scarta per sempre, dopo aver scritto su un file (con dati personali) ciò che si scarta."""
    from deploy.cli.parked import discard  # noqa: PLC0415

    raise typer.Exit(discard(wanted or [], file, yes=yes))
