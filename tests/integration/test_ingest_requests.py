"""Other systems ask for batches: what is granted is taken whole, everything is answered, outcomes hold no debtor's data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import col, select

from services.ingest.intake import NoRequest
from services.ingest.tables import Batch, ClientDay, Row
from shared.bus.delivery import Delivery
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import (
    AssignIuv,
    BatchOptions,
    CancelBatch,
    DispatchNotice,
    GenerateNotices,
    Message,
    PauseBatch,
    PreviewRecord,
    RecordCommand,
    RegisterOptions,
    RequestBatch,
    SendNotices,
)
from shared.contracts.envelope import Envelope
from shared.contracts.facts import BatchIngested, CommandRefused, CommandTaken, RecordsAccepted
from shared.contracts.outcomes import (
    BatchOutcome,
    BatchState,
    Outcome,
    RecordOutcome,
    RecordOutcomes,
    RecordState,
    RequestAccepted,
    RequestRefused,
)
from shared.contracts.record import SectionState
from shared.creditors import Creditors, load_creditors
from shared.documents import XLSX
from shared.ids import derived
from tests.builders import a_document
from tests.fakes import Killed, Out, delivered
from tests.ingest_house import IngestHouse, answers, failed

DUE = datetime.now(UTC).date() + timedelta(days=60)
OPTIONS = BatchOptions(channel=Channel.AUTO, payment_type="scuolabus", due_date=DUE, reason="Trasporto scolastico")
CLIENT, OTHER = "gestionale-scuola", "tributi"
BATCH = derived("batch", CLIENT, "anno-2027")
PEOPLE = ("Rossi Maria", "RSSMRA85T50H501S", "maria.rossi@pec.example", "Via Verdi", "8505")


def granting(**grants: Any) -> Creditors:
    """The example's creditors, and two clients of theirs."""
    known = load_creditors()
    client = known.clients[CLIENT].model_copy(update={"until": Phase.SEND, **grants})
    return known.model_copy(update={"clients": {CLIENT: client, OTHER: client}})


class Office:
    """Another system in front of ingest: it publishes, and keeps what it is told."""

    def __init__(self, house: IngestHouse, name: str = CLIENT) -> None:
        self.house = house
        self.name = name
        self.heard: list[Outcome] = []
        self.inside: list[Message] = []

    def ask(self, request: RequestBatch, user: str | None = None) -> Outcome:
        """Publish; the answer."""
        user = self.name if user is None else user
        self.house.service.take_batches([delivered(request, source="stranger", user=user)])
        *_, answer = self.listen(ticks=0)
        return answer

    def listen(self, ticks: int = 1) -> list[Outcome]:
        """What it is told in so many ticks."""
        for _ in range(ticks):
            self.house.service.outcomes.tick()
        heard = []
        for envelope in self.house.out.take_envelopes():
            message = envelope.message()
            if isinstance(message, Outcome):
                assert envelope.exchange == "outcomes"
                assert envelope.key.startswith(f"{self.name}.")
                heard.append(message)
            else:
                self.inside.append(message)
        self.heard += heard
        return heard

    def work(self) -> list[Outcome]:
        """Let everything happen that may, with all stages well."""
        before = len(self.heard)
        for _ in range(30):
            self.house.service.tick()
            said = self.listen(ticks=0)
            commands = [each for each in self.inside if isinstance(each, RecordCommand)]
            self.inside = [each for each in self.inside if not isinstance(each, RecordCommand)]
            facts = [fact for each in commands if not isinstance(each, PreviewRecord) for fact in answers(each)]
            self.house.service.take_facts([delivered(fact, source="iuv") for fact in facts])
            if not said and not facts:
                break
        return self.heard[before:]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path, granting())
    yield house
    house.close()


@pytest.fixture
def office(house: IngestHouse) -> Office:
    return Office(house)


def listed(number: int = 1, **parts: Any) -> dict[str, Any]:
    """A good record."""
    return {
        "reference": f"pratica-{number}", "name": "Rossi Maria", "fiscal_code": "RSSMRA85T50H501S",
        "amount_cents": 8504 + number, "address": "maria.rossi@pec.example", "postal": {"street": "Via Verdi"}, **parts,
    }  # fmt: skip


