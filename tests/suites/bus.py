"""What the bus promises, over whatever broker: subclass `BusSuite` with a fixture `broker`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from shared.bus.connection import Broker
from shared.bus.consumer import Subscription
from shared.bus.delivery import Delivery
from shared.bus.parcels import posted
from shared.bus.publisher import Publisher
from shared.bus.topology import BINDINGS, Topology
from shared.contracts.base import Channel, StageName
from shared.contracts.commands import (
    AssignIuv,
    BatchOptions,
    CancelBatch,
    CorrectRecord,
    DispatchNotice,
    GenerateNotices,
    Message,
    PauseBatch,
    PreviewRecord,
    RegisterNotice,
    RequestBatch,
    Restate,
    ResumeBatch,
    RetryRecords,
    SendNotices,
    SettleRegistration,
    SettleSending,
    WithdrawPosition,
)
from shared.contracts.envelope import BATCH_CONTENT_TYPE, Envelope
from shared.contracts.facts import (
    BatchSent,
    IuvAssigned,
    LaneClosed,
    NoticeRegistered,
    NoticeRendered,
    NoticeSent,
    PreviewRendered,
    RecordsAccepted,
    Restated,
    StageDeferred,
    StageFailed,
)
from shared.contracts.record import Orders
from tests.builders import BATCH, a_document, a_record

DEADLINE = 60.0
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
RECORD = a_record()
ABOUT = {"batch_id": BATCH, "record_id": RECORD.id}
TOLD = {"ingest.facts", "status"}
STAGES = ("iuv", "render", "protocol", "dispatch")


def _decisions() -> Iterator[Message]:
    for kind in (GenerateNotices, SendNotices, PauseBatch, ResumeBatch, CancelBatch, RetryRecords):
        yield kind(command_id=uuid4(), batch_id=BATCH)
    yield CorrectRecord(command_id=uuid4(), batch_id=BATCH, record_id=RECORD.id, orders=Orders())


def _request() -> RequestBatch:
    options = BatchOptions(channel=Channel.PEC, payment_type="scuolabus", due_date=NOW.date())
    return RequestBatch(
        command_id=uuid4(), batch_id=BATCH, request_id="r", client="test", creditor="c_x999", options=options,
        sheet=a_document(), file_name="elenco.xlsx",
    )  # fmt: skip


def _attempt(kind: type[StageFailed | StageDeferred]) -> Message:
    said = {**ABOUT, "stage": StageName.IUV, "order": 1, "issue": 1, "code": "x", "until": NOW}
    return kind.model_validate(said)


def _routes() -> Iterator[tuple[str, Message, bool, set[str]]]:
    """(who says it, what, restated, the queues that get it)."""
    yield "status", _request(), False, {"ingest.batches"}
    for decision in _decisions():
        yield "status", decision, False, {"ingest.control"}
    yield "status", Restate(request_id=uuid4()), False, {"ingest.control", *STAGES}
    yield "ingest", AssignIuv(record=RECORD), False, {"iuv"}
    yield "ingest", WithdrawPosition(record=RECORD), False, {"iuv"}
    yield "ingest", PreviewRecord(record=RECORD), False, {"render.preview"}
    yield "ingest", RegisterNotice(record=RECORD), False, {"protocol"}
    yield "ingest", DispatchNotice(record=RECORD), False, {"dispatch"}
    for kind, queue in ((SettleRegistration, "protocol"), (SettleSending, "dispatch")):
        settled = {"command_id": uuid4(), "order": 1, "verdict": "done", **ABOUT}
        yield "status", kind.model_validate(settled), False, {queue}
    yield "ingest", RecordsAccepted(batch_id=BATCH, records=[]), False, {"status"}
    yield "ingest", BatchSent(batch_id=BATCH), False, {"status"}
    yield "iuv", IuvAssigned(record=RECORD), False, {"render", *TOLD}
    yield "render", NoticeRendered(record=RECORD), False, TOLD
    yield "render", PreviewRendered.model_validate(ABOUT), False, TOLD
    yield "protocol", NoticeRegistered(record=RECORD), False, {"dispatch", *TOLD}
    yield "dispatch", NoticeSent(record=RECORD), False, TOLD
    yield "iuv", _attempt(StageFailed), False, TOLD
    yield "iuv", _attempt(StageDeferred), False, TOLD
    yield "dispatch", LaneClosed(stage=StageName.DISPATCH, lane="m", code="x", since=NOW), False, TOLD
    yield "iuv", Restated(service="iuv", request_id=uuid4()), False, TOLD
    yield "ingest", Restated(service="ingest", request_id=uuid4()), False, {"status"}
    yield "iuv", IuvAssigned(record=RECORD), True, TOLD
    yield "protocol", NoticeRegistered(record=RECORD), True, TOLD
    yield "ingest", RecordsAccepted(batch_id=BATCH, records=[]), True, {"status"}


class Ear:
    """A handler that keeps what it is given. `trouble`, while there, is raised instead."""

    def __init__(self) -> None:
        self.handfuls: list[list[Delivery]] = []
        self.tried = 0
        self.trouble: Exception | None = None
        self._heard = threading.Condition()

    def __call__(self, deliveries: Sequence[Delivery]) -> None:
        with self._heard:
            self.tried += 1
            self._heard.notify_all()
            if self.trouble is not None:
                raise self.trouble
            self.handfuls.append(list(deliveries))

    @property
    def deliveries(self) -> list[Delivery]:
        return [delivery for handful in self.handfuls for delivery in handful]

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for it."""
        with self._heard:
            assert self._heard.wait_for(condition, DEADLINE)

    def until_heard(self, count: int) -> list[Delivery]:
        """Wait for so many deliveries."""
        self.until(lambda: len(self.deliveries) >= count)
        return self.deliveries


