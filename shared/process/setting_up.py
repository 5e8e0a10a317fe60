"""What a service stands on, from the settings."""

from __future__ import annotations

from shared.bus.connection import MEMORY, Broker
from shared.bus.topology import Topology
from shared.creditors import load_creditors
from shared.documents import FolderStore
from shared.process.parts import Service, Surroundings
from shared.settings import Settings
from shared.wiring import Setup


class WrongSetting(Exception):
    """A setting with which no service can run alone. The text is Italian."""


def surroundings(service: Service, settings: Settings) -> Surroundings:
    """Of one service. Nothing is connected yet. Raises `WrongSetting`, `CreditorsError`, `SecretMissing`."""
    url = settings.broker_url.get_secret_value()
    if url.startswith(MEMORY):
        raise WrongSetting(
            "Manca STAFFETTA_BROKER_URL: i servizi come processi separati si parlano attraverso RabbitMQ (amqp://...). "
            "Per un processo solo: staffetta up."
        )
    if not settings.database_url.get_secret_value():
        settings.folder.mkdir(parents=True, exist_ok=True)
    creditors = load_creditors(settings.creditors, secrets=service.secrets)
    documents = FolderStore(settings.documents_folder)
    return Surroundings(
        setup=Setup(creditors, documents, settings.database_of),
        settings=settings,
        broker=Broker(url),
        topology=Topology(settings.namespace),
    )
