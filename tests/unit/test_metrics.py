"""Metrics: names that Prometheus's conventions ask for, counts of what happened, and nothing about people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from shared import metrics
from shared.bus.measured import measured, publishing
from shared.bus.runner import StageRunner
from shared.contracts.base import Phase
from shared.contracts.commands import DispatchNotice
from shared.db.engine import Database
from shared.stage import Deferred, Permanent, Refused, Transient
from shared.wiring import StageService
from tests.builders import a_record
from tests.fakes import NOON, Clock, FakeBase, FakeStage, Out, delivered, unclear
from tests.ingest_house import IngestHouse, failed

UNITS = ("_seconds", "_records", "_messages", "_bytes", "_timestamp_seconds")
COLLECTED_BY_THE_LIBRARY = ("process_", "python_")


def value(name: str, **labels: str) -> float:
    """0 for what was never counted."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def families() -> list[Metric]:
    return list(text_string_to_metric_families(metrics.text().decode()))


def ours() -> list[Metric]:
    return [each for each in families() if not each.name.startswith(COLLECTED_BY_THE_LIBRARY)]


def test_every_name_follows_the_conventions() -> None:
    assert len(ours()) > 15
    for family in ours():
        assert re.fullmatch(r"staffetta(_[a-z]+)+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket")), family.name
        for banned in ("milli", "micro", "minutes", "_ms", "_kb"):
            assert banned not in family.name
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total", f"{family.name}_created"}
        if family.type == "histogram":
            assert family.name.endswith(UNITS), family.name


def test_labels_are_of_a_few_kinds() -> None:
    labels = {name for family in ours() for sample in family.samples for name in sample.labels} - {"le"}
    assert labels <= {"stage", "outcome", "queue", "lane", "state", "service", "version", "python"}


def test_the_process_tells_its_version_and_its_start() -> None:
    names = {family.name for family in families()}
    assert {"staffetta_build_info", "process_start_time_seconds", "process_resident_memory_bytes"} <= names | {
        f"{name}_info" for name in names
    }


@pytest.fixture
def stage() -> FakeStage:
    return FakeStage(lookable=True)


@pytest.fixture
def runner(tmp_path: Path, stage: FakeStage) -> Iterator[StageRunner]:
    database = Database(f"sqlite:///{tmp_path / 'fake.sqlite'}", FakeBase.metadata, "fake")
    database.create_all()
    made = StageRunner(StageService(database, stage, frozenset({DispatchNotice})), Out(), "one", now=Clock())
    yield made
    made.close()
    database.close()


def test_records_are_counted_by_what_they_came_to(runner: StageRunner, stage: FakeStage) -> None:
    def counted() -> dict[str, float]:
        outcomes = ("done", "refused", "uncertain", "transient", "permanent", "deferred", "repeated")
        return {each: value("staffetta_records_total", stage="dispatch", outcome=each) for each in outcomes}

    def asked(*rows: int) -> None:
        runner.handle([delivered(DispatchNotice(record=a_record(row))) for row in rows])

    before, acts = counted(), value("staffetta_act_seconds_count", stage="dispatch")
    stage.script(3, Refused("no-such-box"))
    stage.script(4, unclear())
    stage.script(5, Transient("busy"))
    stage.script(6, Permanent("bug"))
    stage.script(7, Deferred(NOON + timedelta(hours=1), "later"))
    asked(2, 3, 4, 5, 6, 7)
    asked(2, 3)
    asked(8)
    gained = {name: after - before[name] for name, after in counted().items()}
    assert gained == {
        "done": 2,
        "refused": 1,
        "uncertain": 1,
        "transient": 1,
        "permanent": 1,
        "deferred": 1,
        "repeated": 2,
    }
    assert value("staffetta_act_seconds_count", stage="dispatch") - acts == 2  # the repeats did not act


def test_a_closed_lane_shows_until_it_opens(tmp_path: Path) -> None:
    clock, stage = Clock(), FakeStage(lookable=True)
    database = Database(f"sqlite:///{tmp_path / 'fake.sqlite'}", FakeBase.metadata, "fake")
    database.create_all()
    runner = StageRunner(StageService(database, stage, frozenset({DispatchNotice})), Out(), "one", now=clock)
    stage.script(2, Transient("refused-login", lane=True, shut=True))
    command = delivered(DispatchNotice(record=a_record(2)))
    lane = {"stage": "dispatch", "lane": "mailbox-pec"}
    runner.handle([command])
    assert value("staffetta_lane_closed", **lane) == 1
    clock.forward(hours=1)
    runner.handle([command])
    assert value("staffetta_lane_closed", **lane) == 0
    runner.close()
    database.close()


def test_a_handful_is_measured_once_and_an_outage_is_counted() -> None:
    troubles = [ConnectionError(), None]

    def handle(_deliveries: object) -> None:
        if (trouble := troubles.pop(0)) is not None:
            raise trouble

    watched = measured("test", handle)
    handful = [delivered(DispatchNotice(record=a_record(row))) for row in (2, 3, 4)]
    with pytest.raises(ConnectionError):
        watched(handful)
    assert value("staffetta_queue_held", queue="test") == 1
    watched(handful)
    assert value("staffetta_queue_held", queue="test") == 0
    assert value("staffetta_handfuls_held_total", queue="test") == 1
    for name in ("staffetta_handful_records", "staffetta_handful_seconds", "staffetta_queue_wait_seconds"):
        assert value(f"{name}_count", queue="test") == 1, name
    assert value("staffetta_handful_records_sum", queue="test") == 3
    assert 0 <= value("staffetta_queue_wait_seconds_sum", queue="test") < 60


def test_publishing_is_timed_where_it_is_confirmed_and_counted_where_it_is_not() -> None:
    names = ("published_messages_total", "publish_failures_total", "publish_seconds_count")
    before = [value(f"staffetta_{name}") for name in names]
    handful = [delivered(DispatchNotice(record=a_record(row))).envelope for row in range(2, 9)]
    with publishing(handful):
        pass
    with pytest.raises(ConnectionError), publishing(handful):
        raise ConnectionError
    assert [value(f"staffetta_{name}") - was for name, was in zip(names, before, strict=True)] == [7, 1, 1]


def test_a_database_that_is_away_leaves_the_other_metrics_alone() -> None:
    def away() -> Iterator[Metric]:
        yield GaugeMetricFamily("staffetta_half", "Half.", value=1)
        raise ConnectionError

    forget = metrics.gauges(away)
    try:
        names = {family.name for family in families()}
    finally:
        forget()
        forget()  # twice does no harm
    assert "staffetta_half" not in names
    assert "staffetta_handful_seconds" in names


def test_the_pacer_tells_what_is_in_each_lane_waits_and_is_parked(tmp_path: Path) -> None:
    house = IngestHouse(tmp_path)
    first, second, _third = house.batch((2, 3, 4), until=Phase.GENERATE)
    house.issue()
    house.hear(failed(first, permanent=True), failed(second))
    assert value("staffetta_records_in_flight", lane="iuv:c_x999") == 1
    assert value("staffetta_records_in_flight", lane="render") == 1
    assert (value("staffetta_records_parked"), value("staffetta_records_waiting")) == (1, 1)
    assert value("staffetta_records_uncertain") == 0
    house.close()
    assert value("staffetta_records_parked") == 0  # nobody asks a database that was let go of