def request(count: int = 2, **parts: Any) -> RequestBatch:
    """A request for so many records."""
    records = [listed(number) for number in range(1, count + 1)]
    given = {"request_id": "anno-2027", "creditor": "c_x999", "options": OPTIONS, "records": records, **parts}
    return RequestBatch.model_validate_json(json.dumps(given, default=lambda each: each.model_dump(mode="json")))


def refusal(outcome: Outcome) -> tuple[str, str, str]:
    assert isinstance(outcome, RequestRefused)
    assert outcome.detail
    assert not any(person in outcome.model_dump_json() for person in PEOPLE)
    return outcome.code, outcome.record, outcome.field


def latest(outcomes: list[Outcome]) -> dict[str, RecordOutcome]:
    """What a client knows of its records."""
    known: dict[str, RecordOutcome] = {}
    for outcome in outcomes:
        for record in outcome.records if isinstance(outcome, RecordOutcomes) else ():
            if record.reference not in known or record.revision > known[record.reference].revision:
                known[record.reference] = record
    return known


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {reference: record.state.value for reference, record in latest(outcomes).items()}


def ends(outcomes: list[Outcome]) -> list[tuple[BatchState, bool]]:
    return [(each.state, each.done) for each in outcomes if isinstance(each, BatchOutcome)]


def rows(house: IngestHouse) -> list[Row]:
    with house.service.database.read() as session:
        return list(session.exec(select(Row).order_by(col(Row.number))))


def batches(house: IngestHouse) -> int:
    with house.service.database.read() as session:
        return len(session.exec(select(Batch)).all())


def test_no_file_of_the_dashboard_is_merged_into_what_a_client_asked_for(house: IngestHouse, office: Office) -> None:
    office.ask(request(2))
    before = [(row.id, row.record) for row in rows(house)]
    sheet = house.documents.put(b"another list", XLSX)
    given = {"batch_id": BATCH, "request_id": "anno-2027", "creditor": "c_x999", "options": OPTIONS, "sheet": sheet}
    merge = RequestBatch.model_validate({**given, "command_id": uuid4(), "client": "status", "file_name": "altro.xlsx"})
    house.service.take_batches([delivered(merge, source="status")])
    *_, refused = house.out.take()
    assert isinstance(refused, CommandRefused)
    assert (refused.code, "altro sistema" in refused.message) == ("client-batch", True)
    assert [(row.id, row.record) for row in rows(house)] == before


def test_a_request_is_taken_and_its_outcomes_follow_to_the_end(house: IngestHouse, office: Office) -> None:
    answer = office.ask(request(2, until=Phase.SEND))
    assert answer == RequestAccepted(request_id="anno-2027", batch_id=BATCH, records=2, until=Phase.SEND)
    heard = office.work()
    assert states(heard) == {"pratica-1": "sent", "pratica-2": "sent"}
    assert ends(heard)[-1] == (BatchState.SENT, True)
    last = [each for each in heard if isinstance(each, BatchOutcome)][-1]
    assert last.counts == {RecordState.SENT: 2}


def test_the_inside_hears_of_it_as_of_any_other_batch(house: IngestHouse, office: Office) -> None:
    office.ask(request(2, until=Phase.GENERATE))
    told = [each for each in office.inside if isinstance(each, BatchIngested)]
    assert [(each.client, each.request_id, each.rows, each.accepted) for each in told] == [(CLIENT, "anno-2027", 2, 2)]
    assert house.documents.get(told[0].sheet).startswith(b'{"creditor"')
    [chunk] = [each for each in office.inside if isinstance(each, RecordsAccepted)]
    assert [each.record.reference for each in chunk.records] == ["pratica-1", "pratica-2"]
    assert [each.record.payment.amount_cents for each in chunk.records] == [8505, 8506]


def test_outcomes_name_no_debtor(house: IngestHouse, office: Office) -> None:
    office.ask(request(2, until=Phase.SEND))
    office.work()
    said = "".join(outcome.model_dump_json() for outcome in office.heard)
    assert [person for person in PEOPLE if person in said] == []


