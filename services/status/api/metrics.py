"""What the read model tells of itself when it is scraped: see `shared.metrics`, whose registry shows it."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlmodel import col, func, select

from services.status.tables import KeptCommand, LaneRow, RecordRow
from shared.db.engine import Database


def read_model(database: Database) -> Iterator[Metric]:
    """Records by state, commands without an answer, closed lanes by stage."""
    records = GaugeMetricFamily("staffetta_status_records", "Records by state.", labels=["state"])
    waiting = GaugeMetricFamily("staffetta_status_commands_unanswered", "Commands that nobody answered yet.")
    closed = GaugeMetricFamily("staffetta_status_lanes_closed", "Lanes that are closed.", labels=["stage"])
    with database.read() as session:
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
