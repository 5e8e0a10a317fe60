"""The protocol service: the own register over one database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from services.protocol.model import require_declared
from services.protocol.stage import ProtocolStage
from services.protocol.tables import SCHEMA, Base
from shared.contracts.commands import RegisterNotice, SettleRegistration
from shared.contracts.facts import CommandRefused, Fact
from shared.db.engine import Database
from shared.wiring import Consumes, Setup, StageService

CONSUMES = (Consumes("protocol", 50),)


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def wire(setup: Setup, now: Callable[[], datetime] = utc_now) -> StageService:
    """The service, ready to run. Raises `RegisterNotDeclared` where a register is not its administration's."""
    require_declared(setup.creditors, now())
    database = Database(setup.database_url(SCHEMA), Base.metadata, schema=SCHEMA)
    database.create_all()
    return StageService(
        database=database,
        stage=ProtocolStage(setup.creditors, now),
        triggers=frozenset({RegisterNotice}),
        handlers={SettleRegistration: refuse_to_settle},
        close=database.close,
    )


def refuse_to_settle(command: SettleRegistration) -> Sequence[Fact]:
    """Number and entry are one transaction: no registration of ours is ever in doubt."""
    return [
        CommandRefused(
            command_id=command.command_id,
            batch_id=command.batch_id,
            code="registration-not-uncertain",
            message="Il registro di Staffetta non lascia registrazioni in dubbio: per questo avviso non c'è nulla da "
            "confermare. Aggiornare la pagina per vedere il numero di protocollo.",
        )
    ]