def test_notice_and_registration_numbers_are_told(house: IngestHouse, office: Office) -> None:
    options = OPTIONS.model_copy(
        update={"register_options": RegisterOptions(subject="Avviso", classification="7.1", office="scuola")}
    )
    office.ask(request(1, options=options, until=Phase.SEND))
    states_seen = [states([each]) for each in office.work() if isinstance(each, RecordOutcomes)]
    assert states_seen[-1] == {"pratica-1": "sent"}
    assert {"pratica-1": "generated"} in states_seen


def test_a_repeated_request_is_the_same_batch_and_is_told_everything_again(house: IngestHouse, office: Office) -> None:
    first = office.ask(request(3, until=Phase.GENERATE))
    before = latest(office.work())
    house.clock.forward(seconds=60)
    assert office.ask(request(3, until=Phase.GENERATE)) == first
    again = office.listen()
    assert latest(again) == before
    assert ends(again) == [(BatchState.GENERATED, True)]
    assert batches(house) == 1


def test_however_often_it_repeats_it_is_told_everything_once_in_a_while(house: IngestHouse, office: Office) -> None:
    office.ask(request(3))
    office.listen()
    for _ in range(20):
        office.ask(request(3))
        assert office.listen() == []
    house.clock.forward(seconds=11)
    assert len(latest(office.listen())) == 3
    assert office.listen() == []


def test_a_repeat_tells_the_inside_nothing_new(house: IngestHouse, office: Office) -> None:
    office.ask(request(2))
    office.inside.clear()
    office.ask(request(2))
    assert office.inside == []


def test_the_same_request_with_a_further_phase_allows_it(house: IngestHouse, office: Office) -> None:
    office.ask(request(2))
    assert ends(office.work()) == [(BatchState.CHECKED, True)]
    answer = office.ask(request(2, until=Phase.GENERATE))
    assert isinstance(answer, RequestAccepted)
    assert answer.until is Phase.GENERATE
    house.clock.forward(seconds=11)
    heard = office.work()
    assert states(heard) == {"pratica-1": "generated", "pratica-2": "generated"}
    assert ends(heard)[-1] == (BatchState.GENERATED, True)


def test_an_earlier_phase_takes_nothing_back(house: IngestHouse, office: Office) -> None:
    office.ask(request(2, until=Phase.GENERATE))
    answer = office.ask(request(2, until=Phase.PREVIEW))
    assert isinstance(answer, RequestAccepted)
    assert answer.until is Phase.GENERATE


def test_other_records_under_the_same_name_are_refused(house: IngestHouse, office: Office) -> None:
    office.ask(request(2))
    assert refusal(office.ask(request(3))) == ("content-differs", "", "")
    other = OPTIONS.model_copy(update={"reason": "Altro"})
    assert refusal(office.ask(request(2, options=other))) == ("content-differs", "", "")
    assert len(rows(house)) == 2


def test_two_clients_may_use_the_same_name(house: IngestHouse, office: Office) -> None:
    office.ask(request(1))
    assert isinstance(Office(house, OTHER).ask(request(1)), RequestAccepted)
    assert batches(house) == 2


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"name": ""}, "missing-value", "name"),
        ({"fiscal_code": "RSSMRA85T50H501X"}, "wrong-check-character", "fiscal_code"),
        ({"fiscal_code": ""}, "missing-code", "fiscal_code"),
        ({"vat_code": "123"}, "wrong-code-length", "vat_code"),
        ({"amount_cents": 0}, "zero-amount", "amount_cents"),
        ({"amount_cents": -5}, "negative-amount", "amount_cents"),
        ({"amount_cents": 10**20}, "amount-too-large", "amount_cents"),
        ({"amount_cents": 100_000_000_000}, "amount-too-large", "amount_cents"),
        ({"address": "a@b@c"}, "malformed-address", "address"),
        ({"reason": "x" * 141}, "too-long", "reason"),
        ({"name": "Rossi\u0000Maria"}, "control-character", "name"),
        ({"postal": {"province": "Varese"}}, "wrong-province", "postal.province"),
        ({"reference": "pratica-1"}, "reference-repeated", "reference"),
    ],
)
def test_one_wrong_record_refuses_the_request_whole(
    house: IngestHouse, office: Office, changed: dict[str, Any], code: str, field: str
) -> None:
    records = [listed(1), listed(2), listed(3, **changed)]
    reference = records[2]["reference"]
    assert refusal(office.ask(request(records=records))) == (code, reference, field)
    assert rows(house) == []
    assert isinstance(office.ask(request(3)), RequestAccepted)


