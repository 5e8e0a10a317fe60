"""What Alembic runs for each chain. The connection and its transaction are the caller's (`chains.py`)."""

from __future__ import annotations

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], **given["comparing"])
context.run_migrations()
