"""Prometheus metrics. Labels are states, stages and kinds: never a batch, never a person."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlmodel import col, func, select

from services.status.tables import KeptCommand, LaneRow, RecordRow
from shared.db.engine import Database


class Metrics:
    """One registry per application, so that two in one process do not share counts."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self.facts = Counter("staffetta_status_facts", "Facts folded.", ["outcome"], registry=self.registry)
        self.fold_seconds = Histogram(
            "staffetta_status_fold_seconds", "Time to fold a handful.", registry=self.registry
        )
        self.registry.register(_ReadModel(database))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class _ReadModel(Collector):
    """Gauges read from the database when they are asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: the database may not be up yet."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Records by state, commands without an answer, closed lanes by stage."""
        records = GaugeMetricFamily("staffetta_status_records", "Records by state.", labels=["state"])
        waiting = GaugeMetricFamily("staffetta_status_commands_unanswered", "Commands that nobody answered yet.")
        closed = GaugeMetricFamily("staffetta_status_lanes_closed", "Lanes that are closed.", labels=["stage"])
        with self._database.read() as session:
            for state, count in session.exec(select(RecordRow.state, func.count()).group_by(col(RecordRow.state))):
                records.add_metric([state], count)
            counted = select(func.count()).select_from(KeptCommand).where(KeptCommand.answer == "")
            waiting.add_metric([], session.exec(counted).one())
            stages: dict[str, int] = {}
            for lane in session.exec(select(LaneRow)):
                stages[lane.stage] = stages.get(lane.stage, 0) + lane.closed
            for stage, count in stages.items():
                closed.add_metric([stage], count)
        yield from (records, waiting, closed)
