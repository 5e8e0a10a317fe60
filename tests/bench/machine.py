"""What the figures were made on: they mean nothing without it."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pika
import psycopg

PACKAGES = ("celery", "dramatiq", "faststream", "kombu", "psycopg", "pydantic", "sqlalchemy")


def described(broker: str, database: str) -> list[str]:
    """Lines: the day, processors and memory, the servers' versions, the libraries'."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    with psycopg.connect(database) as connection:
        postgresql = connection.execute("show server_version").fetchone()
        settings = connection.execute(
            "select string_agg(name || '=' || setting, ', ') from pg_settings"
            " where name in ('fsync', 'synchronous_commit', 'full_page_writes')"
        ).fetchone()
    assert postgresql is not None
    assert settings is not None
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()} × {os.cpu_count()}, {memory:.0f} GiB, "
        f"{platform.freedesktop_os_release().get('PRETTY_NAME', platform.system())}, Python {platform.python_version()}",
        f"RabbitMQ {_rabbitmq(broker)} (one node, quorum queues), PostgreSQL {postgresql[0]} ({settings[0]})",
        ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        f"load before the start: {os.getloadavg()[0]:.2f}",
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _rabbitmq(broker: str) -> str:
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        told = connection._impl.server_properties or {}  # where pika keeps it
        found = told.get("version", "?")
        return found.decode() if isinstance(found, bytes) else str(found)
