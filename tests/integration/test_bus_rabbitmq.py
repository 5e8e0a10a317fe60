"""The bus over RabbitMQ: the same suite, and what only a real broker can do to us."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from amqp.exceptions import PreconditionFailed

from shared.bus.connection import Broker
from shared.bus.consumer import Delivery, Subscription
from shared.bus.outages import OUTAGES, NotTaken, Unroutable
from shared.bus.publisher import Publisher
from shared.contracts.commands import AssignIuv
from shared.contracts.envelope import Envelope
from tests.bus_hand import spawn
from tests.servers import rabbitmq
from tests.suites.bus import DEADLINE, NOW, RECORD, BusSuite, Ear, House, eventually


@pytest.fixture(scope="module")
def broker() -> Broker:
    return Broker(rabbitmq.shared())


@pytest.fixture(scope="module")
def shared_house(broker: Broker) -> Iterator[House]:
    house = House(broker)
    yield house
    house.close()


@pytest.fixture
def house(shared_house: House) -> Iterator[House]:
    yield shared_house
    shared_house.quiet()


def commands(count: int) -> list[AssignIuv]:
    return [AssignIuv(record=RECORD, issue=issue) for issue in range(1, count + 1)]


def issues(deliveries: Sequence[Delivery]) -> list[int]:
    return [each.message.issue for each in deliveries if isinstance(each.message, AssignIuv)]


class TestBusOverRabbitmq(BusSuite):
    """See `BusSuite`."""

    @pytest.fixture
    def broker(self) -> Broker:
        return Broker(rabbitmq.shared())


# -- publishing


def test_what_no_queue_is_bound_to_is_an_outage(house: House) -> None:
    lost = Envelope(id="x", key="nobody.listens.v1", exchange="commands", source="ingest", time=NOW, body=b"{}")
    with pytest.raises(Unroutable) as told:
        house.publisher.publish([lost])
    assert isinstance(told.value, OUTAGES)
    house.say(AssignIuv(record=RECORD))  # the publisher is as good as new


def test_what_a_full_queue_refuses_is_an_outage(house: House, broker: Broker) -> None:
    name = f"{house.topology.namespace}.full"
    arguments = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
    with broker.connect() as connection:
        channel: Any = connection.default_channel
        channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
        channel.queue_bind(name, house.topology.exchange("commands").name, "full.v1")
        full = Envelope(id="x", key="full.v1", exchange="commands", source="ingest", time=NOW, body=b"{}")

        def until_it_is_full() -> None:
            for _ in range(50):  # the limit of a quorum queue is a soft one
                house.publisher.publish([full])

        with pytest.raises(NotTaken, match="refused"):
            until_it_is_full()
        channel.queue_delete(name)


def test_a_forged_user_id_is_refused(house: House, broker: Broker) -> None:
    @dataclass(frozen=True, slots=True)
    class Forger(Broker):
        @property
        def user(self) -> str:
            return "somebody-else"

    forger = Publisher(Forger(broker.url), house.topology)
    with pytest.raises(PreconditionFailed):
        forger.publish([Envelope.of(AssignIuv(record=RECORD), source="ingest")])


def test_thousands_are_confirmed_in_windows(house: House) -> None:
    ear, _ = house.listen("iuv", size=200)
    sent = house.say(*commands(2_000))
    assert [each.envelope.id for each in ear.until_heard(2_000)] == [each.id for each in sent]


# -- consuming


def test_heartbeats_go_on_while_a_handler_works_for_long(house: House, broker: Broker) -> None:
    heard: list[int] = []
    done = threading.Event()

    def slow(deliveries: Sequence[Delivery]) -> None:
        threading.Event().wait(8.0)  # four times as long as the broker waits for a sign of life
        heard.extend(each.earlier for each in deliveries)
        done.set()

    subscription = Subscription(Broker(broker.url, heartbeat=2), house.topology, "iuv", slow)
    house.adopt(subscription)
    house.say(AssignIuv(record=RECORD))
    assert done.wait(DEADLINE)
    eventually(lambda: subscription.idle)
    subscription.stop()
    assert heard == [0]
    ear, _ = house.listen("iuv")
    house.say(AssignIuv(record=RECORD, issue=2))
    assert issues(ear.until_heard(1)) == [2]  # it was let go: the connection had lived


def test_a_queue_that_was_deleted_and_declared_again_is_told_of(house: House, broker: Broker) -> None:
    ear, lost = Ear(), threading.Event()
    subscription = Subscription(house.broker, house.topology, "iuv", ear, on_topology_lost=lost.set)
    house.adopt(subscription)
    house.say(AssignIuv(record=RECORD))
    ear.until_heard(1)
    assert not lost.is_set()
    with broker.connect() as connection:
        channel: Any = connection.default_channel
        channel.queue_delete(house.topology.queue("iuv").name)
        eventually(lambda: not subscription.connected)
        assert not lost.is_set()  # not before all stands again
        house.topology.declare(connection)
    assert lost.wait(DEADLINE)
    house.say(AssignIuv(record=RECORD, issue=2))
    assert issues(ear.until_heard(2)) == [1, 2]


def test_a_recovery_that_fails_is_tried_again(house: House, broker: Broker) -> None:
    tried = threading.Semaphore(0)

    def recover() -> None:
        tried.release()
        raise OSError

    subscription = Subscription(house.broker, house.topology, "iuv", Ear(), on_topology_lost=recover)
    house.adopt(subscription)
    eventually(lambda: subscription.connected)
    with broker.connect() as connection:
        channel: Any = connection.default_channel
        channel.queue_delete(house.topology.queue("iuv").name)
        eventually(lambda: not subscription.connected)
        house.topology.declare(connection)
    assert tried.acquire(timeout=DEADLINE)
    assert tried.acquire(timeout=DEADLINE)


def test_five_restarts_of_a_replica_in_mid_work_charge_nobody_twice(house: House) -> None:
    """What was delivered and not begun goes back, and RabbitMQ counts that; from then on one is in hand at a time."""
    house.say(*commands(60))
    earlier: Counter[int] = Counter()
    handled: list[int] = []
    for _ in range(5):
        begun = threading.Event()

        def slow(deliveries: Sequence[Delivery], begun: threading.Event = begun) -> None:
            for issue, each in zip(issues(deliveries), deliveries, strict=True):
                earlier[issue] = max(earlier[issue], each.earlier)
            handled.extend(issues(deliveries))
            begun.set()

        subscription = Subscription(house.broker, house.topology, "iuv", slow, size=20)
        house.adopt(subscription)
        assert begun.wait(DEADLINE)
        subscription.stop()
    ear, _ = house.listen("iuv")
    eventually(lambda: set(handled) | set(issues(ear.deliveries)) == set(range(1, 61)))
    assert Counter(handled + issues(ear.deliveries)).most_common(1)[0][1] == 1
    assert max([*earlier.values(), *(each.earlier for each in ear.deliveries)]) <= 2


def test_what_kills_its_worker_is_alone_in_hand_and_its_neighbours_are_not_charged(house: House) -> None:
    poison = 30
    house.say(*commands(60))
    hands: list[list[tuple[int, int]]] = []
    for _ in range(3):
        worker = spawn(house.broker.url, house.topology.namespace, "iuv", size=50, poison=poison)
        assert worker.stdout is not None
        with worker, worker.stdout:
            lines = worker.stdout.read().splitlines()
        hands.append([])
        for line in lines:
            pairs = [tuple(map(int, each.split(":"))) for each in line.split()]
            hands[-1] += [(issue, earlier) for issue, earlier in pairs]
            if poison in (issue for issue, _ in pairs):
                killed = pairs
        if len(hands) > 1:
            assert [issue for issue, _ in killed] == [poison]  # alone, once it is known to have been delivered before
    ear, _ = house.listen("iuv")
    eventually(lambda: poison in issues(ear.deliveries))
    rest = {each.message.issue: each.earlier for each in ear.deliveries if isinstance(each.message, AssignIuv)}
    assert rest.pop(poison) == 3
    others = [earlier for issue, earlier in (*hands[1], *hands[2], *rest.items()) if issue != poison]
    assert others
    assert max(others) == 1
