"""Where the bench runs: the tests' broker, and a database of its own on the tests' PostgreSQL, durable as a real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo

from tests.servers import postgresql, rabbitmq


def broker() -> str:
    """The broker's URL."""
    return amqp(rabbitmq.shared())


def amqp(url: str) -> str:
    """The same URL with the default vhost as pika, aio-pika and kombu all read it."""
    return f"{url.removesuffix('//')}/%2F" if url.endswith("//") else url


@contextmanager
def database() -> Iterator[str]:
    """A fresh database, as libpq wants it, dropped afterwards."""
    server = postgresql.server().replace("postgresql+psycopg:", "postgresql:")
    name = f"staffetta_bench_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        try:
            yield make_conninfo(server, dbname=name)
        finally:
            connection.execute(f'drop database "{name}" with (force)'.encode())
