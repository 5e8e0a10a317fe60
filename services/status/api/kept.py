"""Commands of people: kept before they are confirmed to anybody, published, and published again until answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from services.status.api.problems import ApiProblem, control_character
from services.status.ports import CommandPublisher
from services.status.tables import KeptCommand
from shared.contracts.commands import BatchCommand, RequestBatch, Restate, Settle
from shared.contracts.envelope import Envelope
from shared.contracts.registry import kebab, messages
from shared.contracts.text import unusable_at
from shared.db.engine import Database
from shared.db.ledger import fingerprint

log = structlog.get_logger()

SERVICE = "status"
LONGEST_PATIENCE = timedelta(minutes=5)
SWEPT_AT_ONCE = 200
NEW_EACH_TIME = {"command_id", "request_id", "batch_id"}
"""What our own side makes up for each request, and so tells nothing about whether two ask the same."""

Command = RequestBatch | BatchCommand | Settle | Restate


def command_id_of(command: Command) -> UUID:
    """The id that its answer cites."""
    return command.request_id if isinstance(command, Restate) else command.command_id


def unanswered(session: Session, now: datetime) -> list[KeptCommand]:
    """Commands without an answer whose time has come to be published again."""
    due = select(KeptCommand).where(KeptCommand.answer == "", KeptCommand.publish_at <= now)
    return list(session.exec(due.order_by(col(KeptCommand.publish_at)).limit(SWEPT_AT_ONCE)))


class CommandDesk:
    """Keeps and publishes. `patience`: how long an answer may take before the command is published again."""

    def __init__(self, database: Database, publisher: CommandPublisher, patience: timedelta) -> None:
        self._database = database
        self._publisher = publisher
        self._patience = patience

    def submit(
        self, command: Command, *, key: str = "", about: object = None, before: Callable[[Session], None] | None = None
    ) -> KeptCommand:
        """Keep `command`, after `before` had its say in the same transaction; then publish it. A failed publish is
        made good by `sweep`. The same `key` again is the first command; with another request it is a problem.
        `about` is what the request says, where that is not in the command (the URL, the batch)."""
        if (place := unusable_at(command.model_dump())) is not None:
            raise control_character(".".join(map(str, place)))
        asked = fingerprint(
            [kebab(type(command).__name__), str(about), command.model_dump(mode="json", exclude=NEW_EACH_TIME)]
        )
        try:
            with self._database.write() as session:
                known = _known(session, key, asked)
                if known is not None:
                    return known
                if before is not None:
                    before(session)
                kept = _kept(command, key, asked, self._patience)
                session.add(kept)
        except IntegrityError:  # the same key at the same moment: the other one is in by now
            with self._database.read() as session:
                known = _known(session, key, asked)
            if known is None:
                raise
            return known
        self._publish([kept])
        return kept

    def again(self, key: str) -> KeptCommand | None:
        """The command that was asked for with this key, if any."""
        with self._database.read() as session:
            return session.exec(select(KeptCommand).where(KeptCommand.request_key == key)).first() if key else None

    def sweep(self) -> int:
        """Publish the unanswered again; how many. Each waits twice as long as before."""
        now = datetime.now(UTC)
        with self._database.write() as session:
            due = unanswered(session, now)
            for kept in due:
                wait = min(self._patience * 2 ** min(kept.published + 1, 10), LONGEST_PATIENCE)
                kept.publish_at, kept.published = now + wait, kept.published + 1
        self._publish(due)
        return len(due)

    def _publish(self, commands: Sequence[KeptCommand]) -> None:
        if not commands:
            return
        try:
            self._publisher.publish([_envelope(kept) for kept in commands])
        except Exception as error:
            # it is kept, and swept later: the person who asked need not know
            log.warning("command-not-published", error=type(error).__name__, count=len(commands))
            return
        for_good = [kept.id for kept in commands if kept.kind == "restate"]
        if for_good:  # nobody answers these one by one; the broker has them
            with self._database.write() as session:
                for kept in session.exec(select(KeptCommand).where(col(KeptCommand.id).in_(for_good))):
                    kept.answer, kept.answered_at = "taken", datetime.now(UTC)


def _known(session: Session, key: str, asked: str) -> KeptCommand | None:
    if not key:
        return None
    known = session.exec(select(KeptCommand).where(KeptCommand.request_key == key)).first()
    if known is not None and known.request_print != asked:
        raise ApiProblem(
            422, "idempotency-key-reused", "La stessa Idempotency-Key è già servita per un'altra richiesta."
        )
    return known


def _kept(command: Command, key: str, asked: str, patience: timedelta) -> KeptCommand:
    now = datetime.now(UTC)
    return KeptCommand(
        id=command_id_of(command),
        batch_id=None if isinstance(command, Restate) else command.batch_id,
        request_key=key or None,
        request_print=asked,
        kind=kebab(type(command).__name__),
        body=command.model_dump_json(),
        kept_at=now,
        publish_at=now + patience,
    )


def _envelope(kept: KeptCommand) -> Envelope:
    command = messages()[kept.kind, 1].model_validate_json(kept.body)
    return Envelope.of(command, source=SERVICE, id=kept.id, correlation=kept.batch_id or "")
