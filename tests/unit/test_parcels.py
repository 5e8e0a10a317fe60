"""Who travels with whom, and what is read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import BaseModel

from shared.bus import parcels as under_test
from shared.bus.parcels import MOST_BYTES, MOST_ITEMS, opened, parcels, posted
from shared.contracts.base import StageName
from shared.contracts.commands import AssignIuv, Message, PauseBatch, RegisterNotice
from shared.contracts.envelope import Envelope
from shared.contracts.facts import IuvAssigned, LaneClosed, LaneOpened, Restated, StageFailed
from shared.contracts.outcomes import RequestRefused
from shared.contracts.registry import UnknownMessage
from tests.builders import BATCH, a_record

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLOSED = LaneClosed(stage=StageName.IUV, lane="m", code="x", since=NOON)
OPENED = LaneOpened(stage=StageName.IUV, lane="m")
ASSIGNED = IuvAssigned(record=a_record())
FAILED = StageFailed(batch_id=BATCH, record_id=a_record().id, stage=StageName.IUV, order=1, issue=1, code="x")


def wrapped(*messages: Message, source: str = "iuv", client: str = "") -> list[Envelope]:
    return [Envelope.of(each, source=source, client=client, correlation=BATCH, id=uuid4()) for each in messages]


def kinds(envelopes: Sequence[Envelope]) -> list[list[type[Message]]]:
    return [[type(each.message()) for each in parcel] for parcel in parcels(envelopes)]


def test_all_of_one_key_go_together_in_their_order() -> None:
    sent = wrapped(*[ASSIGNED] * 10)
    assert list(parcels(sent)) == [sent]


def test_records_join_their_kind_past_others() -> None:
    sent = wrapped(ASSIGNED, FAILED, ASSIGNED, FAILED)
    assert list(parcels(sent)) == [[sent[0], sent[2]], [sent[1], sent[3]]]


@pytest.mark.parametrize(
    "told",
    [
        [CLOSED, OPENED, CLOSED],
        [ASSIGNED, Restated(service="iuv", request_id=uuid4()), ASSIGNED],
        [FAILED, CLOSED, FAILED, OPENED],
    ],
)
def test_nothing_passes_what_is_not_about_a_record(told: list[Message]) -> None:
    assert kinds(wrapped(*told)) == [[type(each)] for each in told]


def test_a_parcel_holds_no_more_than_its_bounds() -> None:
    many = wrapped(*[ASSIGNED] * (2 * MOST_ITEMS + 1))
    assert [len(each) for each in parcels(many)] == [MOST_ITEMS, MOST_ITEMS, 1]
    large = [replace(each, body=b"x" * (MOST_BYTES // 2)) for each in many[:3]]
    assert [len(each) for each in parcels(large)] == [2, 1]
    huge = [replace(each, body=b"x" * (MOST_BYTES + 1)) for each in many[:2]]
    assert [len(each) for each in parcels(huge)] == [1, 1]


def test_other_systems_write_and_read_single_messages() -> None:
    decisions = wrapped(*[PauseBatch(command_id=uuid4(), batch_id=BATCH)] * 3, source="status")
    assert [len(each) for each in parcels(decisions)] == [1, 1, 1]
    outcomes = wrapped(*[RequestRefused(request_id="r", code="unreadable")] * 3, client="anagrafe")
    assert [len(each) for each in parcels(outcomes)] == [1, 1, 1]


def test_nothing_is_lost_and_nothing_comes_twice() -> None:
    sent = wrapped(*[ASSIGNED, FAILED, CLOSED, AssignIuv(record=a_record()), RegisterNotice(record=a_record())] * 40)
    together = [each for parcel in parcels(sent) for each in parcel]
    assert sorted(together, key=lambda each: each.id) == sorted(sent, key=lambda each: each.id)


def test_a_parcel_is_named_after_what_is_in_it() -> None:
    sent = wrapped(ASSIGNED, ASSIGNED)
    assert posted(sent) == posted(sent)
    assert posted(sent).id != posted(sent[::-1]).id
    assert posted(sent).correlation == str(BATCH)
    assert posted([sent[0], replace(sent[1], correlation=str(uuid4()))]).correlation == ""
    assert set(posted(sent).headers) == {"parcel-items"}


def together(sent: Sequence[Envelope], body: bytes | None = None) -> Envelope:
    """The parcel, as it comes to its reader."""
    return replace(sent[0], id="parcel", body=body if body is not None else posted(sent).body, user="iuv")


def test_what_is_in_a_parcel_is_read_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = wrapped(*[ASSIGNED] * 5)
    parcel = together(sent)
    monkeypatch.setattr(BaseModel, "model_validate_json", None)
    monkeypatch.setattr(under_test, "from_json", None)
    found, broken = opened(parcel)
    assert found == [replace(each, body=b"", user="iuv") for each in sent]
    assert [each.message() for each in found] == [ASSIGNED] * 5
    assert broken == []


def test_fields_that_are_not_known_are_kept_and_attributes_ignored() -> None:
    [sent] = wrapped(ASSIGNED)
    [event] = json.loads(posted([sent, sent]).body)[:1]
    event["data"]["of_a_later_version"] = 1
    event["later"] = "attribute"
    [found], _ = opened(together([sent], json.dumps([event]).encode()))
    assert found.message().model_extra == {"of_a_later_version": 1}


def test_what_cannot_be_read_is_named_and_its_neighbours_are_read() -> None:
    sent = wrapped(*[ASSIGNED] * 3)
    events = json.loads(posted(sent).body)
    del events[1]["data"]["record"]["id"]
    found, broken = opened(together(sent, json.dumps([*events, 7, {}]).encode()))
    assert found == [replace(each, body=b"", user="iuv") for each in (sent[0], sent[2])]
    assert broken == [sent[1].id, "", ""]


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[{}", b"[\xff]"])
def test_what_is_no_array_is_no_parcel(body: bytes) -> None:
    with pytest.raises((ValueError, TypeError)):
        opened(together(wrapped(ASSIGNED), body))


def test_a_key_that_is_not_known_makes_all_of_a_parcel_unreadable() -> None:
    with pytest.raises(UnknownMessage):
        opened(replace(together(wrapped(ASSIGNED)), key="iuv.never-heard-of.v1"))