class House:
    """A namespace of its own at the broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.topology = Topology(f"test-{uuid4().hex[:8]}")
        with broker.connect() as connection:
            self.topology.declare(connection)
        self.publisher = Publisher(broker, self.topology)
        self._subscriptions: list[Subscription] = []

    def listen(
        self, queue: str, ear: Ear | None = None, *, size: int = 50, linger: float = 0.02
    ) -> tuple[Ear, Subscription]:
        ear = ear or Ear()
        subscription = Subscription(self.broker, self.topology, queue, ear, size=size, linger=linger)
        self.adopt(subscription)
        return ear, subscription

    def adopt(self, subscription: Subscription) -> None:
        """Start one that a test made for itself; it ends with the house."""
        self._subscriptions.append(subscription)
        subscription.start()

    def say(self, *messages: Message, source: str = "ingest") -> list[Envelope]:
        envelopes = [Envelope.of(message, source=source) for message in messages]
        self.publisher.publish(envelopes)
        return envelopes

    def say_each(self, *messages: Message, source: str = "ingest") -> list[Envelope]:
        """The same, each by itself: none shares a parcel."""
        return [envelope for message in messages for envelope in self.say(message, source=source)]

    def lying_in(self, queue: str) -> list[bytes]:
        """The bodies in a queue that nobody consumes, taken out."""
        bodies = []
        with self.broker.connect() as connection:
            while (taken := connection.default_channel.basic_get(queue, no_ack=True)) is not None:
                bodies.append(taken.body if isinstance(taken.body, bytes) else taken.body.encode())
        return bodies

    def set_aside(self, service: str) -> list[bytes]:
        """The bodies that `service` could not read, once there are any, taken out."""
        aside: list[bytes] = []

        def is_aside() -> bool:
            aside.extend(self.lying_in(self.topology.unreadable_name(service)))
            return bool(aside)

        eventually(is_aside)
        return aside

    def quiet(self) -> None:
        """Nobody consumes any more, and nothing is left in the queues."""
        for subscription in self._subscriptions:
            subscription.stop()
        self._subscriptions.clear()
        with self.broker.connect() as connection:
            channel: Any = connection.default_channel
            for queue in self.topology.queues():
                channel.queue_purge(queue.name)

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.stop()
        self.publisher.close()
        with self.broker.connect() as connection:
            remove(self.topology, connection.default_channel)


def remove(topology: Topology, channel: Any) -> None:
    """Delete all that was declared."""
    for queue in topology.queues():
        channel.queue_delete(queue.name)
    for exchange in topology.exchanges():
        channel.exchange_delete(exchange.name)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline, pause = time.monotonic() + DEADLINE, threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.01)


class BusSuite:
    """Routing, handfuls, letting go."""

    @pytest.fixture
    def house(self, broker: Broker) -> Iterator[House]:
        house = House(broker)
        yield house
        house.close()

    def test_every_message_reaches_every_queue_that_binds_it_and_no_other(self, house: House) -> None:
        ears = {queue: house.listen(queue)[0] for queue in BINDINGS}
        expected: dict[str, list[str]] = {queue: [] for queue in BINDINGS}
        for source, message, restated, queues in _routes():
            envelope = Envelope.of(message, source=source, restated=restated)
            house.publisher.publish([envelope])
            for queue in queues:
                expected[queue].append(envelope.id)
        for queue, ear in ears.items():
            ear.until_heard(len(expected[queue]))
        heard = {queue: [each.envelope.id for each in ear.deliveries] for queue, ear in ears.items()}
        assert heard == expected

    def test_an_envelope_arrives_as_it_left(self, house: House) -> None:
        ear, _ = house.listen("iuv")
        sent = Envelope.of(
            AssignIuv(record=RECORD, issue=7), source="ingest", id=uuid4(), correlation=BATCH, causation="the-cause",
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )  # fmt: skip
        house.publisher.publish([sent])
        [delivery] = ear.until_heard(1)
        assert delivery.envelope == replace(sent, user=house.broker.user)
        assert delivery.message == AssignIuv(record=RECORD, issue=7)
        assert not delivery.envelope.restated

    def test_names_and_codes_travel_in_the_body_alone(self, house: House) -> None:
        ear, _ = house.listen("iuv")
        house.say(AssignIuv(record=RECORD))
        [delivery] = ear.until_heard(1)
        outside = str({**delivery.envelope.cloud_headers(), "key": delivery.envelope.key})
        for personal in (RECORD.debtor.name, RECORD.debtor.fiscal_code, RECORD.delivery.address):
            assert personal not in outside

    def test_messages_come_in_handfuls_in_their_order(self, house: House) -> None:
        sent = house.say(*(AssignIuv(record=RECORD, issue=issue) for issue in range(1, 121)))
        ear, _ = house.listen("iuv", size=50)
        heard = ear.until_heard(120)
        assert [each.envelope.id for each in heard] == [each.id for each in sent]
        assert all(len(handful) <= 50 for handful in ear.handfuls)
        assert len(ear.handfuls) < 60

    def test_a_lonely_message_does_not_wait_for_a_full_handful(self, house: House) -> None:
        ear, _ = house.listen("iuv", size=1000)
        house.say(AssignIuv(record=RECORD))
        assert len(ear.until_heard(1)) == 1

    def test_what_was_handled_does_not_come_again(self, house: House) -> None:
        ear, subscription = house.listen("iuv")
        house.say(AssignIuv(record=RECORD))
        ear.until_heard(1)
        subscription.stop()
        again, _ = house.listen("iuv")
        house.say(AssignIuv(record=RECORD, issue=2))
        assert [each.message for each in again.until_heard(1)] == [AssignIuv(record=RECORD, issue=2)]

    def test_what_was_not_handled_comes_again_to_another(self, house: House) -> None:
        stuck = Ear()
        stuck.trouble = ConnectionError()
        _, subscription = house.listen("iuv", stuck)
        sent = house.say(*(AssignIuv(record=RECORD, issue=issue) for issue in (1, 2, 3)))
        stuck.until(lambda: stuck.tried > 0)
        subscription.stop()
        ear, _ = house.listen("iuv")
        heard = {each.envelope.id for each in ear.until_heard(3)}
        assert heard == {each.id for each in sent}

    def test_a_handler_that_fails_keeps_its_handful_and_goes_on_when_it_works(self, house: House) -> None:
        ear = Ear()
        ear.trouble = OSError()
        sent = house.say(AssignIuv(record=RECORD), AssignIuv(record=RECORD, issue=2))
        _, subscription = house.listen("iuv", ear)
        ear.until(lambda: ear.tried >= 2)
        assert subscription.trouble == "OSError"
        assert not subscription.idle
        assert ear.deliveries == []
        ear.trouble = None
        heard = ear.until_heard(2)
        assert [each.envelope.id for each in heard] == [each.id for each in sent]
        eventually(lambda: subscription.idle and subscription.trouble == "")

    @pytest.mark.parametrize(
        ("key", "body"),
        [
            ("iuv.assign-iuv.v1", b"{ not json"),
            ("iuv.assign-iuv.v1", b'{"record": {}}'),
            ("iuv.assign-iuv.v1", b"\xff\xfe\x00"),
            ("iuv.never-heard-of.v1", b"{}"),
            ("iuv.assign-iuv.v99", b"{}"),
        ],
    )
    def test_what_cannot_be_read_is_set_aside_and_its_neighbours_go_on(
        self, house: House, key: str, body: bytes
    ) -> None:
        broken = Envelope(id="x", key=key, exchange="commands", source="stranger", time=NOW, body=body)
        good = [Envelope.of(AssignIuv(record=RECORD, issue=issue), source="ingest") for issue in (1, 2)]
        for envelope in (good[0], broken, good[1]):
            house.publisher.publish([envelope])
        ear, subscription = house.listen("iuv")
        assert [each.envelope.id for each in ear.until_heard(2)] == [each.id for each in good]
        eventually(lambda: subscription.idle)
        subscription.stop()
        assert house.set_aside("iuv") == [body]

    def test_those_of_a_parcel_arrive_as_they_left_in_their_order(self, house: House) -> None:
        ear, _ = house.listen("iuv")
        sent = [
            Envelope.of(
                AssignIuv(record=RECORD, issue=issue), source="ingest", id=uuid4(), correlation=uuid4(),
                causation=f"cause-{issue}", traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" * (issue % 2),
            )
            for issue in range(1, 61)
        ]  # fmt: skip
        house.publisher.publish(sent)
        heard = ear.until_heard(60)
        assert [each.envelope for each in heard] == [replace(each, body=b"", user=house.broker.user) for each in sent]
        assert [each.message for each in heard] == [each.message() for each in sent]
        assert all(each.envelope.message() is each.message for each in heard)  # it was read once

    def test_handfuls_of_parcels_are_no_larger_than_asked_for(self, house: House) -> None:
        sent = [
            each for _ in range(4) for each in house.say(*(AssignIuv(record=RECORD, issue=n) for n in range(1, 26)))
        ]
        ear, subscription = house.listen("iuv", size=16)
        assert [each.envelope.id for each in ear.until_heard(100)] == [each.id for each in sent]
        assert max(len(handful) for handful in ear.handfuls) == 16
        eventually(lambda: subscription.idle)

    def test_keys_that_alternate_reach_their_readers(self, house: House) -> None:
        readers = {queue: house.listen(queue)[0] for queue in ("iuv", "protocol", "dispatch")}
        kinds = {"iuv": AssignIuv, "protocol": RegisterNotice, "dispatch": DispatchNotice}
        said = [kinds[queue](record=RECORD, issue=issue) for issue in range(1, 41) for queue in readers]
        house.say(*said)
        for queue, ear in readers.items():
            assert [each.message for each in ear.until_heard(40)] == [m for m in said if type(m) is kinds[queue]]

    def test_of_a_parcel_what_can_be_read_is_handled_and_all_of_it_is_set_aside_and_may_come_again(
        self, house: House
    ) -> None:
        good = [Envelope.of(AssignIuv(record=RECORD, issue=issue), source="ingest") for issue in (1, 2)]
        broken = replace(good[0], id="broken", body=b'{"record": {}}')
        house.publisher.publish([good[0], broken, good[1]])
        ear, subscription = house.listen("iuv")
        assert [each.envelope.id for each in ear.until_heard(2)] == [each.id for each in good]
        eventually(lambda: subscription.idle)
        subscription.stop()
        [aside] = house.set_aside("iuv")
        assert [event["id"] for event in json.loads(aside)] == [good[0].id, "broken", good[1].id]

    @pytest.mark.parametrize("body", [b"[{}, not json", b'{"no": "array"}', b"[\xff]", b"null"])
    def test_what_is_no_parcel_but_says_so_is_set_aside(
        self, house: House, body: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        posting = "shared.bus.publisher.posted"
        monkeypatch.setattr(posting, lambda parcel: replace(posted(parcel), content_type=BATCH_CONTENT_TYPE, body=body))
        house.say(AssignIuv(record=RECORD))
        monkeypatch.undo()
        house.say(AssignIuv(record=RECORD, issue=2))
        ear, subscription = house.listen("iuv")
        assert [each.message for each in ear.until_heard(1)] == [AssignIuv(record=RECORD, issue=2)]
        eventually(lambda: subscription.idle)
        subscription.stop()
        assert house.set_aside("iuv") == [body]

    def test_a_quiet_subscription_is_idle_and_one_with_a_message_in_hand_is_not(self, house: House) -> None:
        may_end, in_hand = threading.Event(), threading.Event()

        def slow(_deliveries: Sequence[Delivery]) -> None:
            in_hand.set()
            assert may_end.wait(DEADLINE)

        subscription = Subscription(house.broker, house.topology, "iuv", slow)
        subscription.start()
        eventually(lambda: subscription.idle)
        house.say(AssignIuv(record=RECORD))
        assert in_hand.wait(DEADLINE)
        assert not subscription.idle
        may_end.set()
        eventually(lambda: subscription.idle)
        subscription.stop()

    def test_what_was_in_hand_at_a_stop_is_finished_and_let_go(self, house: House) -> None:
        may_end, in_hand = threading.Event(), threading.Event()

        def slow(_deliveries: Sequence[Delivery]) -> None:
            in_hand.set()
            assert may_end.wait(DEADLINE)

        subscription = Subscription(house.broker, house.topology, "iuv", slow, size=1)
        subscription.start()
        house.say_each(AssignIuv(record=RECORD), AssignIuv(record=RECORD, issue=2))
        assert in_hand.wait(DEADLINE)
        stopping = threading.Thread(target=subscription.stop)
        stopping.start()
        may_end.set()
        stopping.join(DEADLINE)
        ear, _ = house.listen("iuv")
        assert [each.message for each in ear.until_heard(1)] == [AssignIuv(record=RECORD, issue=2)]

    def test_a_topology_says_what_is_missing_and_when_all_stands(self, house: House) -> None:
        other = Topology(f"{house.topology.namespace}-other", clients=("anagrafe",))
        with house.broker.connect() as connection:
            assert house.topology.missing(connection) == []
            assert set(other.missing(connection)) == {part.name for part in other.parts()}
        stands: list[bool] = []
        waiting = threading.Thread(target=lambda: stands.append(other.await_standing(house.broker, threading.Event())))
        waiting.start()
        with house.broker.connect() as connection:
            other.declare(connection)
            waiting.join(DEADLINE)
            assert other.missing(connection) == []
            remove(other, connection.default_channel)
        assert len(stands) == 1
        assert house.topology.await_standing(house.broker, threading.Event()) is False

    def test_a_subscription_tells_whether_it_consumes(self, house: House) -> None:
        _, subscription = house.listen("iuv")
        eventually(lambda: subscription.connected)
        subscription.stop()
        assert not subscription.connected

    def test_outcomes_may_have_no_reader(self, house: House) -> None:
        outcome = Envelope(id="x", key="anagrafe.x.v1", exchange="outcomes", source="ingest", time=NOW, body=b"{}")
        house.publisher.publish([outcome])

    def test_many_threads_publish_through_one_publisher(self, house: House) -> None:
        ear, _ = house.listen("iuv")
        threads = [
            threading.Thread(target=house.say, args=[AssignIuv(record=RECORD, issue=number) for number in range(1, 26)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert len(ear.until_heard(100)) == 100

    def test_a_publisher_that_was_closed_opens_again(self, house: House) -> None:
        ear, _ = house.listen("iuv")
        house.say(AssignIuv(record=RECORD))
        house.publisher.close()
        house.say(AssignIuv(record=RECORD, issue=2))
        assert len(ear.until_heard(2)) == 2
