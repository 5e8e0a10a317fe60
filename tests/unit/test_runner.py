"""The runner over a real database and a fake stage: exactly once, whatever happens between two steps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from shared.bus.lanes import PROBE_WAITS
from shared.bus.runner import StageRunner
from shared.contracts.commands import DispatchNotice, Message, Restate, SettleSending, WithdrawPosition
from shared.contracts.facts import (
    CommandRefused,
    CommandTaken,
    LaneClosed,
    LaneOpened,
    NoticeSent,
    RecordFact,
    Restated,
    SendingRefused,
    SendingUncertain,
    StageDeferred,
    StageFailed,
)
from shared.contracts.record import Delivery, Orders, Record, SectionState, Sending
from shared.db.ledger import LedgerState, suspects_table
from shared.stage import Deferred, Outcome, Permanent, Refused, Renew, Transient, Uncertain, Work
from shared.wiring import Handler, StageService
from tests.builders import BATCH, a_record
from tests.databases import a_database
from tests.fakes import Clock, FakeBase, FakeRow, FakeStage, Killed, Out, delivered, unclear

PARKS = "unexpected-KeyError"
MESSAGE = uuid4()


class Bench:
    """A stage, its ledger, and as many workers on them as a test wants."""

    def __init__(self, folder: Path, stage: FakeStage) -> None:
        self.database = a_database(folder, FakeBase.metadata, "fake")
        self.stage = stage
        self.handlers: dict[type[Message], Handler] = {}
        self.clock = Clock()
        self.out = Out()
        self._runners: list[StageRunner] = []

    def worker(self, owner: str = "one", *, stage: FakeStage | None = None, others_alive: bool = True) -> StageRunner:
        service = StageService(self.database, stage or self.stage, frozenset({DispatchNotice}), self.handlers)
        runner = StageRunner(service, self.out, owner, alive=lambda _owner: others_alive, now=self.clock)
        self._runners.append(runner)
        return runner

    def rows(self) -> dict[tuple[int, int], FakeRow]:
        """By (the record's row, order)."""
        with self.database.read() as session:
            found = list(session.exec(select(FakeRow)))
        return {(row.request["record"]["row"], row.order): row for row in found}

    def state(self, row: int = 2, order: int = 1) -> str:
        return self.rows()[row, order].state

    def close(self) -> None:
        for runner in self._runners:
            runner.close()
        self.database.close()


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[Callable[[FakeStage], Bench]]:
    made: list[Bench] = []

    def make(stage: FakeStage) -> Bench:
        made.append(Bench(tmp_path, stage))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture(params=[True, False], ids=["lookable", "unlookable"])
def bench(request: pytest.FixtureRequest, benches: Callable[[FakeStage], Bench]) -> Bench:
    return benches(FakeStage(lookable=request.param))


@pytest.fixture
def looking(benches: Callable[[FakeStage], Bench]) -> Bench:
    return benches(FakeStage(lookable=True))


@pytest.fixture
def blind(benches: Callable[[FakeStage], Bench]) -> Bench:
    return benches(FakeStage(lookable=False))


def asked(*rows: int, issue: int = 1, order: int = 1, record: Record | None = None) -> list[Any]:
    """Commands for these rows (2, where none is given), in hand."""
    orders = Orders(dispatch=order)
    records = [record] if record else [a_record(row) for row in rows or (2,)]
    return [delivered(DispatchNotice(record=each, orders=orders, issue=issue)) for each in records]


def said(out: Out) -> list[Message]:
    """What was stated, without the word that a lane is open."""
    return [message for message in out.take() if not isinstance(message, LaneOpened)]


def only(out: Out) -> Any:
    [message] = said(out)
    return message


# -- what an act comes to


def test_a_record_is_acted_on_recorded_and_stated(bench: Bench) -> None:
    [command] = asked(issue=3)
    bench.worker().handle([command])
    assert bench.stage.outside == [(2, 1)]
    [envelope, *_] = bench.out.take_envelopes()
    fact = envelope.message()
    assert isinstance(fact, NoticeSent)
    assert fact.record.sending is not None
    assert (fact.record.sending.state, fact.issue, fact.orders) == (SectionState.DONE, 3, Orders())
    assert (envelope.causation, envelope.correlation) == (command.envelope.id, str(BATCH))
    assert bench.state() == LedgerState.DONE


def test_a_repeat_states_the_same_fact_under_the_same_id_and_does_not_act(bench: Bench) -> None:
    worker = bench.worker()
    worker.handle(asked())
    [first, *_] = bench.out.take_envelopes()
    worker.handle(asked())
    [second] = bench.out.take_envelopes()
    assert (second.id, second.body) == (first.id, first.body)
    assert bench.stage.outside == [(2, 1)]


def test_a_repeat_of_a_later_issue_carries_that_issue(bench: Bench) -> None:
    worker = bench.worker()
    worker.handle(asked())
    said(bench.out)
    worker.handle(asked(issue=5))
    assert only(bench.out).issue == 5


def test_the_same_record_twice_in_a_handful_is_acted_on_once(bench: Bench) -> None:
    bench.worker().handle([*asked(issue=2), *asked(issue=1)])
    assert bench.stage.outside == [(2, 1)]
    assert only(bench.out).issue == 2


def test_a_refusal_is_recorded_and_never_tried_again(bench: Bench) -> None:
    bench.stage.script(2, Refused("address-unusable", "Correggere l'indirizzo."))
    worker = bench.worker()
    worker.handle(asked())
    worker.handle(asked(issue=2))
    refusals = said(bench.out)
    assert [type(each) for each in refusals] == [SendingRefused] * 2
    assert isinstance(refusals[0], SendingRefused)
    section = refusals[0].record.sending
    assert section is not None
    assert (section.code, section.detail) == ("address-unusable", "Correggere l'indirizzo.")
    assert bench.stage.outside == []


def test_a_transient_failure_is_stated_and_the_next_issue_acts(bench: Bench) -> None:
    bench.stage.script(2, Transient("greylisted"))
    worker = bench.worker()
    worker.handle(asked())
    failure = only(bench.out)
    assert isinstance(failure, StageFailed)
    assert (failure.code, failure.issue, failure.permanent) == ("greylisted", 1, False)
    assert bench.state() == LedgerState.RESERVED
    worker.handle(asked(issue=2))
    assert isinstance(only(bench.out), NoticeSent)


def test_a_permanent_failure_is_stated_as_such(bench: Bench) -> None:
    bench.stage.script(2, Permanent("mailbox-not-configured"))
    bench.worker().handle(asked())
    failure = only(bench.out)
    assert isinstance(failure, StageFailed)
    assert (failure.code, failure.permanent) == ("mailbox-not-configured", True)
    assert bench.state() == LedgerState.RESERVED


def test_a_deferral_says_until_when(bench: Bench) -> None:
    until = bench.clock.time + timedelta(minutes=10)
    bench.stage.script(2, Deferred(until, "limiter"))
    bench.worker().handle(asked())
    deferral = only(bench.out)
    assert isinstance(deferral, StageDeferred)
    assert (deferral.code, deferral.until) == ("limiter", until)


def test_an_unclear_end_is_stated_again_and_never_repeated(bench: Bench) -> None:
    bench.stage.script(2, lambda _work: Uncertain(Sending(order=1, state=SectionState.UNCERTAIN, code="cut")))
    worker = bench.worker()
    worker.handle(asked())
    uncertain = only(bench.out)
    assert isinstance(uncertain, SendingUncertain)
    assert uncertain.record.sending is not None
    assert uncertain.record.sending.code == "cut"
    bench.stage.outside.clear()  # nothing is known of it outside
    worker.handle(asked(issue=2))
    assert isinstance(only(bench.out), SendingUncertain)
    assert bench.stage.outside == []


def test_late_knowledge_turns_uncertain_into_done(looking: Bench) -> None:
    looking.stage.script(2, unclear())
    worker = looking.worker()
    worker.handle(asked())
    assert looking.state() == LedgerState.UNCERTAIN
    said(looking.out)
    worker.handle(asked(issue=2))
    assert isinstance(only(looking.out), NoticeSent)
    assert looking.stage.outside == [(2, 1)]


def test_a_burnt_reservation_is_renewed_until_the_act_can_be_done(looking: Bench) -> None:
    looking.stage.script(2, Renew("taken"), Renew("taken"))
    looking.worker().handle(asked())
    fact = only(looking.out)
    assert isinstance(fact, NoticeSent)
    assert fact.record.sending is not None
    assert fact.record.sending.message_id == "number-3"
    assert looking.rows()[2, 1].number == 3


def test_a_reservation_that_is_always_burnt_is_tried_later(looking: Bench) -> None:
    looking.stage.script(2, *[Renew("taken")] * 50)
    looking.worker().handle(asked())
    failure = only(looking.out)
    assert isinstance(failure, StageFailed)
    assert (failure.code, failure.permanent) == ("taken", False)


def test_the_same_order_with_other_content_is_not_acted_on(bench: Bench) -> None:
    worker = bench.worker()
    worker.handle(asked())
    said(bench.out)
    other = a_record(2, delivery=Delivery(channel=a_record().delivery.channel, address="altra@pec.example"))
    worker.handle(asked(record=other))
    failure = only(bench.out)
    assert isinstance(failure, StageFailed)
    assert (failure.code, failure.permanent) == ("content-differs", True)
    assert bench.stage.outside == [(2, 1)]


def test_another_order_is_another_act(bench: Bench) -> None:
    worker = bench.worker()
    worker.handle(asked())
    worker.handle(asked(order=2))
    assert bench.stage.outside == [(2, 1), (2, 2)]


def test_an_order_that_was_overtaken_is_not_begun_any_more(bench: Bench) -> None:
    bench.stage.script(2, Transient("greylisted"))
    worker = bench.worker()
    worker.handle(asked(order=1))
    worker.handle(asked(order=2, issue=2))
    said(bench.out)
    worker.handle(asked(order=1))
    failure = only(bench.out)
    assert isinstance(failure, StageFailed)
    assert (failure.code, failure.order) == ("superseded", 1)
    assert bench.stage.outside == [(2, 2)]


def test_an_overtaken_order_takes_no_reservation(bench: Bench) -> None:
    worker = bench.worker()
    worker.handle(asked(order=2))
    worker.handle(asked(order=1))
    assert list(bench.rows()) == [(2, 2)]


# -- what nobody expects


def test_a_bug_in_an_act_parks_the_guilty_one_alone(bench: Bench) -> None:
    bench.stage.script(3, KeyError("x"), KeyError("x"))
    bench.stage.before_mark = lambda work: _bug() if work.request.record.row == 3 else None
    bench.worker().handle(asked(2, 3, 4))
    facts = said(bench.out)
    [failure] = [fact for fact in facts if isinstance(fact, StageFailed)]
    assert (failure.record_id, failure.code, failure.permanent) == (a_record(3).id, PARKS, True)
    assert sorted(bench.stage.outside) == [(2, 1), (4, 1)]
    assert len(facts) == 3


@pytest.mark.parametrize("where", ["broken_rows", "unreservable_rows"])
def test_a_bug_before_the_act_parks_the_guilty_one_alone(bench: Bench, where: str) -> None:
    getattr(bench.stage, where).add(3)
    bench.worker().handle(asked(2, 3, 4))
    facts = said(bench.out)
    [failure] = [fact for fact in facts if isinstance(fact, StageFailed)]
    assert (failure.record_id, failure.code) == (a_record(3).id, PARKS)
    assert sorted(bench.stage.outside) == [(2, 1), (4, 1)]


def test_a_bug_in_a_look_parks_the_guilty_one_alone(bench: Bench) -> None:
    bench.stage.script(3, Transient("greylisted"))
    worker = bench.worker()
    worker.handle(asked(3))
    said(bench.out)
    bench.stage.unlookable_rows.add(3)
    worker.handle(asked(2, 3, issue=2))
    kinds = {type(fact) for fact in said(bench.out)}
    assert kinds == {NoticeSent, StageFailed}
    assert bench.stage.outside == [(2, 1)]


def test_a_bug_after_the_mark_leaves_the_record_in_doubt(blind: Bench) -> None:
    blind.stage.script(2, KeyError("after DATA"))
    worker = blind.worker()
    worker.handle(asked())
    assert isinstance(only(blind.out), SendingUncertain)
    worker.handle(asked(issue=2))
    assert isinstance(only(blind.out), SendingUncertain)
    assert blind.stage.outside == []


def test_an_act_that_answers_for_too_few_is_a_bug(looking: Bench) -> None:
    class Careless(FakeStage):
        def act(self, works: Sequence[Work[FakeRow]]) -> Sequence[Outcome]:
            return []

    looking.worker(stage=Careless()).handle(asked())
    failure = only(looking.out)
    assert isinstance(failure, StageFailed)
    assert failure.permanent


@pytest.mark.parametrize("outage", [OSError("store"), OperationalError("SELECT 1", {}, Exception())])
def test_an_outage_of_ours_holds_the_handful_and_parks_nobody(bench: Bench, outage: Exception) -> None:
    bench.stage.script(2, *([outage] if bench.stage.lookable else []))
    failing = [] if bench.stage.lookable else [outage]
    bench.stage.before_mark = lambda _work: _raise(failing.pop()) if failing else None
    worker = bench.worker()
    with pytest.raises(type(outage)):
        worker.handle(asked())
    assert bench.out.take() == []
    worker.handle(asked())
    assert isinstance(only(bench.out), NoticeSent)


def killed_alone(bench: Bench, command: Message, earlier: int) -> None:
    """A worker dies with the message alone in hand."""

    def die(_work: object) -> None:
        raise Killed

    bench.stage.before_mark = die
    bench.stage.script(2, *([Killed()] if bench.stage.lookable else []))
    with pytest.raises(Killed):
        bench.worker().handle([delivered(command, earlier=earlier, id=MESSAGE)])
    bench.stage.before_mark = lambda _work: None


def test_a_message_that_killed_its_workers_alone_is_parked_and_not_acted_on(bench: Bench) -> None:
    command = DispatchNotice(record=a_record())
    for earlier in (1, 2):
        killed_alone(bench, command, earlier)
    bench.worker().handle([delivered(command, earlier=3, id=MESSAGE)])
    failure = only(bench.out)
    assert isinstance(failure, StageFailed)
    assert (failure.code, failure.permanent) == ("kills-worker", True)
    assert bench.stage.outside == []


def test_a_message_that_came_often_but_was_alone_at_no_death_is_acted_on(bench: Bench) -> None:
    """Lost connections, graceful stops and a neighbour that kills are counted by the broker too."""
    bench.worker().handle([delivered(DispatchNotice(record=a_record()), earlier=9)])
    assert isinstance(only(bench.out), NoticeSent)


def test_an_outage_while_a_message_is_alone_in_hand_is_no_death(bench: Bench) -> None:
    command = DispatchNotice(record=a_record())
    bench.out.away = True
    for earlier in range(1, 6):
        with pytest.raises(ConnectionError):
            bench.worker().handle([delivered(command, earlier=earlier, id=MESSAGE)])
    bench.out.away = False
    bench.worker().handle([delivered(command, earlier=6, id=MESSAGE)])
    assert isinstance(only(bench.out), NoticeSent)


def test_a_message_that_killed_once_and_was_done_at_last_is_no_suspect_any_more(bench: Bench) -> None:
    command = DispatchNotice(record=a_record())
    killed_alone(bench, command, 1)
    bench.worker().handle([delivered(command, earlier=2, id=MESSAGE)])
    assert isinstance(only(bench.out), NoticeSent)
    with bench.database.read() as session:
        assert session.connection().execute(suspects_table(FakeBase.metadata).select()).all() == []


def test_a_fact_that_is_told_again_triggers_nothing(bench: Bench) -> None:
    bench.worker().handle([delivered(DispatchNotice(record=a_record()), restated=True)])
    assert bench.out.take() == []
    assert bench.stage.outside == []


# -- crashes: the same message again, in the same process or in another


def test_a_broker_that_is_away_when_all_is_done_costs_no_second_act(bench: Bench) -> None:
    worker = bench.worker()
    bench.out.away = True
    with pytest.raises(ConnectionError):
        worker.handle(asked(2, 3))
    bench.out.away = False
    worker.handle(asked(2, 3))
    assert sorted(bench.stage.outside) == [(2, 1), (3, 1)]
    assert [type(fact) for fact in said(bench.out)] == [NoticeSent] * 2


def test_a_kill_between_record_and_publish_costs_no_second_act(bench: Bench) -> None:
    bench.out.away = True
    with pytest.raises(ConnectionError):
        bench.worker("first").handle(asked())
    bench.out.away = False
    bench.worker("second", others_alive=False).handle(asked())
    assert bench.stage.outside == [(2, 1)]
    assert isinstance(only(bench.out), NoticeSent)


def test_a_kill_between_reserve_and_act_costs_no_reservation(looking: Bench) -> None:
    looking.stage.script(2, Killed())
    with pytest.raises(Killed):
        looking.worker("first").handle(asked())
    looking.worker("second", others_alive=False).handle(asked())
    assert looking.stage.outside == [(2, 1)]
    assert looking.stage.looked == [2]
    assert looking.rows()[2, 1].number == 1


def test_a_kill_between_act_and_record_is_found_by_looking(looking: Bench) -> None:
    def cut(work: Work[FakeRow]) -> Outcome:
        looking.stage.happened(work)
        raise Killed

    looking.stage.script(2, cut)
    with pytest.raises(Killed):
        looking.worker("first").handle(asked())
    looking.worker("second", others_alive=False).handle(asked())
    assert looking.stage.outside == [(2, 1)]
    assert isinstance(only(looking.out), NoticeSent)


def test_a_kill_before_the_mark_is_as_if_nothing_had_been(blind: Bench) -> None:
    victims = [Killed()]
    blind.stage.before_mark = lambda _work: _raise(victims.pop()) if victims else None
    with pytest.raises(Killed):
        blind.worker("first").handle(asked())
    blind.worker("second", others_alive=False).handle(asked())
    assert blind.stage.outside == [(2, 1)]
    assert isinstance(only(blind.out), NoticeSent)


@pytest.mark.parametrize("it_left", [True, False])
def test_a_kill_after_the_mark_leaves_a_doubt_that_nobody_acts_on(blind: Bench, it_left: bool) -> None:
    def cut(work: Work[FakeRow]) -> Outcome:
        if it_left:
            blind.stage.happened(work)
        raise Killed

    blind.stage.script(2, cut)
    with pytest.raises(Killed):
        blind.worker("first").handle(asked())
    assert blind.state() == LedgerState.ACTING
    before = list(blind.stage.outside)
    second = blind.worker("second", others_alive=False)
    second.handle(asked())
    second.handle(asked(issue=2))
    doubts = said(blind.out)
    assert [type(each) for each in doubts] == [SendingUncertain] * 2
    assert blind.stage.outside == before
    assert blind.state() == LedgerState.UNCERTAIN


def test_an_outage_between_act_and_record_leaves_a_doubt_in_the_same_process_too(blind: Bench) -> None:
    blind.stage.script(2, Killed())
    worker = blind.worker()
    with pytest.raises(Killed):
        worker.handle(asked())
    worker.handle(asked())
    assert isinstance(only(blind.out), SendingUncertain)
    assert blind.stage.outside == []


def test_an_outage_at_one_act_doubts_none_that_goes_on(benches: Callable[[FakeStage], Bench]) -> None:
    blind = benches(FakeStage(lookable=False, connections=2))
    worker = blind.worker()
    acting = threading.Event()

    def slow(work: Work[FakeRow]) -> Outcome:
        acting.set()
        assert not threading.Event().wait(0.3)  # longer than the outage takes to be told
        return blind.stage.done(work)

    def away(work: Work[FakeRow]) -> None:
        if work.request.record.row == 3:
            assert acting.wait(10)
            raise OperationalError("", None, Exception())

    blind.stage.script(2, slow)
    blind.stage.before_mark = away
    with pytest.raises(OperationalError):
        worker.handle(asked(2, 3))
    blind.stage.before_mark = lambda _work: None
    worker.handle(asked(2, 3))
    assert [type(fact) for fact in said(blind.out)] == [NoticeSent, NoticeSent]
    assert sorted(blind.stage.outside) == [(2, 1), (3, 1)]


def test_a_running_lease_of_a_living_worker_is_waited_for(blind: Bench) -> None:
    blind.stage.script(2, Killed())
    with pytest.raises(Killed):
        blind.worker("first").handle(asked())
    second = blind.worker("second", others_alive=True)
    second.handle(asked())
    deferral = only(blind.out)
    assert isinstance(deferral, StageDeferred)
    assert (deferral.code, deferral.until) == ("leased", blind.clock.time + timedelta(seconds=60))
    blind.clock.forward(seconds=61)
    second.handle(asked(issue=2))
    assert isinstance(only(blind.out), SendingUncertain)
    assert blind.stage.outside == []


def test_who_comes_second_to_the_mark_leaves_the_first_ones_row_alone(blind: Bench) -> None:
    acting, may_end = threading.Event(), threading.Event()

    def slow(work: Work[FakeRow]) -> Outcome:
        acting.set()
        assert may_end.wait(10)
        return blind.stage.done(work)

    blind.stage.script(2, slow)
    first = threading.Thread(target=blind.worker("first").handle, args=(asked(),))

    def overtaken(_work: Work[FakeRow]) -> None:
        first.start()
        assert acting.wait(10)

    late = FakeStage(lookable=False)
    late.before_mark = overtaken
    blind.worker("second", stage=late).handle(asked())
    assert isinstance(only(blind.out), StageDeferred)
    assert blind.state() == LedgerState.ACTING
    third = FakeStage(lookable=False)
    blind.worker("third", stage=third).handle(asked())
    may_end.set()
    first.join(10)
    assert (blind.stage.outside, late.outside, third.outside) == ([(2, 1)], [], [])
    assert blind.state() == LedgerState.DONE


def test_a_late_end_settles_what_another_worker_called_doubtful(blind: Bench) -> None:
    def slow(work: Work[FakeRow]) -> Outcome:
        blind.clock.forward(seconds=61)
        blind.worker("second").handle(asked())
        assert blind.state() == LedgerState.UNCERTAIN
        return blind.stage.done(work)

    blind.stage.script(2, slow)
    blind.worker("first").handle(asked())
    assert [type(fact) for fact in said(blind.out)] == [SendingUncertain, NoticeSent]
    assert blind.state() == LedgerState.DONE


# -- lanes


def test_a_lane_that_fails_five_times_is_closed_and_the_rest_waits(bench: Bench) -> None:
    rows = range(2, 12)
    for row in rows:
        bench.stage.script(row, Transient("no-connection", lane=True))
    worker = bench.worker()
    worker.handle(asked(*rows))
    said(bench.out)
    assert "mailbox-pec" in worker.lanes.closed()
    worker.handle(asked(20, 21))
    waiting = said(bench.out)
    assert all(isinstance(each, StageDeferred) and each.code == "lane-closed" for each in waiting)
    assert bench.stage.outside == []


def test_a_closed_lane_counts_no_attempts_and_is_said_once(bench: Bench) -> None:
    for row in range(2, 12):
        bench.stage.script(row, Transient("no-connection", lane=True))
    bench.worker().handle(asked(*range(2, 12)))
    facts = said(bench.out)
    failed = sum(isinstance(each, StageFailed) for each in facts)
    # who acts on several connections may say a failure when another has closed the lane: it counts for nobody then
    assert failed <= 4 if bench.stage.connections > 1 else failed == 4
    assert sum(isinstance(each, StageDeferred) for each in facts) == 10 - failed
    assert sum(isinstance(each, LaneClosed) for each in facts) == 1


def test_one_probe_opens_a_closed_lane(bench: Bench) -> None:
    bench.stage.script(2, Transient("login-refused", lane=True, shut=True))
    worker = bench.worker()
    worker.handle(asked())
    bench.out.take()
    bench.clock.time += PROBE_WAITS[0]
    worker.handle(asked(2, 3, issue=2))
    facts = bench.out.take()
    assert sorted(type(each).__name__ for each in facts) == ["LaneOpened", "NoticeSent", "StageDeferred"]
    worker.handle(asked(2, 3, issue=3))
    assert [type(each) for each in said(bench.out)] == [NoticeSent] * 2


def test_a_mailbox_that_dies_at_every_message_leaves_five_in_doubt_and_not_all(blind: Bench) -> None:
    for row in range(2, 22):
        blind.stage.script(row, unclear())
    blind.worker().handle(asked(*range(2, 22)))
    facts = said(blind.out)
    assert sum(isinstance(each, SendingUncertain) for each in facts) == 5
    assert sum(isinstance(each, StageDeferred) for each in facts) == 15


def test_what_is_done_is_stated_though_its_lane_is_closed(bench: Bench) -> None:
    bench.stage.script(3, Transient("login-refused", lane=True, shut=True))
    worker = bench.worker()
    worker.handle(asked(2))
    worker.handle(asked(3))
    said(bench.out)
    worker.handle(asked(2))
    assert isinstance(only(bench.out), NoticeSent)


# -- restating


def test_restating_tells_all_that_is_settled_in_pages_and_acts_on_nothing(bench: Bench) -> None:
    bench.stage.script(2, Refused("no"))
    bench.stage.script(3, Transient("later"))
    worker = bench.worker()
    worker.handle(asked(*range(2, 212)))
    before = list(bench.stage.outside)
    bench.out.take()
    command = Restate(request_id=uuid4())
    worker.handle([delivered(command)])
    *facts, last = bench.out.take_envelopes()
    told = [each.message() for each in facts if isinstance(each.message(), RecordFact)]
    assert all(each.restated for each in facts)
    assert len({fact.record.id for fact in told if isinstance(fact, RecordFact)}) == len(told) == 209
    assert sum(isinstance(each, SendingRefused) for each in told) == 1
    assert last.message() == Restated(service="dispatch", request_id=command.request_id)
    assert bench.stage.outside == before


def test_restating_a_batch_tells_nothing_of_others(bench: Bench) -> None:
    worker = bench.worker()
    worker.handle(asked())
    bench.out.take()
    worker.handle([delivered(Restate(request_id=uuid4(), batch_ids=[uuid4()]))])
    assert [type(each) for each in bench.out.take() if isinstance(each, RecordFact | Restated)] == [Restated]


def test_restating_tells_how_the_lanes_stand(bench: Bench) -> None:
    bench.stage.script(2, Transient("login-refused", lane=True, shut=True))
    worker = bench.worker()
    worker.handle(asked())
    bench.out.take()
    worker.handle([delivered(Restate(request_id=uuid4()))])
    [lane, _] = bench.out.take()
    assert isinstance(lane, LaneClosed)
    assert (lane.lane, lane.code) == ("mailbox-pec", "login-refused")


# -- other messages


def a_settlement() -> SettleSending:
    return SettleSending(command_id=uuid4(), batch_id=BATCH, record_id=a_record().id, order=1, verdict="done")


def test_a_handlers_facts_are_stated_under_ids_of_the_message(bench: Bench) -> None:
    bench.handlers[SettleSending] = lambda each: [CommandTaken(command_id=each.command_id, batch_id=each.batch_id)]
    hand = [delivered(a_settlement())]
    worker = bench.worker()
    worker.handle(hand)
    worker.handle(hand)
    first, second = bench.out.take_envelopes()
    assert (first.id, first.causation) == (second.id, hand[0].envelope.id)


@pytest.mark.parametrize("command", [a_settlement(), WithdrawPosition(record=a_record())])
def test_a_bug_in_a_handler_is_answered_and_holds_up_nobody(bench: Bench, command: Message) -> None:
    bench.handlers[type(command)] = lambda _message: _bug()
    bench.worker().handle([delivered(command), *asked()])
    answer, sent = said(bench.out)
    assert isinstance(sent, NoticeSent)
    assert isinstance(answer, CommandRefused | StageFailed)
    assert answer.code == PARKS


def test_an_outage_in_a_handler_holds_the_handful(bench: Bench) -> None:
    bench.handlers[SettleSending] = lambda _message: _raise(OSError())
    with pytest.raises(OSError):  # noqa: PT011
        bench.worker().handle([delivered(a_settlement())])


def test_a_handful_of_strangers_states_nothing(bench: Bench) -> None:
    bench.worker().handle([delivered(a_settlement())])
    assert bench.out.take() == []


def _bug() -> Any:
    raise KeyError("bug")


def _raise(error: BaseException) -> Any:
    raise error


def test_the_done_outcome_of_a_look_is_recorded(looking: Bench) -> None:
    looking.stage.script(2, Transient("lost-answer"))
    worker = looking.worker()
    worker.handle(asked())
    looking.stage.outside.append((2, 1))
    worker.handle(asked(issue=2))
    assert looking.state() == LedgerState.DONE
    assert {type(fact) for fact in said(looking.out)} == {StageFailed, NoticeSent}
    assert looking.stage.outside == [(2, 1)]
