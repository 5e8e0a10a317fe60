"""What a ledger promises, over any database: the subclass gives `database`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from shared.bus.ledgers import PAGE, Ledger
from shared.contracts.record import Orders, Record, SectionState, Sending
from shared.db.engine import Database
from shared.db.ledger import LedgerState
from shared.stage import Deferred, Done, Outcome, Refused, Request, Transient, Uncertain, Work
from tests.builders import BATCH, a_record
from tests.fakes import Clock, FakeRow, FakeStage
from tests.together import together

Book = Ledger[FakeRow]
Books = Callable[..., Book]
FIRST = a_record(2)


def request(row: int = 2, *, order: int = 1, issue: int = 1, record: Record | None = None) -> Request:
    """Row `row`, asked of the fake stage."""
    return Request(record or a_record(row), Orders(dispatch=order), issue, FakeStage.name)


def hand(*requests: Request) -> dict[Any, Request]:
    """As the runner gives it."""
    return {each.key: each for each in sorted(requests, key=lambda each: each.key)}


def done(row: FakeRow) -> Done:
    return Done(Sending(order=row.order, state=SectionState.DONE, message_id=f"number-{row.number}"))


def doubt(row: FakeRow) -> Uncertain:
    return Uncertain(Sending(order=row.order, state=SectionState.UNCERTAIN, code="no-answer"))


class LedgerSuite:
    """Subclass it with a fixture `database`, empty, with `FakeBase`'s tables."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def books(self, database: Database, clock: Clock) -> Books:
        """Makes ledgers over the same rows; each is a worker's."""
        stage = FakeStage()

        def make(owner: str = "one", *, others_alive: bool = True) -> Book:
            return Ledger(database, stage, owner, lambda _owner: others_alive, clock)

        return make

    @staticmethod
    def reserved(book: Book, *requests: Request) -> list[Work[FakeRow]]:
        return [Work(asked, row) for asked, row, _ in book.reserve(hand(*requests or [request()]))]

    @staticmethod
    def verdicts(book: Book, *requests: Request) -> list[str]:
        return [verdict for _, _, verdict in book.reserve(hand(*requests or [request()]))]

    @staticmethod
    def stored(database: Database) -> list[FakeRow]:
        with database.read() as session:
            return list(session.exec(select(FakeRow).order_by(FakeRow.number)))  # type: ignore[arg-type]

    # -- reserve

    def test_new_rows_are_filled_once_and_come_in_the_order_of_their_records(
        self, books: Books, database: Database
    ) -> None:
        works = self.reserved(books(), *[request(row) for row in (5, 2, 9)])
        assert [work.row.record_id for work in works] == sorted(work.row.record_id for work in works)
        again = self.reserved(books("two"), *[request(row) for row in (2, 5, 9, 11)])
        assert {work.row.record_id: work.row.number for work in works}.items() <= {
            work.row.record_id: work.row.number for work in again
        }.items()
        assert [row.number for row in self.stored(database)] == [1, 2, 3, 4]

    def test_what_was_there_before_is_looked_at_first(self, books: Books) -> None:
        assert self.verdicts(books()) == ["as-it-stands"]
        assert self.verdicts(books()) == ["seen"]

    def test_a_later_issue_is_kept_and_an_earlier_one_is_not(self, books: Books, database: Database) -> None:
        for issue in (2, 3, 1):
            self.reserved(books(), request(issue=issue))
        assert [row.issue for row in self.stored(database)] == [3]

    def test_other_content_under_the_same_order_is_told(self, books: Books) -> None:
        self.reserved(books())
        moved = FIRST.model_copy(update={"delivery": FIRST.delivery.model_copy(update={"address": "b@pec.example"})})
        assert self.verdicts(books(), request(record=moved)) == ["content-differs"]
        assert self.verdicts(books(), request(record=moved, order=2)) == ["as-it-stands"]

    def test_an_order_that_was_raised_since_is_not_begun(self, books: Books, database: Database) -> None:
        self.reserved(books(), request(2, order=2))
        assert self.verdicts(books(), request(2, order=1)) == ["superseded"]
        assert [row.order for row in self.stored(database)] == [2]
        both = books().reserve(hand(request(3, order=1), request(3, order=2)))
        assert [(asked.order, verdict) for asked, _, verdict in both] == [(1, "superseded"), (2, "as-it-stands")]

    def test_what_was_begun_and_then_raised_is_superseded_and_what_is_done_still_stands(self, books: Books) -> None:
        for row in (2, 3):
            self.reserved(books(), request(row))
        [work] = self.reserved(books(), request(3))
        books().record([(work, done(work.row))])
        self.reserved(books(), request(2, order=2), request(3, order=2))
        assert self.verdicts(books(), request(2)) == ["superseded"]
        assert self.verdicts(books(), request(3)) == ["as-it-stands"]

    # -- marks and leases

    def test_one_worker_gets_the_mark(self, books: Books) -> None:
        [work] = self.reserved(books())
        assert [books(owner).mark_acting(work) for owner in ("one", "two", "one")] == [True, False, False]

    def test_one_of_a_workers_connections_gets_the_mark_and_each_gets_its_own(self, books: Books) -> None:
        book, works = books(), self.reserved(books(), *[request(row) for row in range(2, 6)])
        marks: list[tuple[int, bool]] = []
        together(
            *(lambda work=work: marks.append((work.request.record.row, book.mark_acting(work))) for work in works * 3)
        )
        assert sorted(row for row, marked in marks if marked) == [2, 3, 4, 5]

    def test_a_running_lease_is_anothers_until_it_runs_out_or_its_owner_is_gone(
        self, books: Books, clock: Clock
    ) -> None:
        [work] = self.reserved(books())
        books().mark_acting(work)
        assert self.verdicts(books("two")) == ["leased"]
        assert self.verdicts(books("two", others_alive=False)) == ["seen"]
        assert self.verdicts(books("one")) == ["seen"]
        clock.forward(seconds=FakeStage.lease_seconds + 1)
        assert self.verdicts(books("two")) == ["seen"]

    def test_nothing_happened_gives_the_row_back_and_another_worker_does_not(self, books: Books) -> None:
        [work] = self.reserved(books())
        books().mark_acting(work)
        [still] = books("two").record([(work, Transient("busy"))])
        assert still.row.state == LedgerState.ACTING
        [back] = books().record([(work, Transient("busy"))])
        assert (back.row.state, back.row.lease_owner, back.row.lease_until) == (LedgerState.RESERVED, "", None)
        assert books("two").mark_acting(back)

    # -- record

    def test_knowledge_only_grows(self, books: Books) -> None:
        [work] = self.reserved(books())
        book, states = books(), []
        for outcome in (
            doubt(work.row),
            Refused("no"),
            doubt(work.row),
            done(work.row),
            Refused("no"),
            Transient("busy"),
        ):
            [work] = book.record([(work, outcome)])
            states.append(work.row.state)
        assert states == ["uncertain", "refused", "refused", "done", "done", "done"]
        assert book.section(work.row) == done(work.row).section

    def test_a_handful_is_recorded_each_by_its_own_outcome(
        self, books: Books, database: Database, clock: Clock
    ) -> None:
        works = self.reserved(books(), *[request(row) for row in range(2, 6)])
        clock.forward(seconds=5)
        outcomes: list[Outcome] = [
            done(works[0].row),
            Refused("no"),
            doubt(works[2].row),
            Deferred(clock() + timedelta(1), "later"),
        ]
        recorded = books().record(list(zip(works, outcomes, strict=True)))
        assert [work.row.state for work in recorded] == ["done", "refused", "uncertain", "reserved"]
        found = {row.record_id: row for row in self.stored(database)}
        assert [found[work.row.record_id].state for work in works] == ["done", "refused", "uncertain", "reserved"]
        assert {row.updated_at for row in found.values()} == {clock()}

    def test_an_act_of_which_nothing_is_known_is_doubted(self, books: Books) -> None:
        [work] = self.reserved(books())
        books().mark_acting(work)
        doubted = books("two").doubt(work)
        assert (doubted.row.state, doubted.row.lease_owner) == (LedgerState.UNCERTAIN, "")
        assert books().section(doubted.row).state is SectionState.UNCERTAIN
        assert self.verdicts(books()) == ["seen"]

    def test_a_row_is_reserved_anew(self, books: Books, database: Database) -> None:
        [work] = self.reserved(books())
        fresh = books().renew(work)
        assert fresh.row.number > work.row.number
        assert [row.number for row in self.stored(database)] == [fresh.row.number]

    # -- reading it again

    def test_pages_bring_every_row_once_in_order_of_their_keys(self, books: Books) -> None:
        book, elsewhere = books(), a_record(2).id
        self.reserved(book, *[request(row) for row in range(2, PAGE + 12)])
        other = a_record(3, id=elsewhere.__class__(int=7), batch_id=elsewhere)
        self.reserved(book, request(record=other))
        found = [(row.record_id, row.order) for page in book.pages([BATCH]) for row in page]
        assert found == sorted(set(found))
        assert len(found) == PAGE + 10
        assert sum(len(page) for page in book.pages(None)) == PAGE + 11

    def test_the_request_comes_back_as_it_was_last_asked(self, books: Books) -> None:
        asked = request(issue=4)
        [work] = self.reserved(books(), asked)
        [page] = books().pages(None)
        assert books().request(page[0]) == work.request == asked
