"""The protocol stage: what it registers, what it parks, when it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.protocol.model import RegisterNotDeclared
from services.protocol.stage import ProtocolStage
from services.protocol.tables import ProtocolRow, entries
from services.protocol.wire import wire
from shared.contracts.base import Channel, StageName
from shared.contracts.commands import RegisterNotice, SettleRegistration
from shared.contracts.facts import CommandRefused
from shared.contracts.record import Debtor, Delivery, Documents, Orders, Record, Registration, SectionState
from shared.creditors import Creditors, Register, load_creditors
from shared.db.ledger import LedgerState, fingerprint
from shared.documents import FolderStore
from shared.stage import Done, Outcome, Permanent, Renew, Request, Transient, Work
from shared.wiring import Setup, StageService
from tests.builders import a_document, a_record, a_rendered_record
from tests.databases import database_url

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CREDITORS = load_creditors()


@dataclass
class Desk:
    """A wired service, and a hand that does what the runner does with it."""

    service: StageService
    time: datetime = NOW

    @property
    def stage(self) -> ProtocolStage:
        assert isinstance(self.service.stage, ProtocolStage)
        return self.service.stage

    def new(self, record: Record, order: int = 1) -> Work[ProtocolRow]:
        request = Request(record, Orders(protocol=order), 1, StageName.PROTOCOL)
        row = ProtocolRow(
            record_id=record.id, order=order, batch_id=record.batch_id, updated_at=self.time, request={},
            fingerprint=fingerprint(self.stage.acted_on(request)), lane=self.stage.lane(request),
        )  # fmt: skip
        return Work(request, row)

    def reserve_all(self, works: list[Work[ProtocolRow]]) -> None:
        with self.service.database.write() as session:
            session.add_all(work.row for work in works)
            self.stage.reserve(session, works)

    def reserve(self, record: Record, order: int = 1) -> Work[ProtocolRow]:
        work = self.new(record, order)
        self.reserve_all([work])
        return work

    def renew(self, work: Work[ProtocolRow]) -> Work[ProtocolRow]:
        with self.service.database.write() as session:
            row = session.get_one(ProtocolRow, work.request.key)
            self.stage.renew(session, Work(work.request, row))
            session.add(row)
        return Work(work.request, row)

    def act(self, work: Work[ProtocolRow]) -> Outcome:
        [outcome] = self.stage.act([work])
        return outcome

    def registered(self) -> int:
        with self.service.database.read() as session:
            return sum(1 for _ in entries(session, CREDITORS.creditors["c_x999"], 2026))


@contextmanager
def wired(folder: Path, creditors: Creditors, now: Callable[[], datetime]) -> Iterator[StageService]:
    setup = Setup(
        creditors=creditors,
        documents=FolderStore(folder / "documents"),
        database_url=lambda service: database_url(folder, service),
    )
    service = wire(setup, now)
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desks: list[Desk] = []
    with wired(tmp_path, CREDITORS, lambda: desks[0].time if desks else NOW) as service:
        desks.append(Desk(service))
        yield desks[0]


def test_to_reserve_is_to_register(desk: Desk) -> None:
    notice, letter = a_document(b"notice"), a_document(b"letter")
    documents = Documents(order=1, state=SectionState.DONE, notice=notice, letter=letter)
    work = desk.reserve(a_record(documents=documents))
    assert work.row.state == LedgerState.DONE
    section = Registration.model_validate(work.row.section)
    assert section == Registration(
        order=1,
        state=SectionState.DONE,
        register_code="PG",
        number="0000001",
        year=2026,
        registered_at=NOW,
        segnatura="c_x999|AOO1|PG|0000001|2026-11-24",
        documents={"notice": notice.sha256, "letter": letter.sha256},
    )
    assert desk.act(work) == Done(section)


def test_numbers_of_one_handful_follow_the_rows_of_the_sheet(desk: Desk) -> None:
    works = sorted((desk.new(a_rendered_record(row)) for row in range(2, 12)), key=lambda work: work.request.record.id)
    desk.reserve_all(works)
    numbers = {work.request.record.row: Registration.model_validate(work.row.section).number for work in works}
    assert [numbers[row] for row in range(2, 12)] == [f"{number:07d}" for number in range(1, 11)]


def test_the_entry_holds_what_the_law_asks_for(desk: Desk) -> None:
    record = a_rendered_record()
    desk.reserve(record)
    with desk.service.database.read() as session:
        [entry] = entries(session, CREDITORS.creditors["c_x999"], 2026)
    assert record.protocol is not None
    assert record.documents is not None
    assert record.documents.notice is not None
    assert (entry.subject, entry.recipient) == (record.protocol.subject, record.debtor.name)
    assert (entry.classification, entry.office) == ("7.1", "scuola")
    assert entry.documents == {"notice": record.documents.notice.sha256}
    assert (entry.record_id, entry.order) == (record.id, 1)


def test_the_day_of_the_segnatura_is_that_of_rome(desk: Desk) -> None:
    desk.time = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    section = Registration.model_validate(desk.reserve(a_rendered_record()).row.section)
    assert section.segnatura == "c_x999|AOO1|PG|0000001|2027-01-01"
    assert section.year == 2027


def test_an_order_more_is_a_registration_more(desk: Desk) -> None:
    record = a_rendered_record()
    numbers = [Registration.model_validate(desk.reserve(record, order).row.section).number for order in (1, 2)]
    assert numbers == ["0000001", "0000002"]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (a_record(), "no-documents"),
        (a_record(documents=Documents(order=1, state=SectionState.REFUSED)), "no-documents"),
        (a_record(documents=Documents(order=1, state=SectionState.DONE)), "no-documents"),
        (a_rendered_record(protocol=None), "no-registration-data"),
        (a_rendered_record(creditor="c_z000"), "unknown-creditor"),
    ],
)
def test_what_cannot_be_registered_is_parked_and_takes_no_number(desk: Desk, record: Record, code: str) -> None:
    work = desk.reserve(record)
    assert work.row.state == LedgerState.RESERVED
    assert desk.act(work) == Permanent(code)
    assert desk.registered() == 0


def test_a_clock_far_behind_closes_the_lane_and_the_record_goes_on_later(desk: Desk) -> None:
    desk.reserve(a_rendered_record(2))
    desk.time = NOW - timedelta(hours=1)
    work = desk.reserve(a_rendered_record(3))
    assert desk.act(work) == Transient("clock-behind-register", lane=True, shut=True)
    desk.time = NOW + timedelta(minutes=1)
    assert isinstance(desk.act(work), Renew)
    outcome = desk.act(desk.renew(work))
    assert isinstance(outcome, Done)
    assert isinstance(outcome.section, Registration)
    assert outcome.section.number == "0000002"


def test_only_what_is_registered_makes_a_request_another_one(desk: Desk) -> None:
    record = a_rendered_record()

    def acted_on(**parts: object) -> object:
        return desk.stage.acted_on(
            Request(record.model_copy(update=parts), Orders(), 1, StageName.PROTOCOL),
        )

    assert acted_on() == acted_on(delivery=Delivery(channel=Channel.EMAIL, address="altro@example.org"))
    assert acted_on() != acted_on(debtor=Debtor(name="Bianchi Ada", fiscal_code=record.debtor.fiscal_code))
    changed = Documents(order=1, state=SectionState.DONE, notice=a_document(b"another"))
    assert acted_on() != acted_on(documents=changed)


def test_nothing_is_ever_in_doubt(desk: Desk) -> None:
    command = SettleRegistration(command_id=uuid4(), batch_id=uuid4(), record_id=uuid4(), order=1, verdict="done")
    [fact] = desk.service.handlers[SettleRegistration](command)
    assert isinstance(fact, CommandRefused)
    assert (fact.command_id, fact.code) == (command.command_id, "registration-not-uncertain")
    assert desk.service.triggers == {RegisterNotice}


def declared(register: Register) -> Creditors:
    """A file for real work, with this declaration."""
    creditor = CREDITORS.creditors["c_x999"].model_copy(update={"protocol": register})
    return CREDITORS.model_copy(update={"rehearsal": False, "creditors": {"c_x999": creditor}})


def test_a_register_that_nobody_declared_does_not_start(tmp_path: Path) -> None:
    with (
        pytest.raises(RegisterNotDeclared, match=r"creditors\.c_x999\.protocol: mancano declared_by_act"),
        wired(tmp_path, declared(Register()), lambda: NOW),
    ):
        pass


def test_a_register_starts_on_its_day_and_not_before(tmp_path: Path) -> None:
    creditors = declared(Register(declared_by_act="Delibera 12", declared_on=date(2026, 11, 25)))
    with pytest.raises(RegisterNotDeclared, match="declared_on"), wired(tmp_path, creditors, lambda: NOW):
        pass
    midnight = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)  # 25 November in Rome
    with wired(tmp_path, creditors, lambda: midnight) as service:
        assert service.stage.name is StageName.PROTOCOL
