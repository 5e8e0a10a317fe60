"""The bus over RabbitMQ: the same suite, and what only a real broker can do to us."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from amqp.exceptions import PreconditionFailed

from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.delivery import Delivery
from shared.bus.outages import OUTAGES, NotTaken, Unroutable
from shared.bus.parcels import MOST_ITEMS
from shared.bus.publisher import Publisher
from shared.bus.suspects import DEATHS
from shared.bus.topology import DELIVERIES
from shared.bus.unreadable import connected
from shared.contracts.commands import AssignIuv, DispatchNotice
from shared.contracts.envelope import Envelope
from shared.contracts.facts import NoticeSent, StageFailed
from tests import parcel_hand
from tests.builders import a_record
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


def test_a_single_message_and_a_parcel_on_the_wire(house: House, broker: Broker) -> None:
    """Told by a library that is not the one that wrote it."""
    first, second = commands(2)
    [alone] = house.say(first)
    together = house.say(first, second)
    connection = connected(broker.url)
    channel = connection.channel()
    queue = house.topology.queue("iuv").name
    (_, single, body), (_, parcel, batch) = (channel.basic_get(queue, auto_ack=True) for _ in range(2))
    connection.close()
    assert single is not None
    assert parcel is not None
    assert batch is not None
    assert (single.content_type, single.message_id, body) == ("application/json", alone.id, alone.body)
    assert single.headers == {**alone.cloud_headers(), "x-delivery-count": 0}
    assert (parcel.content_type, parcel.type) == (
        "application/cloudevents-batch+json",
        "it.staffetta.iuv.assign-iuv.v1",
    )
    assert parcel.headers == {"parcel-items": 2, "x-delivery-count": 0}
    assert (parcel.user_id, parcel.delivery_mode) == (broker.user, 2)
    for event, envelope in zip(json.loads(batch), together, strict=True):
        assert (event.pop("data"), event) == (json.loads(envelope.body), envelope.attributes())


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
    house.say_each(*commands(60))
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
    house.say_each(*commands(60))
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


# -- parcels


def test_one_replica_does_not_hoard_parcels(house: House) -> None:
    may_end = threading.Event()
    held: list[int] = []

    def slow(deliveries: Sequence[Delivery]) -> None:
        held.extend(issues(deliveries))
        assert may_end.wait(DEADLINE)

    house.adopt(Subscription(house.broker, house.topology, "iuv", slow, size=50))
    for start in range(0, 500, MOST_ITEMS):
        house.say(*commands(500)[start : start + MOST_ITEMS])
    eventually(lambda: bool(held))
    ear, _ = house.listen("iuv")
    ear.until_heard(500 - 2 * 50)
    may_end.set()
    eventually(lambda: {*held, *issues(ear.deliveries)} == set(range(1, 501)))


def test_what_kills_its_worker_in_a_parcel_is_parked_alone_and_nobody_is_acted_on_twice(
    house: House, tmp_path: Path
) -> None:
    """Two of 25 kill whoever acts on them: a death together, and two of each alone."""
    poison = {6, 20}
    ear, _ = house.listen("ingest.facts")
    rows = range(2, 27)
    house.say(*(DispatchNotice(record=a_record(row)) for row in rows))
    deaths = 0
    while len(_told(ear)) < len(rows):
        with parcel_hand.spawn(house.broker.url, house.topology.namespace, tmp_path, poison) as worker:
            eventually(lambda worker=worker: worker.poll() is not None or len(_told(ear)) == len(rows))  # type: ignore[misc]
            deaths += worker.poll() is not None
            worker.kill()
    assert deaths == 1 + 2 * len(poison)
    assert _told(ear) == {a_record(row).id: "kills-worker" if row in poison else "" for row in rows}
    acts = Counter(map(int, (tmp_path / "acts").read_text().split()))
    assert acts == Counter(set(rows) - poison)  # once each


def _told(ear: Ear) -> dict[UUID, str]:
    """Record → the code of its failure, or none."""
    messages = [each.message for each in ear.deliveries]
    return {
        **{each.record.id: "" for each in messages if isinstance(each, NoticeSent)},
        **{each.record_id: each.code for each in messages if isinstance(each, StageFailed)},
    }


def test_a_queue_gives_a_parcel_so_often_that_all_in_it_may_kill() -> None:
    assert 1 + DEATHS * MOST_ITEMS < DELIVERIES
