"""What every test module gets: those that are about a service's SQL run over SQLite and over PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import over_postgresql

OVER_BOTH = {
    "tests.integration.test_dispatch",
    "tests.integration.test_ingest_batches",
    "tests.integration.test_ingest_outcomes",
    "tests.integration.test_ingest_replicas",
    "tests.integration.test_ingest_size",
    "tests.integration.test_recovery",
    "tests.integration.test_status_api",
    "tests.unit.test_ingest_closing",
    "tests.unit.test_ingest_control",
    "tests.unit.test_ingest_pacer",
    "tests.unit.test_ingest_progress",
    "tests.unit.test_ingest_watchdog",
    "tests.unit.test_iuv_outcomes",
    "tests.unit.test_iuv_reserve",
    "tests.unit.test_iuv_withdrawals",
    "tests.unit.test_protocol_register",
    "tests.unit.test_protocol_stage",
    "tests.unit.test_runner",
    "tests.unit.test_status_fold",
    "tests.unit.test_status_fold_cost",
    "tests.unit.test_status_fold_removed",
}
"""Modules whose databases come from `tests/databases.py`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Twice each test of `OVER_BOTH`, unless its mark names one of the databases."""
    databases = ("sqlite", "postgresql")
    about = [mark.name for mark in metafunc.definition.iter_markers() if mark.name in databases]
    if metafunc.module.__name__ in OVER_BOTH:
        metafunc.parametrize("over", about or databases, indirect=True)


@pytest.fixture(autouse=True)
def over(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the test's databases are made."""
    if getattr(request, "param", "sqlite") == "postgresql":
        with over_postgresql():
            yield
    else:
        yield
