"""Where the bench runs: the tests' broker, and a database of its own on the tests' PostgreSQL, durable as a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo


def broker() -> str:
    """The broker's URL."""
    return os.environ.get("STAFFETTA_TEST_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")


@contextmanager
def database() -> Iterator[str]:
    """A fresh database, as libpq wants it, dropped afterwards."""
    server = os.environ.get("STAFFETTA_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    server = server.replace("postgresql+psycopg:", "postgresql:")
    name = f"staffetta_bench_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        try:
            yield make_conninfo(server, dbname=name)
        finally:
            connection.execute(f'drop database "{name}" with (force)'.encode())
