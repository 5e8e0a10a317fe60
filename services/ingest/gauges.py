"""What ingest tells of its records when it is scraped: how many are in each lane, wait, are parked or in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import func
from sqlalchemy import select as sql_select
from sqlmodel import col

from services.ingest.model import RowState
from services.ingest.pace import lanes_ahead
from services.ingest.tables import Row
from shared.db.engine import Database

SHOWN = (
    (RowState.WAITING, "staffetta_records_waiting", "Records that are tried again later."),
    (RowState.PARKED, "staffetta_records_parked", "Records that stopped: somebody has to look (retry)."),
    (
        RowState.UNCERTAIN,
        "staffetta_records_uncertain",
        "Records of which nobody knows whether they were sent or registered.",
    ),
)


def pacer(database: Database) -> Iterator[Metric]:
    """Counted in the database, from an index: every replica of ingest tells the same, so take their maximum."""
    in_flight: Counter[str] = Counter()
    by_state: Counter[str] = Counter()
    groups = (col(Row.state), col(Row.step), col(Row.creditor), col(Row.channel), col(Row.errand))
    states = [RowState.ISSUED.value, *(state.value for state, _, _ in SHOWN)]
    with database.read() as session:
        query = sql_select(*groups, func.count()).where(col(Row.state).in_(states)).group_by(*groups)
        for state, step, creditor, channel, errand, count in session.connection().execute(query):
            by_state[state] += count
            if state == RowState.ISSUED.value:
                in_flight.update(dict.fromkeys(lanes_ahead(errand or step, creditor, channel), count))
    lanes = GaugeMetricFamily(
        "staffetta_records_in_flight", "Records issued and not answered, by lane.", labels=["lane"]
    )
    for lane, count in in_flight.items():
        lanes.add_metric([lane], count)
    yield lanes
    for state, name, about in SHOWN:
        yield GaugeMetricFamily(name, about, value=by_state[state.value])
