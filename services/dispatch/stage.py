"""The dispatch stage: one message per (record, order), handed over once.

An e-mail cannot be taken back, nor can a server be asked whether it has one: the stage is not lookable, and an unclear end
stays unclear until a receipt or a person settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from services.dispatch.model import BadAddress, Mail, compose, envelope_address, registration
from services.dispatch.ports import Accepted, Envelope, Mailer, NoAnswer
from services.dispatch.tables import SendingRow
from shared.contracts.base import Channel, StageName
from shared.contracts.facts import NoticeSent, RecordFact, SendingRefused, SendingUncertain
from shared.contracts.record import DocumentRef, Record, SectionState, Sending
from shared.creditors import Creditor, Creditors, Mailbox
from shared.documents import DocumentCorrupt, DocumentMissing, DocumentStore
from shared.ids import mail_message_id
from shared.stage import Done, Outcome, Permanent, Refused, Request, Uncertain, Work

if TYPE_CHECKING:
    from sqlmodel import Session

STATES: Mapping[SectionState, type[RecordFact]] = {
    SectionState.DONE: NoticeSent,
    SectionState.REFUSED: SendingRefused,
    SectionState.UNCERTAIN: SendingUncertain,
}
UNCLEAR = (
    "Il server di posta non ha confermato di aver preso il messaggio. Controllare nella casella se è tra i messaggi "
    "inviati o se è arrivata una ricevuta, poi indicare se è partito o no."
)
BAD_ADDRESS = "L'indirizzo non può ricevere questo messaggio: correggerlo e inviare di nuovo, oppure consegnare a mano."


class _Impossible(Exception):
    """This record cannot be sent as it is. `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def lane_of(creditor: str, channel: Channel) -> str:
    """The lane of a creditor's mailbox."""
    return f"{creditor}:{'pec' if channel is Channel.PEC else 'email'}"


class DispatchStage:
    """See `shared.stage.Stage`. `mailers` are by lane."""

    name: ClassVar[StageName] = StageName.DISPATCH
    row_type = SendingRow
    lookable = False
    states = STATES

    def __init__(
        self, *, creditors: Creditors, documents: DocumentStore, mailers: Mapping[str, Mailer], lease_seconds: float,
        pec_receipt: str = "breve", now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._creditors = creditors
        self._documents = documents
        self._mailers = mailers
        self._pec_receipt = pec_receipt
        self._now = now
        self.lease_seconds = lease_seconds
        boxes = (box for creditor in creditors.creditors.values() for box in creditor.mailboxes.values())
        self.connections = sum(box.connections for box in boxes) or 1

    def wants(self, request: Request) -> bool:
        """Not a record without address: its notice is handed over by hand, and nothing is stated about it."""
        return bool(request.record.delivery.address)

    def lane(self, request: Request) -> str:
        """The mailbox."""
        return lane_of(request.record.creditor, request.record.delivery.channel)

    def acted_on(self, request: Request) -> object:
        """What the message is made of and where it goes."""
        record = request.record
        kept: dict[str, set[str] | bool] = {
            "creditor": True, "debtor": {"name"}, "payment": True, "delivery": True, "position": {"notice_code"},
            "documents": {"notice", "letter"}, "registration": {"register_code", "number", "year", "documents"},
        }  # fmt: skip
        return record.model_dump(mode="json", include=kept)

    def reserve(self, session: Session, works: Sequence[Work[SendingRow]]) -> None:  # noqa: ARG002
        """The Message-ID, which stands whatever becomes of the configuration."""
        for work in works:
            found = self._mailbox(work.request.record)
            if found is not None:
                domain = found[1].address.rpartition("@")[2]
                work.row.message_id = mail_message_id(work.request.record.id, work.request.order, domain)

    def act_once(self, work: Work[SendingRow], mark: Callable[[], bool]) -> Outcome:
        """Send. `mark` is called just before the first byte of the message."""
        try:
            mailer, envelope = self._prepared(work)
        except _Impossible as impossible:
            return impossible.outcome
        verdict = mailer.send(envelope, mark)
        match verdict:
            case Accepted(at):
                return Done(self._section(work, SectionState.DONE, sent_at=at))
            case NoAnswer(code):
                return Uncertain(self._section(work, SectionState.UNCERTAIN, code=code, detail=UNCLEAR))
            case _:
                return verdict

    def look(self, work: Work[SendingRow]) -> Outcome | None:  # noqa: ARG002
        """Nothing is known of a message before its receipts are read."""
        return None

    def doubt(self, work: Work[SendingRow]) -> Sending:
        """The section of a message whose sender died on the way."""
        return self._section(work, SectionState.UNCERTAIN, code="interrupted", detail=UNCLEAR)

    def _mailbox(self, record: Record) -> tuple[Creditor, Mailbox] | None:
        creditor = self._creditors.creditors.get(record.creditor)
        mailbox = None if creditor is None else creditor.mailbox(record.delivery.channel)
        return None if creditor is None or mailbox is None else (creditor, mailbox)

    def _prepared(self, work: Work[SendingRow]) -> tuple[Mailer, Envelope]:
        record = work.request.record
        found, mailer = self._mailbox(record), self._mailers.get(self.lane(work.request))
        if found is None or mailer is None or work.row.message_id is None:
            raise _Impossible(Permanent("mailbox-not-configured"))
        creditor, mailbox = found
        notice, letter = self._attachments(record)
        mail = Mail(
            record=record, creditor=creditor, mailbox=mailbox, message_id=work.row.message_id, notice=notice,
            letter=letter, at=self._now(), rehearsal=self._creditors.rehearsal, pec_receipt=self._pec_receipt,
        )  # fmt: skip
        try:
            return mailer, Envelope(mailbox.address, envelope_address(record.delivery.address), compose(mail))
        except BadAddress as bad:
            raise _Impossible(Refused("address-unusable", BAD_ADDRESS)) from bad

    def _attachments(self, record: Record) -> tuple[bytes, bytes | None]:
        documents = record.documents
        if documents is None or documents.state is not SectionState.DONE or documents.notice is None:
            raise _Impossible(Permanent("documents-missing"))
        refs = {"notice": documents.notice, "letter": documents.letter}
        registered = registration(record)
        if record.protocol is not None and registered is None:
            raise _Impossible(Permanent("not-registered"))
        if registered is not None and registered.documents != {kind: ref.sha256 for kind, ref in refs.items() if ref}:
            # What leaves is what the register says, or nothing leaves.
            raise _Impossible(Permanent("document-not-registered"))
        return self._read(documents.notice), self._read(documents.letter) if documents.letter else None

    def _read(self, ref: DocumentRef) -> bytes:
        try:
            return self._documents.get(ref)
        except DocumentMissing as missing:
            raise _Impossible(Permanent("document-not-in-store")) from missing
        except DocumentCorrupt as corrupt:
            raise _Impossible(Permanent("document-corrupt")) from corrupt

    def _section(
        self, work: Work[SendingRow], state: SectionState, *, code: str = "", detail: str = "",
        sent_at: datetime | None = None,
    ) -> Sending:  # fmt: skip
        return Sending(
            order=work.request.order, state=state, code=code, detail=detail, message_id=work.row.message_id or "",
            channel=work.request.record.delivery.channel, mailbox=self.lane(work.request), sent_at=sent_at,
        )  # fmt: skip