def test_a_reference_that_is_a_tax_code_is_not_told_back(house: IngestHouse, office: Office) -> None:
    records = [listed(1, reference="RSSMRA85T50H501S")]
    assert refusal(office.ask(request(records=records))) == ("reference-personal", "", "reference")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"creditor": "c_a000"}, "creditor-not-granted"),
        ({"options": OPTIONS.model_copy(update={"payment_type": "mensa"})}, "payment-type-not-granted"),
        ({"options": OPTIONS.model_copy(update={"due_date": DUE - timedelta(days=400)})}, "due-date-past"),
        ({"options": OPTIONS.model_copy(update={"letter": "amore"})}, "unknown-letter"),
        ({"records": []}, "no-records"),
        ({"records": [listed(number) for number in range(1, 1002)]}, "too-many-records"),
        ({"sheet": a_document()}, "sheet-not-accepted"),
    ],
)
def test_what_is_not_granted_is_refused(house: IngestHouse, office: Office, changed: dict[str, Any], code: str) -> None:
    assert refusal(office.ask(request(**changed))) == (code, "", "")
    assert batches(house) == 0


@pytest.mark.parametrize("text", ["a\u0000b", "a\u202eb"])
def test_invisible_characters_in_an_option_are_refused_with_its_field(
    house: IngestHouse, office: Office, text: str
) -> None:
    options = OPTIONS.model_copy(update={"reason": text})
    assert refusal(office.ask(request(options=options))) == ("control-character", "", "options.reason")
    assert batches(house) == 0


def test_a_phase_beyond_the_grant_is_refused_and_an_operator_may_allow_it(tmp_path: Path) -> None:
    house = IngestHouse(tmp_path, granting(until=Phase.PREVIEW))
    office = Office(house)
    assert refusal(office.ask(request(1, until=Phase.GENERATE))) == ("until-not-granted", "", "")
    office.ask(request(1))
    office.work()
    assert refusal(office.ask(request(1, until=Phase.GENERATE))) == ("until-not-granted", "", "")
    house.service.take_control([delivered(GenerateNotices(command_id=uuid4(), batch_id=BATCH), source="status")])
    assert states(office.work()) == {"pratica-1": "generated"}
    house.close()


def test_records_are_counted_by_the_day_and_only_once(tmp_path: Path) -> None:
    house = IngestHouse(tmp_path, granting(records_per_day=5))
    office = Office(house)
    for _ in range(3):
        assert isinstance(office.ask(request(3)), RequestAccepted)
    assert refusal(office.ask(request(3, request_id="secondo"))) == ("records-per-day", "", "")
    assert isinstance(office.ask(request(2, request_id="terzo")), RequestAccepted)
    assert isinstance(Office(house, OTHER).ask(request(3)), RequestAccepted)
    house.clock.forward(hours=11)  # 23:00 UTC of the same day is tomorrow in Rome
    assert isinstance(office.ask(request(3, request_id="secondo")), RequestAccepted)
    with house.service.database.read() as session:
        days = {(day.client, day.day.day): day.records for day in session.exec(select(ClientDay))}
    assert days == {(CLIENT, 24): 5, (OTHER, 24): 3, (CLIENT, 25): 3}
    house.close()


def test_a_flood_is_answered_and_stops_at_the_grant(tmp_path: Path) -> None:
    house = IngestHouse(tmp_path, granting(requests_per_day=10))
    office = Office(house)
    answered = [office.ask(request(1, request_id=f"r{number}")) for number in range(30)]
    assert sum(isinstance(each, RequestAccepted) for each in answered) == 10
    assert {refusal(each)[0] for each in answered[10:]} == {"requests-per-day"}
    assert batches(house) == 10
    house.close()


