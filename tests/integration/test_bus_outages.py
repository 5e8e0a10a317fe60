"""The bus while RabbitMQ is stopped, killed, suspended and wiped: a private broker for these tests alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest
from kombu import Message as Delivered

from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.delivery import Delivery
from shared.bus.outages import OUTAGES, NotTaken
from shared.bus.publisher import Publisher
from shared.contracts.commands import AssignIuv
from shared.contracts.envelope import Envelope
from tests.servers.rabbitmq import RabbitMQ, private
from tests.suites.bus import RECORD, Ear, House, eventually

HANDFUL = 20


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMQ]:
    with private() as server:
        yield server


@pytest.fixture
def house(server: RabbitMQ) -> Iterator[House]:
    house = House(Broker(server.url))
    yield house
    house.close()


class Stream:
    """Publishes handfuls, each again until it is confirmed, until it is told to stop."""

    def __init__(self, house: House) -> None:
        self.confirmed: list[str] = []
        self._house = house
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> set[str]:
        """The ids of all that was confirmed."""
        self._stopping.set()
        self._thread.join()
        return set(self.confirmed)

    def _run(self) -> None:
        issue = 0
        while not self._stopping.is_set():
            commands = [AssignIuv(record=RECORD, issue=issue + more) for more in range(1, HANDFUL + 1)]
            handful = [Envelope.of(command, source="ingest") for command in commands]
            issue += HANDFUL
            self._publish(handful)
            self._stopping.wait(0.01)

    def _publish(self, handful: Sequence[Envelope]) -> None:
        while True:
            try:
                self._house.publisher.publish(handful)
            except OUTAGES:
                if self._stopping.wait(0.1):
                    return
            else:
                self.confirmed += [each.id for each in handful]
                return


@pytest.mark.parametrize("end", [RabbitMQ.stop, RabbitMQ.kill], ids=["stopped", "killed"])
def test_a_broker_that_goes_and_comes_back_loses_nothing_that_it_confirmed(
    server: RabbitMQ, house: House, end: Callable[[RabbitMQ], None]
) -> None:
    lost = threading.Event()
    ear = Ear()
    subscription = Subscription(house.broker, house.topology, "iuv", ear, on_topology_lost=lost.set)
    house.adopt(subscription)
    stream = Stream(house)
    ear.until_heard(10 * HANDFUL)
    end(server)
    eventually(lambda: not subscription.connected)
    server.start()
    before = len(ear.deliveries)
    ear.until_heard(before + 10 * HANDFUL)
    confirmed = stream.end()
    eventually(lambda: confirmed <= {each.envelope.id for each in ear.deliveries})
    assert lost.wait(60)  # it was away: whoever issued may issue again


def test_a_broker_that_stands_still_is_an_outage_and_not_for_ever(server: RabbitMQ, house: House) -> None:
    publisher = Publisher(house.broker, house.topology, confirm_seconds=2.0)
    envelope = Envelope.of(AssignIuv(record=RECORD), source="ingest")
    publisher.publish([envelope])
    server.suspend()
    try:
        with pytest.raises(NotTaken, match="in time"):
            publisher.publish([envelope])
        with pytest.raises(OUTAGES):
            publisher.publish([envelope])  # connecting anew does not wait for ever either
    finally:
        server.resume()
    publisher.publish([envelope])
    publisher.close()


def test_a_handful_that_is_held_while_the_broker_goes_is_handled_again_and_not_lost(
    server: RabbitMQ, house: House
) -> None:
    begun, may_end = threading.Event(), threading.Event()
    heard: list[str] = []

    def slow(deliveries: Sequence[Delivery]) -> None:
        heard.extend(each.envelope.id for each in deliveries)
        begun.set()
        assert may_end.wait(120)

    subscription = Subscription(house.broker, house.topology, "iuv", slow)
    house.adopt(subscription)
    [sent] = house.say(AssignIuv(record=RECORD))
    assert begun.wait(60)
    server.kill()
    server.start()
    may_end.set()
    eventually(lambda: heard.count(sent.id) >= 2)
    eventually(lambda: subscription.idle)


def test_a_wiped_broker_is_told_of_when_all_stands_again(server: RabbitMQ, house: House) -> None:
    lost = threading.Event()
    subscription = Subscription(house.broker, house.topology, "iuv", Ear(), on_topology_lost=lost.set)
    house.adopt(subscription)
    eventually(lambda: subscription.connected)
    server.wipe()
    server.start()
    assert not lost.is_set()
    with house.broker.connect() as connection:
        house.topology.declare(connection)
    assert lost.wait(60)
    assert subscription.connected


def test_a_broker_that_was_wiped_while_nobody_looked_is_told_of_as_well(server: RabbitMQ, house: House) -> None:
    lost, woken, asleep = threading.Event(), threading.Event(), threading.Event()

    def sleep() -> Iterator[tuple[Delivered, bool]]:
        asleep.set()
        assert woken.wait(180)
        return iter(())

    subscription = Subscription(house.broker, house.topology, "iuv", Ear(), on_topology_lost=lost.set)
    house.adopt(subscription)
    eventually(lambda: subscription.connected)
    subscription._handled = sleep  # type: ignore[method-assign]
    assert asleep.wait(60)
    server.wipe()
    server.start()
    with house.broker.connect() as connection:
        house.topology.declare(connection)
    del subscription._handled
    woken.set()
    assert lost.wait(60)
    assert subscription.connected
