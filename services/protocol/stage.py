"""Registration in the own register. To reserve *is* to act: number and entry are written in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Session

from services.protocol.model import ClockBehind, Entry, RegisterId, entry_of, number_text
from services.protocol.tables import ProtocolRow, RegisterEntry, register
from shared.contracts.base import StageName
from shared.contracts.facts import NoticeRegistered, RecordFact, RegistrationRefused, RegistrationUncertain
from shared.contracts.record import Registration, SectionState
from shared.creditors import Creditor, Creditors
from shared.db.ledger import LedgerState
from shared.stage import Done, Outcome, Permanent, Renew, Request, Transient, Work

CLOCK_BEHIND = "clock-behind-register"


class ProtocolStage:
    """The `Stage` of the own register. `now` gives UTC."""

    name: ClassVar[StageName] = StageName.PROTOCOL
    row_type = ProtocolRow
    lookable = True
    connections = 1
    lease_seconds = 0.0  # no act is ever cut: there is none outside the transaction
    states: Mapping[SectionState, type[RecordFact]] = {
        SectionState.DONE: NoticeRegistered,
        SectionState.REFUSED: RegistrationRefused,
        SectionState.UNCERTAIN: RegistrationUncertain,
    }

    def __init__(self, creditors: Creditors, now: Callable[[], datetime]) -> None:
        self._creditors = creditors.creditors
        self._now = now

    def lane(self, request: Request) -> str:
        """One register has one lock, so one pace."""
        return f"register-{request.record.creditor}"

    def acted_on(self, request: Request) -> object:
        """What is registered, documents by their hashes. Neither the address nor the amount is."""
        record = request.record
        documents = record.documents
        return {
            "creditor": record.creditor,
            "recipient": record.debtor.name,
            "request": None if record.protocol is None else record.protocol.model_dump(mode="json"),
            "notice": documents.notice.sha256 if documents and documents.notice else None,
            "letter": documents.letter.sha256 if documents and documents.letter else None,
        }

    def reserve(self, session: Session, works: Sequence[Work[ProtocolRow]]) -> None:
        """Register what can be registered: those rows are done at this commit. The rest stays reserved, for `act`."""
        wanted: dict[str, list[tuple[Work[ProtocolRow], Entry]]] = defaultdict(list)
        for work in works:
            entry = self._entry(work.request)
            if isinstance(entry, Entry):
                wanted[work.request.record.creditor].append((work, entry))
        for creditor in sorted(wanted):  # one lock order for all workers
            # The handful comes by record id; a clerk looks for row 7 after row 6.
            by_row = sorted(wanted[creditor], key=lambda each: (each[0].row.batch_id, each[0].request.record.row))
            self._register(session, self._creditors[creditor], by_row)

    def renew(self, session: Session, work: Work[ProtocolRow]) -> None:
        """What could not be registered when it was reserved: once more."""
        self.reserve(session, [work])

    def act(self, works: Sequence[Work[ProtocolRow]]) -> Sequence[Outcome]:
        """Say what `reserve` came to; it has registered all that it could."""
        return [self._outcome(work) for work in works]

    def look(self, work: Work[ProtocolRow]) -> Outcome | None:  # noqa: ARG002 - the stage protocol's
        """A row that is not done is not registered, for both are one transaction: nothing is known elsewhere."""
        return None

    def _outcome(self, work: Work[ProtocolRow]) -> Outcome:
        row = work.row
        if row.state == LedgerState.DONE:
            return Done(Registration.model_validate(row.section))
        entry = self._entry(work.request)
        if isinstance(entry, str):
            return Permanent(entry)
        if row.clock_behind is not None and self._now() < row.clock_behind:
            return Transient(CLOCK_BEHIND, lane=True, shut=True)
        return Renew("not-registered-yet")

    def _entry(self, request: Request) -> Entry | str:
        if request.record.creditor not in self._creditors:
            return "unknown-creditor"
        return entry_of(request.record)

    def _register(
        self, session: Session, creditor: Creditor, wanted: Sequence[tuple[Work[ProtocolRow], Entry]]
    ) -> None:
        asked: list[tuple[UUID, int, Entry]] = [(*work.request.key, entry) for work, entry in wanted]
        try:
            registered = register(session, creditor, asked, self._now)
        except ClockBehind as behind:
            for work, _ in wanted:
                work.row.clock_behind = behind.last
            return
        for (work, _), entry in zip(wanted, registered, strict=True):
            section = _section(RegisterId.of(creditor), entry)
            work.row.state = LedgerState.DONE.value
            work.row.section = section.model_dump(mode="json", exclude_none=True)
            work.row.clock_behind = None
            work.row.updated_at = self._now()


def _section(register_id: RegisterId, entry: RegisterEntry) -> Registration:
    return Registration(
        order=entry.order,
        state=SectionState.DONE,
        register_code=register_id.code,
        number=number_text(entry.number),
        year=entry.year,
        registered_at=entry.registered_at,
        segnatura=register_id.segnatura(entry.number, entry.registered_at),
        documents=entry.documents,
    )
