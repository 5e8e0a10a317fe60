"""Write the next migration of a service from what its models say that the database does not have yet:

    .venv/bin/python scripts/revise.py ingest "lanes have hours"

Read what was written (renamed columns, values for rows that are there, triggers): only you know what was meant.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from alembic import command

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from deploy.migrations.chains import HERE, config_of, owner_engine, upgrade  # noqa: E402 - the path comes first
from tests.servers import postgresql  # noqa: E402


def main(service: str, message: str) -> int:
    """Returns 0."""
    written = HERE / "versions" / service
    written.mkdir(parents=True, exist_ok=True)
    number = f"{len(list(written.glob('[0-9]*.py'))) + 1:04d}"
    with postgresql.database() as url, owner_engine(url).begin() as connection:
        if number != "0001":
            upgrade(connection, service)
        else:
            connection.exec_driver_sql(f'CREATE SCHEMA "{service}"')
        made = command.revision(config_of(service, connection), message, autogenerate=True, rev_id=number)
    tables = ROOT / "services" / service / "tables.py"
    text = re.sub(
        r'^REVISION = "\d+"', f'REVISION = "{number}"', tables.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    tables.write_text(text, encoding="utf-8")
    print(getattr(made, "path", made))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
