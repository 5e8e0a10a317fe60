"""`--check`: is everything there that a service stands on? Said in Italian, for whoever installs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import text

from shared.bus.outages import OUTAGES
from shared.db.engine import WrongRevision
from shared.process.parts import Service, Surroundings

WRONG = 1
NO_RIGHT = "42501"


def check(service: Service, around: Surroundings) -> int:
    """Print what is wrong; 0 where nothing is, 1 otherwise. The service is wired, but takes no message."""
    found = [*_database(service, around), *_broker(around), *_documents(service, around)]
    around.held.close()
    for sentence in found:
        print(f"{service.name}: {sentence}", file=sys.stderr)
    if not found:
        print(f"{service.name}: tutto a posto.", file=sys.stderr)
    return WRONG if found else 0


def _database(service: Service, around: Surroundings) -> Iterator[str]:
    try:
        part = service.assemble(around)
        around.held.callback(part.close)
        part.database.check_revision()
        with part.database.read() as session:
            session.connection().execute(text("SELECT 1"))
    except WrongRevision as wrong:
        yield str(wrong)
    except OUTAGES as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == NO_RIGHT:
            yield f"il ruolo di STAFFETTA_DATABASE_URL non può leggere lo schema «{service.name}»: ogni servizio ha il suo"
        else:
            kind = type(error).__name__
            yield f"la banca dati non risponde o rifiuta l'accesso ({kind}): controllare STAFFETTA_DATABASE_URL"


def _broker(around: Surroundings) -> Iterator[str]:
    try:
        with around.broker.connect() as connection:
            lacking = around.topology.missing(connection)
    except OUTAGES as error:
        yield f"RabbitMQ non risponde o rifiuta l'accesso ({type(error).__name__}): controllare STAFFETTA_BROKER_URL"
    else:
        if lacking:
            yield f"su RabbitMQ mancano {', '.join(lacking)}: caricare le definizioni, o staffetta topology apply"


def _documents(service: Service, around: Surroundings) -> Iterator[str]:
    folder = around.settings.documents_folder
    if service.documents == "write" and not os.access(_there(folder), os.W_OK | os.X_OK):
        yield f"nella cartella dei documenti {folder} non si può scrivere: controllare STAFFETTA_DOCUMENTS"
    if service.documents == "read" and not os.access(folder, os.R_OK | os.X_OK):
        yield f"la cartella dei documenti {folder} non c'è o non si può leggere: controllare STAFFETTA_DOCUMENTS"


def _there(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: it is made with the first document."""
    return folder if folder.exists() or folder == folder.parent else _there(folder.parent)