def test_an_outage_takes_nothing_of_what_a_client_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is held and tried again until the store, or the broker, works: that is one request."""
    house = IngestHouse(tmp_path, granting(requests_per_day=2))
    office = Office(house)
    message = delivered(request(1), user=CLIENT)

    def away(*_given: object) -> None:
        raise OSError("no store")

    with monkeypatch.context() as outage:
        outage.setattr(house.documents, "put", away)
        for _ in range(3):
            with pytest.raises(OSError, match="no store"):
                house.service.take_batches([message])
    house.out.away = True
    for held in (message, unread(NoRequest(code="unreadable"))) * 3:
        with pytest.raises(ConnectionError):
            house.service.take_batches([held])
    house.out.away = False
    house.service.take_batches([message])
    [*_, answer] = office.listen(ticks=0)
    assert isinstance(answer, RequestAccepted)
    assert isinstance(office.ask(request(1, request_id="altro")), RequestAccepted)
    assert refusal(office.ask(request(1, request_id="terzo")))[0] == "requests-per-day"
    house.close()


@pytest.mark.parametrize("user", ["stranger", "ingest"])
def test_a_stranger_is_not_heard(house: IngestHouse, office: Office, user: str) -> None:
    house.service.take_batches([delivered(request(1), source="status", user=user)])
    assert office.listen() == []
    assert batches(house) == 0


@pytest.mark.parametrize("code", ["unreadable", "too-large", "control-character"])
def test_a_body_that_is_no_request_is_answered_and_counted(tmp_path: Path, code: str) -> None:
    house = IngestHouse(tmp_path, granting(requests_per_day=1))
    office = Office(house)
    body = NoRequest.model_validate({"code": code, "request_id": "r", "record": "pratica-1", "field": "amount_cents"})
    for expected in (code, "requests-per-day"):
        house.service.take_batches([unread(body)])
        [answer] = office.listen(ticks=0)
        assert refusal(answer) == (expected, "pratica-1", "amount_cents")
    house.service.take_batches([unread(body, user="stranger")])
    assert office.listen() == []
    house.close()


def unread(body: NoRequest, user: str = CLIENT) -> Delivery:
    """A delivery whose body is no request."""
    return replace(delivered(request(1), user=user), message=body)


def test_the_body_does_not_say_who_asks(house: IngestHouse, office: Office) -> None:
    forged = request(1, client=OTHER, batch_id=str(uuid4()), command_id=str(uuid4()), by="sindaco")
    answer = office.ask(forged)
    assert isinstance(answer, RequestAccepted)
    assert answer.batch_id == BATCH
    with house.service.database.read() as session:
        batch = session.get_one(Batch, BATCH)
    assert (batch.client, batch.by) == (CLIENT, "")


@pytest.mark.parametrize("kind", [SendNotices, PauseBatch, CancelBatch])
def test_a_client_decides_nothing_about_batches(
    house: IngestHouse, office: Office, kind: type[SendNotices | PauseBatch | CancelBatch]
) -> None:
    office.ask(request(1, until=Phase.GENERATE))
    office.work()
    house.service.take_control([delivered(kind(command_id=uuid4(), batch_id=BATCH), source="status", user=CLIENT)])
    assert house.out.take() == []
    with house.service.database.read() as session:
        batch = session.get_one(Batch, BATCH)
    assert (batch.until, batch.paused, batch.cancelling) == ("generate", False, False)


def test_an_operator_decides_and_the_client_hears_of_it(house: IngestHouse, office: Office) -> None:
    office.ask(request(2, until=Phase.GENERATE))
    office.work()
    house.service.take_control([delivered(CancelBatch(command_id=uuid4(), batch_id=BATCH), source="status")])
    heard = office.work()
    assert states(heard) == {"pratica-1": "cancelled", "pratica-2": "cancelled"}
    assert ends(heard)[-1] == (BatchState.CANCELLED, True)
    assert refusal(office.ask(request(2, until=Phase.SEND))) == ("batch-cancelled", "", "")
    assert isinstance(office.ask(request(2, until=Phase.GENERATE)), RequestAccepted)


def test_a_parked_record_is_told_with_its_code(house: IngestHouse, office: Office) -> None:
    office.ask(request(1, until=Phase.GENERATE))
    office.listen()
    [command] = house.issue()
    house.hear(failed(command.record, code="wrong-key", permanent=True))
    [outcome] = latest(office.listen()).values()
    assert (outcome.state, outcome.code) == (RecordState.PARKED, "wrong-key")


def test_a_refused_record_is_told_with_its_code(house: IngestHouse, office: Office) -> None:
    office.ask(request(1, until=Phase.SEND))
    office.listen()
    [command] = house.issue()
    house.hear(*answers(command))
    [command] = house.issue()
    assert isinstance(command, DispatchNotice)
    house.hear(*answers(command, state=SectionState.REFUSED, code="no-such-mailbox"))
    [outcome] = latest(office.listen()).values()
    assert (outcome.state, outcome.code) == (RecordState.REFUSED, "no-such-mailbox")


class CutOff(Out):
    """A broker that takes so many publishes; at the next one the process is killed."""

    def __init__(self, allowed: int) -> None:
        super().__init__()
        self._allowed = allowed

    def __call__(self, envelopes: Sequence[Envelope]) -> None:
        if self._allowed == 0:
            raise Killed
        self._allowed -= 1
        super().__call__(envelopes)


@pytest.mark.parametrize("allowed", range(6))
def test_a_crash_after_any_publish_loses_no_word(house: IngestHouse, office: Office, allowed: int) -> None:
    """Killed at the n-th publish: the message comes again, and everything is said that has to be."""
    cut = CutOff(allowed)
    house.out = cut
    house.crash()
    message = delivered(request(450, until=Phase.GENERATE), source="stranger", user=CLIENT)
    with suppress(Killed):
        house.service.take_batches([message])
        house.service.outcomes.tick()
    house.out = Out()
    house.crash()
    house.out.envelopes.extend(cut.envelopes)
    house.clock.forward(seconds=60)
    house.service.take_batches([message])
    office.listen(ticks=2)
    told = [each.record.row for said in office.inside if isinstance(said, RecordsAccepted) for each in said.records]
    assert set(told) == set(range(1, 451))
    assert any(isinstance(each, BatchIngested) for each in office.inside)
    assert len(latest(office.heard)) == 450
    assert batches(house) == 1


def test_what_the_broker_did_not_take_is_told_later(house: IngestHouse, office: Office) -> None:
    office.ask(request(2))
    house.out.away = True
    with pytest.raises(ConnectionError):
        house.service.outcomes.tick()
    house.out.away = False
    heard = office.listen()
    assert len(latest(heard)) == 2
    assert office.listen() == []


def test_letters_of_a_clients_batch_can_be_looked_at(house: IngestHouse, office: Office) -> None:
    options = OPTIONS.model_copy(update={"letter": "scuolabus"})
    columns = {"Alunno": "Emma", "Plesso": "Rodari", "Tratta": "3", "Altro": "x"}
    office.ask(request(options=options, records=[listed(1, columns=columns)]))
    [command] = house.issue()
    assert isinstance(command, PreviewRecord)
    assert command.record.columns == {"Alunno": "Emma", "Plesso": "Rodari", "Tratta": "3"}


def test_a_request_of_our_own_without_a_sheet_is_a_bug_and_harms_nobody(house: IngestHouse, office: Office) -> None:
    house.service.take_batches([delivered(request(1), source="status")])
    assert house.out.take() == []
    assert batches(house) == 0


def test_a_decision_of_the_dashboard_is_answered_as_ever(house: IngestHouse, office: Office) -> None:
    office.ask(request(1))
    house.service.take_control([delivered(PauseBatch(command_id=uuid4(), batch_id=BATCH), source="status")])
    assert any(isinstance(each, CommandTaken) for each in house.out.take())
    assert ends(office.listen())[-1] == (BatchState.PAUSED, False)


def test_nothing_is_issued_before_it_is_allowed(house: IngestHouse, office: Office) -> None:
    office.ask(request(1))
    assert house.issue() == []
    office.ask(request(1, until=Phase.GENERATE))
    [command] = house.issue()
    assert isinstance(command, AssignIuv)
