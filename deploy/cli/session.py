"""What `run` and `up` share: configuration, the folder's lock, simulators in rehearsal, the relay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from deploy.embedded import FolderInUse, Relay, locked
from deploy.simulators.mail.simulator import MailSimulator
from deploy.simulators.pagopa import PagoPaSimulator
from services.protocol.model import RegisterNotDeclared
from services.render.adapters.kit import PrintingConfigurationWrong
from services.render.adapters.texts import TextsWrong
from shared import tracing
from shared.creditors import Creditors, CreditorsError, SecretMissing, load_creditors
from shared.log import configure
from shared.settings import Settings, wrong_variables

console = Console(stderr=True)
HIDDEN = ".staffetta"


class WrongUse(Exception):
    """Exit 2: the text says what to do."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder at work. In rehearsal, `mail_page` and `pagopa_page` are the simulators' addresses."""

    folder: Path
    creditors: Creditors
    relay: Relay
    mail_page: str = ""
    pagopa_page: str = ""


@contextmanager
def opened(folder: Path) -> Iterator[Opened]:
    """The relay on `folder`, started, and stopped at the end. Raises `WrongUse`."""
    hidden = folder / HIDDEN
    settings = read_settings()
    try:
        creditors = load_creditors(settings.creditors)
    except (CreditorsError, SecretMissing) as error:
        raise WrongUse(str(error)) from error
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(hidden))
        except FolderInUse as busy:
            raise WrongUse(f"La cartella {folder} è in uso da un altro processo: attendi che finisca.") from busy
        except OSError as error:
            raise WrongUse(
                f"Nella cartella {folder} non si può scrivere ({error.strerror}): scegline un'altra."
            ) from error
        configure(
            settings.log_level, stream=stack.enter_context((hidden / "staffetta.log").open("a", encoding="utf-8"))
        )
        tracing.configure("staffetta")
        stack.callback(tracing.close)
        lasting = hidden
        pages = ("", "")
        if creditors.rehearsal:
            pagopa = PagoPaSimulator()
            pagopa_url = pagopa.start(folder=hidden / "pagopa")
            stack.callback(pagopa.stop)
            mail = MailSimulator.start(folder / "inviati")
            stack.callback(mail.stop)
            creditors = creditors.with_simulators(pagopa_url, mail.smtp_port)
            pages = (mail.http_url, pagopa_url)
        else:
            lasting = stack.enter_context(_lasting_folder(settings))
        try:
            relay = Relay(hidden, creditors, lasting, namespace=settings.namespace)
        except ValidationError as invalid:
            raise WrongUse(wrong_variables(invalid)) from invalid
        except (SecretMissing, RegisterNotDeclared, PrintingConfigurationWrong, TextsWrong) as error:
            raise WrongUse(str(error)) from error
        stack.callback(relay.stop)
        relay.start()
        yield Opened(folder, creditors, relay, *pages)


def read_settings() -> Settings:
    """The settings that every process has. Raises `WrongUse`."""
    try:
        return Settings()
    except ValidationError as invalid:
        raise WrongUse(wrong_variables(invalid)) from invalid


@contextmanager
def _lasting_folder(settings: Settings) -> Iterator[Path]:
    """Where a real creditor's numbers are: IUVs are unique for ever and a register is one, so neither may begin again
    with every run's folder."""
    if "folder" not in settings.model_fields_set:
        raise WrongUse(
            "Fuori dall'ambiente di prova serve STAFFETTA_FOLDER: la cartella, sempre la stessa, che conserva il registro di "
            "protocollo e la numerazione degli avvisi dell'ente."
        )
    try:
        with locked(settings.folder):
            yield settings.folder
    except FolderInUse as busy:
        raise WrongUse(f"La cartella {settings.folder} è in uso da un altro processo: attendi che finisca.") from busy
