"""Settings that every process has, from the environment (prefix `STAFFETTA_`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "STAFFETTA_"


class Settings(BaseSettings):
    """`STAFFETTA_NAMESPACE` and so on. An empty variable counts as none, as in compose files."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    namespace: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "staffetta"
    """First part of the names of exchanges and queues: two installations can share a broker."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    creditors: Path | None = None
    """The creditors' file; without it, the rehearsal file."""
    folder: Path = Path("staffetta")
    """Where the embedded relay keeps databases and documents, and a service its database where it has no server."""
    broker_url: SecretStr = SecretStr("memory://")
    """`amqp://user:password@host:5672/vhost`, each service with a user of its own. `memory://` is inside one process."""
    database_url: SecretStr = SecretStr("")
    """`postgresql+psycopg://user:password@host:5432/database`, each service with a role of its own. Unset: a SQLite file."""
    documents: Path | None = None
    """The folder of the document store, the same for all services. Unset: `documents` in the folder."""
    health_host: str = "127.0.0.1"
    health_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Where a service answers `/healthz`, `/readyz` and `/metrics`; 0: a free port. Unset: nowhere."""

    @property
    def documents_folder(self) -> Path:
        """Where documents are."""
        return self.documents or self.folder / "documents"

    def database_of(self, service: str) -> str:
        """The SQLAlchemy URL of a service that runs alone."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.folder / service}.sqlite"


def wrong_variables(invalid: ValidationError) -> str:
    """Which variables are wrong, by their names (Italian); their values are not told, for any may be a secret in the wrong
    place."""
    prefixes = {kind.__name__: str(kind.model_config.get("env_prefix", "")) for kind in BaseSettings.__subclasses__()}
    prefix = prefixes.get(invalid.title, PREFIX)
    fields = [str(error["loc"][0]) for error in invalid.errors(include_input=False) if error["loc"]]
    names = [name if name.startswith(PREFIX) else f"{prefix}{name}".upper() for name in fields]
    return (
        f"Queste variabili d'ambiente hanno un valore non valido: {', '.join(names) or prefix}. I valori ammessi sono in "
        "docs/configuration.md."
    )
