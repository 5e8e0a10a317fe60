"""The dispatch service whole: from a fact in hand, over real SMTP, to the facts that it states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest

from deploy.simulators.mail import FaultKind, MailSimulator
from services.dispatch.settings import DispatchSettings
from services.dispatch.wire import wire
from shared.bus.delivery import Delivery
from shared.bus.runner import StageRunner
from shared.contracts.base import Channel
from shared.contracts.commands import DispatchNotice, Message, SettleSending
from shared.contracts.envelope import Envelope
from shared.contracts.facts import (
    CommandRefused,
    CommandTaken,
    LaneClosed,
    LaneOpened,
    NoticeRegistered,
    NoticeSent,
    SendingRefused,
    SendingUncertain,
    StageFailed,
)
from shared.contracts.record import Delivery as Destination
from shared.contracts.record import Documents, Orders, Record, Registration, SectionState
from shared.creditors import Creditors, load_creditors
from shared.documents import PDF, FolderStore
from shared.wiring import Setup, StageService
from tests.builders import a_rendered_record
from tests.databases import database_url

EXAMPLE = Path(__file__).parents[2] / "deploy" / "examples" / "creditors.toml"


@dataclass
class Relay:
    """The service on its runner, between a simulator and a list of what it published."""

    simulator: MailSimulator
    store: FolderStore
    service: StageService
    told: list[Message] = field(default_factory=list)
    runner: StageRunner = field(init=False)

    def __post_init__(self) -> None:
        self.runner = StageRunner(self.service, self.publish, "test")

    def hand(self, *messages: Message) -> list[Message]:
        """Give it these messages in one handful; what it states about them (not about its lanes)."""
        self.told.clear()
        self.runner.handle([Delivery(Envelope.of(message, source="protocol"), message) for message in messages])
        return [message for message in self.told if not isinstance(message, LaneOpened | LaneClosed)]

    def publish(self, envelopes: Sequence[Envelope]) -> None:
        self.told += [envelope.message() for envelope in envelopes]

    def a_registered_record(self, row: int = 2, **parts: Any) -> Record:
        """Rendered with a letter, and registered with both hashes."""
        notice = self.store.put(f"%PDF-1.7 notice {row}".encode(), PDF)
        letter = self.store.put(f"%PDF-1.7 letter {row}".encode(), PDF)
        registration = Registration(
            order=1, state=SectionState.DONE, register_code="PG", number=f"{row:07d}", year=2026,
            registered_at=datetime(2026, 11, 24, 9, tzinfo=UTC),
            documents={"notice": notice.sha256, "letter": letter.sha256},
        )  # fmt: skip
        documents = Documents(order=1, state=SectionState.DONE, notice=notice, letter=letter)
        return a_rendered_record(row, **{"documents": documents, "registration": registration, **parts})

    def sent(self) -> list[EmailMessage]:
        archive = self.simulator.archive
        return [
            message_from_bytes(archive.read(kept.file), _class=EmailMessage, policy=SMTP) for kept in archive.kept()
        ]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    simulator = MailSimulator.start(tmp_path / "mail")
    store = FolderStore(tmp_path / "documents")
    creditors: Creditors = load_creditors(EXAMPLE).with_simulators("http://127.0.0.1:1", simulator.smtp_port)
    service = wire(Setup(creditors, store, lambda name: database_url(tmp_path, name)), DispatchSettings())
    built = Relay(simulator, store, service)
    yield built
    built.runner.close()
    service.close()
    simulator.stop()


def test_a_registered_notice_is_sent_once_and_said_as_often_as_asked(relay: Relay) -> None:
    record = relay.a_registered_record()
    said = [relay.hand(NoticeRegistered(record=record, orders=Orders(render=2), issue=1)) for _ in range(3)]
    assert said[0] == said[1] == said[2]
    (fact,) = said[0]
    assert isinstance(fact, NoticeSent)
    assert fact.orders == Orders(render=2)
    sending = fact.record.sending
    assert sending is not None
    assert (sending.state, sending.channel, sending.mailbox) == (SectionState.DONE, Channel.PEC, "c_x999:pec")
    assert sending.sent_at is not None
    (message,) = relay.sent()
    assert message["Message-ID"] == sending.message_id
    assert [part.get_content() for part in message.iter_attachments()] == [b"%PDF-1.7 notice 2", b"%PDF-1.7 letter 2"]


def test_a_handful_goes_over_the_mailboxes_of_its_channels(relay: Relay) -> None:
    by_mail = Destination(channel=Channel.EMAIL, address="anna@example.org")
    records = [relay.a_registered_record(row) for row in range(2, 12)]
    records += [relay.a_registered_record(row, delivery=by_mail) for row in range(12, 22)]
    facts = relay.hand(*(NoticeRegistered(record=record) for record in records))
    assert [type(fact) for fact in facts] == [NoticeSent] * 20
    senders = sorted(str(message["From"].addresses[0].addr_spec) for message in relay.sent())
    assert (
        senders == ["avvisi@comune.borgo-esempio.example"] * 10 + ["protocollo@pec.comune.borgo-esempio.example"] * 10
    )


def test_what_is_not_registered_is_sent_where_nobody_asked_for_a_registration(relay: Relay) -> None:
    record = relay.a_registered_record(protocol=None, registration=None)
    (fact,) = relay.hand(DispatchNotice(record=record))
    assert isinstance(fact, NoticeSent)
    assert "Prot." not in relay.sent()[0]["Subject"]


def test_a_record_without_address_is_left_alone(relay: Relay) -> None:
    record = relay.a_registered_record(delivery=Destination(channel=Channel.PEC))
    assert relay.hand(NoticeRegistered(record=record)) == []
    assert relay.sent() == []


def other(sha256: str) -> str:
    return ("0" if sha256[0] != "0" else "1") + sha256[1:]


@pytest.mark.parametrize("changed", ["notice", "letter", "no-letter", "no-hashes", "not-registered"])
def test_a_document_that_is_not_the_registered_one_does_not_leave(relay: Relay, changed: str) -> None:
    record = relay.a_registered_record()
    registered = record.registration
    assert registered is not None
    hashes = dict(registered.documents)
    if changed in hashes:
        hashes[changed] = other(hashes[changed])
    elif changed == "no-letter":
        del hashes["letter"]
    else:
        hashes = {}
    registration = None if changed == "not-registered" else registered.model_copy(update={"documents": hashes})
    (fact,) = relay.hand(NoticeRegistered(record=record.model_copy(update={"registration": registration})))
    assert isinstance(fact, StageFailed)
    assert fact.permanent
    assert fact.code == ("not-registered" if changed == "not-registered" else "document-not-registered")
    assert relay.sent() == []


def test_bytes_that_changed_in_the_store_do_not_leave(relay: Relay) -> None:
    record = relay.a_registered_record()
    assert record.documents is not None
    assert record.documents.notice is not None
    relay.store.path(record.documents.notice).write_bytes(b"%PDF-1.7 another")
    (fact,) = relay.hand(NoticeRegistered(record=record))
    assert isinstance(fact, StageFailed)
    assert (fact.code, fact.permanent) == ("document-corrupt", True)
    assert relay.sent() == []


def test_a_greylisted_recipient_is_tried_again_without_marking_the_lane(relay: Relay) -> None:
    record = relay.a_registered_record()
    relay.simulator.fault(FaultKind.GREYLIST)
    (failed,) = relay.hand(NoticeRegistered(record=record))
    assert isinstance(failed, StageFailed)
    assert (failed.code, failed.permanent) == ("recipient-deferred", False)
    (fact,) = relay.hand(NoticeRegistered(record=record, issue=2))
    assert isinstance(fact, NoticeSent)


def test_an_unknown_recipient_is_refused_in_words_without_the_address(relay: Relay) -> None:
    record = relay.a_registered_record()
    relay.simulator.fault(FaultKind.UNKNOWN_RECIPIENT)
    (fact,) = relay.hand(NoticeRegistered(record=record))
    assert isinstance(fact, SendingRefused)
    assert fact.record.sending is not None
    assert fact.record.sending.code == "recipient-refused"
    assert record.delivery.address not in fact.record.sending.detail


def uncertain(relay: Relay, fault: FaultKind = FaultKind.CUT_LOST) -> Record:
    record = relay.a_registered_record()
    relay.simulator.fault(fault)
    (fact,) = relay.hand(NoticeRegistered(record=record, orders=Orders(protocol=3)))
    assert isinstance(fact, SendingUncertain)
    assert fact.record.sending is not None
    assert fact.record.sending.code == "no-answer-after-data"
    return record


def a_verdict(record_id: UUID, verdict: Literal["done", "not-done"], order: int = 1) -> SettleSending:
    return SettleSending(command_id=uuid4(), batch_id=uuid4(), record_id=record_id, order=order, verdict=verdict)


@pytest.mark.parametrize("fault", [FaultKind.CUT_LOST, FaultKind.CUT_ACCEPTED])
def test_an_unclear_end_is_never_tried_again_by_the_machine(relay: Relay, fault: FaultKind) -> None:
    record = uncertain(relay, fault)
    (again,) = relay.hand(NoticeRegistered(record=record, issue=2))
    assert isinstance(again, SendingUncertain)
    assert len(relay.sent()) == (1 if fault is FaultKind.CUT_ACCEPTED else 0)


@pytest.mark.parametrize(("verdict", "kind", "code"), [
    ("done", NoticeSent, ""), ("not-done", SendingRefused, "settled-not-sent"),
])  # fmt: skip
def test_a_person_settles_an_unclear_end_once(
    relay: Relay, verdict: Literal["done", "not-done"], kind: type, code: str
) -> None:
    record = uncertain(relay)
    command = a_verdict(record.id, verdict)
    for _ in range(2):
        taken, fact = relay.hand(command)
        assert isinstance(taken, CommandTaken)
        assert (taken.command_id, taken.record_ids) == (command.command_id, [record.id])
        assert isinstance(fact, kind)
        assert isinstance(fact, NoticeSent | SendingRefused)
        assert fact.record.sending is not None
        assert (fact.record.sending.code, fact.record.sending.sent_at) == (code, None)
        assert fact.record.sending.message_id.startswith(f"<avviso.{record.id.hex}.1@")
        assert fact.orders == Orders(protocol=3)
    (late,) = relay.hand(a_verdict(record.id, "not-done" if verdict == "done" else "done"))
    assert isinstance(late, CommandRefused)


def test_a_verdict_on_what_is_not_unclear_is_refused(relay: Relay) -> None:
    record = uncertain(relay)
    for command in (a_verdict(record.id, "done", order=2), a_verdict(uuid4(), "not-done")):
        (refused,) = relay.hand(command)
        assert isinstance(refused, CommandRefused)
        assert refused.code == "not-uncertain"


def test_sent_anew_under_the_next_order_it_has_another_message_id(relay: Relay) -> None:
    record = uncertain(relay)
    relay.hand(a_verdict(record.id, "not-done"))
    (fact,) = relay.hand(NoticeRegistered(record=record, orders=Orders(dispatch=2)))
    assert isinstance(fact, NoticeSent)
    assert [str(message["Message-ID"]).split("@")[0] for message in relay.sent()] == [f"<avviso.{record.id.hex}.2"]
