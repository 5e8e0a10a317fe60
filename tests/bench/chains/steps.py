"""What all chains share: the record, the five steps, and the one PostgreSQL transaction that each step commits.

The transaction is the least that an honest consumer needs: an inbox row, by which a repeat would be known, and the
record's new state. Times are taken by the database, from the first step of the first record to the last step of the last,
so that neither seeding nor the start of a worker counts.
"""

from __future__ import annotations

import os
from typing import Any, LiteralString

import psycopg

from tests.builders import a_record

STEPS = ("ingest", "iuv", "render", "protocol", "dispatch")
SCHEMA = """
drop table if exists bench_inbox, bench_state;
create table bench_inbox (
    step text, record text, at timestamptz not null default clock_timestamp(), primary key (step, record)
);
create table bench_state (record text primary key, step text not null, version int not null);
"""
INSERT: LiteralString = "insert into bench_inbox (step, record) values (%s, %s) on conflict do nothing"
UPDATE: LiteralString = "update bench_state set step = %s, version = version + 1 where record = %s"


def broker_url() -> str:
    """Where the chain's broker is."""
    return os.environ["STAFFETTA_BENCH_BROKER"]


def database() -> str:
    """Where its database is, as libpq wants it."""
    return os.environ["STAFFETTA_BENCH_DATABASE"]


def queue_names(prefix: str) -> list[str]:
    """One queue a step."""
    return [f"{prefix}.{step}" for step in STEPS]


def a_payload(row: int) -> dict[str, Any]:
    """A record of the product's own kind and size, as JSON."""
    return a_record(row).model_dump(mode="json", exclude_none=True)


def prepare(records: int) -> None:
    """Empty tables with a state for each record."""
    with psycopg.connect(database(), autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
        with connection.cursor().copy("copy bench_state (record, step, version) from stdin") as rows:
            for row in range(1, records + 1):
                rows.write_row((a_payload(row)["id"], "new", 0))
        connection.execute("analyze bench_state")
        connection.execute("checkpoint")


def commit(connection: psycopg.Connection, step: str, record: str) -> None:
    """One step's transaction."""
    with connection.transaction():
        connection.execute(INSERT, (step, record))
        connection.execute(UPDATE, (step, record))


async def commit_async(connection: psycopg.AsyncConnection, step: str, record: str) -> None:
    """The same, for who is asynchronous."""
    async with connection.transaction():
        await connection.execute(INSERT, (step, record))
        await connection.execute(UPDATE, (step, record))


def counted() -> int:
    """How many steps of how many records are committed."""
    with psycopg.connect(database()) as connection:
        row = connection.execute("select count(*) from bench_inbox").fetchone()
        return int(row[0]) if row else 0


def span(records: int) -> float:
    """Seconds from first to last. Raises `AssertionError` unless every record did every step once."""
    with psycopg.connect(database()) as connection:
        steps = connection.execute("select step, count(*) from bench_inbox group by step").fetchall()
        ends = connection.execute("select step, version, count(*) from bench_state group by step, version").fetchall()
        times = connection.execute("select extract(epoch from max(at) - min(at)) from bench_inbox").fetchone()
        connection.execute("drop table bench_inbox, bench_state")
    assert dict(steps) == dict.fromkeys(STEPS, records), steps
    assert ends == [(STEPS[-1], len(STEPS), records)], ends
    assert times is not None
    return float(times[0])
