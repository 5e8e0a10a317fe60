"""`python -m services.status.api.openapi > docs/openapi.json`: the API's description, from the code."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from services.status.api.app import build_app
from services.status.api.context import Context
from services.status.api.hub import Hub
from services.status.api.kept import CommandDesk
from services.status.settings import StatusSettings
from services.status.tables import SCHEMA, Base
from shared.creditors import Creditors
from shared.db.engine import Database
from shared.documents import FolderStore


class _Nobody:
    def publish(self, envelopes: object) -> None:
        """Nothing is asked while the description is made."""


def openapi_json() -> str:
    """The OpenAPI document, as it is kept in docs/."""
    with TemporaryDirectory() as folder:
        database = Database("sqlite://", Base.metadata, SCHEMA)
        desk = CommandDesk(database, _Nobody(), timedelta(seconds=1))
        context = Context(
            database=database, documents=FolderStore(Path(folder)), creditors=Creditors.model_construct(creditors={}),
            settings=StatusSettings(), desk=desk, publisher=_Nobody(), hub=Hub(), template_xlsx=bytes,
        )  # fmt: skip
        schema = build_app(context).openapi()
        database.close()
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(openapi_json())
