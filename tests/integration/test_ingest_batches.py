"""Real spreadsheets come in: for the first time, again, corrected, disturbed, cut half-way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import select

from services.ingest.model import RowState
from services.ingest.tables import Row
from shared.contracts.base import Channel, Phase
from shared.contracts.commands import (
    AssignIuv,
    BatchOptions,
    CorrectRecord,
    GenerateNotices,
    Message,
    PauseBatch,
    PreviewRecord,
    RegisterOptions,
    RequestBatch,
    Restate,
    RetryRecords,
)
from shared.contracts.facts import (
    BatchAllowed,
    BatchIngested,
    CommandRefused,
    CommandTaken,
    RecordsAccepted,
    RecordsRejected,
)
from shared.contracts.record import DocumentRef, Orders
from shared.documents import XLSX
from tests.builders import BATCH
from tests.fakes import Killed, delivered
from tests.ingest_house import CREDITORS, IngestHouse, about
from tests.sheets import GOOD, a_sheet
from tests.together import together

DUE = datetime.now(UTC).date() + timedelta(days=60)
OPTIONS = BatchOptions(channel=Channel.AUTO, payment_type="scuolabus", due_date=DUE, reason="Trasporto scolastico")
People = Iterable[Mapping[str, Any]]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[IngestHouse]:
    house = IngestHouse(tmp_path)
    yield house
    house.close()


def people(count: int, **changed: Any) -> list[dict[str, Any]]:
    """So many good rows of different amounts; `changed` of all of them."""
    return [{**GOOD, "Importo": 10 + number, **changed} for number in range(count)]


def replaced(rows: Sequence[dict[str, Any]], at: int, **cells: Any) -> list[dict[str, Any]]:
    """The rows with one of them changed; `at` is its number as Excel shows it."""
    return [{**row, **cells} if number == at else row for number, row in enumerate(rows, start=2)]


def stored(house: IngestHouse, tmp_path: Path, rows: People) -> DocumentRef:
    path = a_sheet(tmp_path / f"{uuid4().hex}.xlsx", rows)
    return house.documents.put(path.read_bytes(), XLSX)


def request(sheet: DocumentRef, **parts: Any) -> RequestBatch:
    given = {
        **about(), "request_id": "r", "client": "test", "creditor": "c_x999", "options": OPTIONS, "sheet": sheet,
        "file_name": "elenco.xlsx", "until": Phase.GENERATE, **parts,
    }  # fmt: skip
    return RequestBatch.model_validate(given)


def ask(house: IngestHouse, command: RequestBatch) -> list[Message]:
    house.service.take_batches([delivered(command, source="status")])
    return house.out.take()


def refusal(messages: list[Message]) -> CommandRefused:
    last = messages[-1]
    assert isinstance(last, CommandRefused)
    return last


def taken(messages: list[Message]) -> bool:
    return isinstance(messages[-1], CommandTaken)


def ingested(messages: list[Message]) -> BatchIngested:
    *_, last = [each for each in messages if isinstance(each, BatchIngested)]
    return last


def accepted(messages: list[Message]) -> list[int]:
    """The rows that were told of as able to go on."""
    return sorted(
        each.record.row for message in messages if isinstance(message, RecordsAccepted) for each in message.records
    )


def rejected(messages: list[Message]) -> list[int]:
    return sorted(each.row for message in messages if isinstance(message, RecordsRejected) for each in message.rows)


def rows_of(house: IngestHouse) -> dict[int, Row]:
    with house.service.database.read() as session:
        return {row.number: row for row in session.exec(select(Row).where(Row.batch_id == BATCH))}


def amounts(house: IngestHouse) -> dict[int, int]:
    return {number: row.whole.payment.amount_cents for number, row in rows_of(house).items() if row.record}


class Told:
    """What a listener knows after all facts: the highest revision of each row, without those that were removed."""

    def __init__(self) -> None:
        self.revisions: dict[int, int] = {}
        self.amounts: dict[int, int] = {}
        self.ingested = 0

    def hear(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, RecordsAccepted):
                for each in message.records:
                    self._newer(each.record.row, each.revision, each.record.payment.amount_cents)
            if isinstance(message, RecordsRejected):
                for row in message.rows:
                    self._newer(row.row, row.revision, None)
            if isinstance(message, BatchIngested) and message.revision > self.ingested:
                self.ingested = message.revision
                for number in message.removed_rows:
                    self.amounts.pop(number, None)

    def _newer(self, row: int, revision: int, amount: int | None) -> None:
        if revision <= self.revisions.get(row, 0):
            return
        self.revisions[row] = revision
        self.amounts.pop(row, None)
        if amount is not None:
            self.amounts[row] = amount


# -- the first time


def test_a_spreadsheet_is_read_checked_and_told_of(house: IngestHouse, tmp_path: Path) -> None:
    rows = [*people(3), {**GOOD, "Importo": "abc"}]
    messages = ask(house, request(stored(house, tmp_path, rows)))
    assert (accepted(messages), rejected(messages)) == ([2, 3, 4], [5])
    fact = ingested(messages)
    assert (fact.rows, fact.accepted, fact.rejected, fact.total_cents) == (4, 3, 1, 3300)
    assert taken(messages)
    assert [type(each) for each in house.issue()] == [AssignIuv] * 3


def test_nothing_is_issued_before_the_whole_file_is_read(house: IngestHouse, tmp_path: Path) -> None:
    sheet = stored(house, tmp_path, people(450))
    cut_after(house, 2, request(sheet))
    house.crash()
    assert len(rows_of(house)) == 400
    assert house.issue() == []


def test_a_large_file_is_told_in_chunks(house: IngestHouse, tmp_path: Path) -> None:
    messages = ask(house, request(stored(house, tmp_path, people(450))))
    assert [len(each.records) for each in messages if isinstance(each, RecordsAccepted)] == [200, 200, 50]


def test_letters_are_previewed_for_rows_that_have_one(house: IngestHouse, tmp_path: Path) -> None:
    letter = CREDITORS.creditors["c_x999"].payment_types["scuolabus"].letters["scuolabus"]
    columns = dict.fromkeys(letter.columns, "Rossi Luca")
    rows = [*people(2, **columns), {**GOOD, **columns, "Importo": "abc"}]
    options = OPTIONS.model_copy(update={"letter": "scuolabus"})
    messages = ask(house, request(stored(house, tmp_path, rows), options=options, until=Phase.PREVIEW))
    assert taken(messages)
    assert [each.record.row for each in house.issue() if isinstance(each, PreviewRecord)] == [2, 3]


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"creditor": "c_nobody"}, "unknown-creditor"),
        ({"options": OPTIONS.model_copy(update={"payment_type": "tari"})}, "unknown-payment-type"),
        ({"options": OPTIONS.model_copy(update={"due_date": datetime.now(UTC).date() - timedelta(days=3)})}, "due-date-past"),
        ({"options": OPTIONS.model_copy(update={"letter": "nessuna"})}, "unknown-letter"),
        (
            {"options": OPTIONS.model_copy(update={"register_options": RegisterOptions(classification=" ", office="x")})},
            "registration-incomplete",
        ),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_done_is_refused(
    house: IngestHouse, tmp_path: Path, parts: dict[str, Any], code: str
) -> None:
    command = request(stored(house, tmp_path, people(1)), **parts)
    refused = refusal(ask(house, command))
    assert (refused.code, refused.command_id) == (code, command.command_id)
    assert refused.message
    assert rows_of(house) == {}


def test_a_file_that_is_no_spreadsheet_is_refused(house: IngestHouse) -> None:
    refused = refusal(ask(house, request(house.documents.put(b"not a spreadsheet", XLSX))))
    assert refused.code == "not-an-xlsx"


def test_a_file_that_is_gone_is_refused_and_the_next_one_comes_in(house: IngestHouse, tmp_path: Path) -> None:
    gone = DocumentRef(sha256="0" * 64, media_type=XLSX, size=1)
    lost, good = request(gone), request(stored(house, tmp_path, people(1)))
    house.service.take_batches([delivered(lost), delivered(good)])
    answers = [each for each in house.out.take() if isinstance(each, CommandTaken | CommandRefused)]
    assert [(type(each), each.command_id) for each in answers] == [
        (CommandRefused, lost.command_id),
        (CommandTaken, good.command_id),
    ]


# -- again


def test_the_same_command_gets_the_same_answer_and_nothing_is_read_again(house: IngestHouse, tmp_path: Path) -> None:
    command = request(stored(house, tmp_path, people(3)))
    first = ask(house, command)
    again = ask(house, command)
    assert again[-1] == first[-1]
    assert accepted(again) == []
    assert ingested(again) == ingested(first)


def test_the_same_file_goes_on_where_it_was(house: IngestHouse, tmp_path: Path) -> None:
    sheet = stored(house, tmp_path, people(3))
    ask(house, request(sheet))
    house.issue()
    messages = ask(house, request(sheet, until=Phase.SEND))
    assert taken(messages)
    assert {row.state for row in rows_of(house).values()} == {RowState.ISSUED.value}
    assert [each.until for each in messages if isinstance(each, BatchAllowed)] == [Phase.SEND]
    assert house.stored().until == Phase.SEND


def test_a_lesser_phase_takes_nothing_back(house: IngestHouse, tmp_path: Path) -> None:
    sheet = stored(house, tmp_path, people(1))
    ask(house, request(sheet, until=Phase.SEND))
    assert taken(ask(house, request(sheet, until=Phase.PREVIEW)))
    assert house.stored().until == Phase.SEND


@pytest.mark.parametrize(
    "changed",
    [
        {"reason": "Altra causale"},
        {"due_date": DUE + timedelta(days=1)},
        {"channel": Channel.PEC},
        {"payment_type": "asilo-nido"},
    ],
)
def test_other_options_are_refused(house: IngestHouse, tmp_path: Path, changed: dict[str, Any]) -> None:
    sheet = stored(house, tmp_path, people(2))
    ask(house, request(sheet))
    before = amounts(house)
    refused = refusal(ask(house, request(sheet, options=OPTIONS.model_copy(update=changed))))
    assert refused.code == "options-differ"
    assert amounts(house) == before


# -- corrected


def test_a_corrected_file_is_merged_by_row_number(house: IngestHouse, tmp_path: Path) -> None:
    rows = [*people(3), {**GOOD, "Importo": "abc"}]
    ask(house, request(stored(house, tmp_path, rows)))
    issued = {command.record.row for command in house.issue()}
    mended = [*replaced(rows, 5, Importo="99,00"), *people(1, Importo=77)]
    messages = ask(house, request(stored(house, tmp_path, mended)))
    assert taken(messages)
    assert (issued, accepted(messages)) == ({2, 3, 4}, [5, 6])
    assert [(command.record.row, command.record.payment.amount_cents) for command in house.issue()] == [
        (5, 9900),
        (6, 7700),
    ]
    assert ingested(messages).accepted == 5
    assert house.row(2).state == RowState.ISSUED


def test_rows_that_were_never_issued_change_come_and_go(house: IngestHouse, tmp_path: Path) -> None:
    told = Told()
    rows = people(5)
    told.hear(ask(house, request(stored(house, tmp_path, rows), until=Phase.PREVIEW)))
    fewer = replaced(rows[:3], 2, Importo=500)
    messages = ask(house, request(stored(house, tmp_path, fewer), until=Phase.PREVIEW))
    told.hear(messages)
    assert ingested(messages).removed_rows == [5, 6]
    assert amounts(house) == told.amounts == {2: 50000, 3: 1100, 4: 1200}


def test_a_row_that_was_taken_away_can_come_back(house: IngestHouse, tmp_path: Path) -> None:
    told = Told()
    rows = people(3)
    for some in (rows, rows[:1], rows[:2]):
        messages = ask(house, request(stored(house, tmp_path, some), until=Phase.PREVIEW))
        told.hear(messages)
    assert ingested(messages).removed_rows == [4]
    assert amounts(house) == told.amounts == {2: 1000, 3: 1100}


@pytest.mark.parametrize(
    ("disturb", "listed"),
    [
        (lambda rows: replaced(rows, 3, Importo=999), [(3, "row-changed")]),
        (lambda rows: replaced(rows, 3, Importo="abc"), [(3, "row-changed")]),
        (lambda rows: replaced(rows, 3, IndirizzoPec="altra@pec.esempio.example"), [(3, "row-changed")]),
        (lambda rows: rows[:2], [(4, "row-missing")]),
        (lambda rows: [*people(1, Importo=1), *rows], [(2, "row-moved"), (3, "row-moved"), (4, "row-moved")]),
        (lambda rows: [rows[1], rows[0], rows[2]], [(2, "row-moved"), (3, "row-moved")]),
        (lambda rows: [*replaced(rows, 4, Importo=1), rows[2]], [(4, "row-moved")]),
    ],
)
def test_a_file_that_disturbs_issued_rows_does_not_come_in_at_all(
    house: IngestHouse, tmp_path: Path, disturb: Any, listed: list[tuple[int, str]]
) -> None:
    rows = people(3)
    ask(house, request(stored(house, tmp_path, rows)))
    house.issue()
    ask(house, request(stored(house, tmp_path, [*rows, {**GOOD, "Importo": "abc"}])))
    before, revision = amounts(house), house.stored().revision
    refused = refusal(ask(house, request(stored(house, tmp_path, disturb(rows)))))
    assert refused.code == "rows-changed"
    assert [(problem.row, problem.code) for problem in refused.rows] == listed
    assert all(f"riga {problem.row} " in problem.message for problem in refused.rows)
    assert amounts(house) == before
    assert not house.stored().merging
    assert house.stored().revision >= revision
    assert taken(ask(house, request(stored(house, tmp_path, rows))))


def test_two_equal_rows_in_their_places_are_no_disturbance(house: IngestHouse, tmp_path: Path) -> None:
    rows = people(2)
    ask(house, request(stored(house, tmp_path, rows)))
    house.issue()
    twins = [*rows, rows[0]]
    assert taken(ask(house, request(stored(house, tmp_path, twins))))
    assert [command.record.row for command in house.issue()] == [4]


def test_a_file_that_holds_what_a_person_corrected_is_no_disturbance(house: IngestHouse, tmp_path: Path) -> None:
    rows = people(2, IndirizzoPec="vecchia@pec.esempio.example")
    ask(house, request(stored(house, tmp_path, rows), until=Phase.SEND))
    house.go_on()
    record = house.row(2).whole
    house.tell(
        CorrectRecord(
            **about(record_id=record.id, orders=Orders(), correction={"address": "nuova@pec.esempio.example"})
        )
    )
    mended = replaced(rows, 2, IndirizzoPec="nuova@pec.esempio.example")
    more = people(1, Importo=77)
    assert taken(ask(house, request(stored(house, tmp_path, [*mended, *more]))))
    assert taken(ask(house, request(stored(house, tmp_path, [*rows, *more, *more]))))
    assert house.row(2).whole.delivery.address == "nuova@pec.esempio.example"


def test_a_merge_overrules_what_a_person_corrected_in_a_row_that_was_never_issued(
    house: IngestHouse, tmp_path: Path
) -> None:
    told = Told()
    rows = people(2)
    told.hear(ask(house, request(stored(house, tmp_path, rows), until=Phase.PREVIEW)))
    record = house.row(2).whole
    for amount in (1, 2, 3):
        correction = {"amount_cents": amount}
        told.hear(house.tell(CorrectRecord(**about(record_id=record.id, orders=Orders(), correction=correction))))
    assert told.amounts[2] == 3
    told.hear(ask(house, request(stored(house, tmp_path, replaced(rows, 2, Importo=50)), until=Phase.PREVIEW)))
    assert amounts(house) == told.amounts == {2: 5000, 3: 1100}


def test_a_parked_row_may_be_retried_after_a_merge(house: IngestHouse, tmp_path: Path) -> None:
    rows = people(1)
    ask(house, request(stored(house, tmp_path, rows)))
    house.issue()
    ask(house, request(stored(house, tmp_path, [*rows, *people(1, Importo=77)])))
    assert isinstance(house.tell(RetryRecords(**about()))[-1], CommandTaken)


# -- cut half-way


def cut_after(house: IngestHouse, chunks: int, command: RequestBatch) -> list[Message]:
    """The process dies when it publishes the chunk after so many; what had been said by then."""
    heard: list[Message] = []
    count = 0

    def publish(envelopes: Sequence[Any]) -> None:
        nonlocal count
        count += any(isinstance(each.message(), RecordsAccepted) for each in envelopes)
        if count >= chunks:
            raise Killed
        heard.extend(each.message() for each in envelopes)

    house.service.batches._publish = publish
    with pytest.raises(Killed):
        house.service.take_batches([delivered(command)])
    return heard


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_first_reading_that_was_cut_is_read_whole_the_next_time(
    house: IngestHouse, tmp_path: Path, chunks: int
) -> None:
    told = Told()
    command = request(stored(house, tmp_path, people(450)))
    told.hear(cut_after(house, chunks, command))
    house.crash()
    told.hear(ask(house, command))
    assert amounts(house) == told.amounts
    assert len(told.amounts) == 450
    assert ingested(restated(house)).accepted == 450


def test_a_reading_that_was_cut_may_go_on_with_another_file(house: IngestHouse, tmp_path: Path) -> None:
    told = Told()
    told.hear(cut_after(house, 2, request(stored(house, tmp_path, people(450)))))
    house.crash()
    told.hear(ask(house, request(stored(house, tmp_path, people(3, Importo=5)))))
    assert amounts(house) == told.amounts == {2: 500, 3: 500, 4: 500}


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_merge_that_was_cut_issues_nothing_until_it_is_whole(house: IngestHouse, tmp_path: Path, chunks: int) -> None:
    told = Told()
    rows = people(450)
    told.hear(ask(house, request(stored(house, tmp_path, rows), until=Phase.PREVIEW)))
    command = request(stored(house, tmp_path, people(300, Importo=5)))
    told.hear(cut_after(house, chunks, command))
    house.crash()
    assert house.issue() == []
    told.hear(ask(house, command))
    assert amounts(house) == told.amounts == dict.fromkeys(range(2, 302), 500)
    assert len(house.issue()) > 0


def test_a_merge_that_was_cut_can_be_undone_by_the_file_that_was_there_before(
    house: IngestHouse, tmp_path: Path
) -> None:
    told = Told()
    before = stored(house, tmp_path, people(250))
    told.hear(ask(house, request(before, until=Phase.PREVIEW)))
    told.hear(cut_after(house, 2, request(stored(house, tmp_path, people(250, Importo=5)), until=Phase.PREVIEW)))
    house.crash()
    told.hear(ask(house, request(before, until=Phase.PREVIEW)))
    assert amounts(house) == told.amounts
    assert told.amounts[251] == 25900


def test_a_refused_file_after_a_merge_that_was_cut_leaves_it_open(house: IngestHouse, tmp_path: Path) -> None:
    rows = people(1)
    ask(house, request(stored(house, tmp_path, rows)))
    house.issue()
    good = request(stored(house, tmp_path, [*rows, *people(300, Importo=5)]))
    cut_after(house, 2, good)
    house.crash()
    refusal(ask(house, request(stored(house, tmp_path, people(1, Importo=5)))))
    assert house.stored().merging
    assert taken(ask(house, good))
    assert not house.stored().merging


def test_what_a_person_decided_while_a_file_was_read_stands(house: IngestHouse, tmp_path: Path) -> None:
    rows = people(2)
    ask(house, request(stored(house, tmp_path, rows), until=Phase.PREVIEW))
    before = house.stored().revision
    house.tell(PauseBatch(**about()))
    messages = ask(house, request(stored(house, tmp_path, people(3)), until=Phase.PREVIEW))
    assert house.stored().paused
    assert ingested(messages).revision > before + 1


# -- told again


def restated(house: IngestHouse) -> list[Message]:
    house.service.take_control([delivered(Restate(request_id=uuid4()))])
    return house.out.take()


def test_what_is_told_again_is_what_was_told(house: IngestHouse, tmp_path: Path) -> None:
    first, again = Told(), Told()
    messages = ask(house, request(stored(house, tmp_path, [*people(230), {**GOOD, "Importo": "abc"}])))
    first.hear(messages)
    house.crash()
    repeated = restated(house)
    again.hear(repeated)
    assert again.amounts == first.amounts
    assert again.revisions == first.revisions
    assert ingested(repeated) == ingested(messages)
    assert rejected(repeated) == rejected(messages) == [232]


@pytest.mark.postgresql
def test_a_request_that_two_replicas_have_in_hand_is_read_once(house: IngestHouse, tmp_path: Path) -> None:
    """The broker gave it to another when the first lost its connection, and the first goes on."""
    second = house.replica()
    command = request(stored(house, tmp_path, people(450)))
    message = [delivered(command, source="status")]
    together(lambda: house.service.take_batches(message), lambda: second.take_batches(message))
    second.close()
    messages = house.out.take()
    assert [type(each) for each in messages if isinstance(each, CommandTaken | CommandRefused)] == [CommandTaken] * 2
    assert accepted(messages) == list(range(2, 452))
    assert len(rows_of(house)) == 450


@pytest.mark.postgresql
def test_a_command_that_two_replicas_have_in_hand_is_carried_out_once(house: IngestHouse, tmp_path: Path) -> None:
    ask(house, request(stored(house, tmp_path, people(2)), until=Phase.PREVIEW))
    second = house.replica()
    before = house.stored().revision
    message = [delivered(GenerateNotices(**about()), source="status")]
    together(lambda: house.service.take_control(message), lambda: second.take_control(message))
    second.close()
    answers = [each for each in house.out.take() if isinstance(each, CommandTaken | CommandRefused)]
    assert [type(each) for each in answers] == [CommandTaken] * 2
    assert house.stored().revision == before + 1
