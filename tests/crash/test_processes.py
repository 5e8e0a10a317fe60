"""Services killed at a step of their work, and servers taken away: small forms of `tests.crash.matrix` and `.outages`."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.audit import audit
from tests.crash.matrix import CASES, run_case, wrong
from tests.crash.outages import SCALED, Servers, broker_wiped, database_killed
from tests.crash.outages import run_case as run_outage
from tests.crash.sweeping import POINTS, sweep
from tests.e2e.run_hand import ROOT
from tests.installation import FAST, installed, on_private_servers, sheet_of
from tests.servers import postgresql, rabbitmq

ROWS = 12
BLANK = {"BLANK_PRESS": "1"}
SOME = {("iuv", "half"), ("render", "record"), ("protocol", "pass-on"), ("dispatch", "act"), ("ingest", "issued"),
        ("status", "mid-fold")}  # fmt: skip


def test_the_settings_that_are_scaled_for_these_measures_are_settings_of_the_product() -> None:
    documented = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [name for name in (FAST | SCALED) if f"`{name}`" not in documented] == []


def test_a_service_killed_at_a_step_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, ROWS)
    cases = [case for case in CASES if case[:2] in SOME]
    assert len(cases) == len(SOME)
    with (
        postgresql.database() as database,
        installed(tmp_path, rabbitmq.shared(), database, f"test-{uuid4().hex[:8]}", BLANK) as here,
    ):
        outcomes = [run_case(here, case, sheet, ROWS) for case in cases]
        found = audit(here, ROWS * len(cases))
    assert wrong(outcomes, found, ROWS) == []


@pytest.mark.parametrize("point", POINTS)
def test_a_killed_sweeper_leaves_no_fact_unsaid_and_says_none_under_two_ids(tmp_path: Path, point: str) -> None:
    with postgresql.database() as database:
        assert sweep(rabbitmq.shared(), database, tmp_path, point).wrong() == []


def test_a_wiped_broker_and_a_killed_database_cost_time_and_nothing_else(tmp_path: Path) -> None:
    sheet = sheet_of(tmp_path, ROWS)
    with on_private_servers(tmp_path, BLANK) as (broker, database, here):
        servers = Servers(broker, database, here)
        for harm in (broker_wiped, database_killed):
            states, _ = run_outage(servers, harm, sheet, ROWS)
            assert sum(states.get(state, 0) for state in ("sent", "to-verify")) == ROWS, (harm.__name__, states)
        found = audit(here, ROWS * 2)
    assert found.errors == []
