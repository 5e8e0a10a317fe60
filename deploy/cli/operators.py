"""What the operators' commands share: whom they speak to, and how they say what went wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from rich.console import Console
from rich.markup import escape

from shared.bus.topology import Topology
from shared.bus.unreadable import NotFound, Unreachable
from shared.creditors import CreditorsError, load_creditors
from shared.settings import Settings

P = ParamSpec("P")
DONE, DIFFERENT, WRONG = 0, 1, 2
console = Console(stderr=True)
out = Console(soft_wrap=True)


class Misused(Exception):
    """The text says what to do."""


def broker_url() -> str:
    """`STAFFETTA_BROKER_URL`. Raises `Misused` where there is no broker to ask."""
    url = Settings().broker_url.get_secret_value()
    if not url.startswith(("amqp://", "amqps://")):
        raise Misused("STAFFETTA_BROKER_URL non indica un RabbitMQ (amqp://utente:password@host:5672/vhost).")
    return url


def topology() -> Topology:
    """The names of this installation, those of the creditors' file's clients among them. Raises `Misused`."""
    settings = Settings()
    try:
        clients = load_creditors(settings.creditors, secrets=()).clients
    except CreditorsError as error:
        raise Misused(str(error)) from error
    return Topology(settings.namespace, tuple(clients))


def complain(text: str) -> None:
    """On stderr, in red."""
    console.print(f"[red]{escape(text)}[/]", highlight=False)


def say(text: str) -> None:
    """On stdout, as it is."""
    out.print(text, highlight=False, markup=False)


def tell(value: Any) -> None:
    """For machines: JSON on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def explained(command: Callable[P, int]) -> Callable[P, int]:
    """What an operator reads instead of a stack trace; the exit code is then 2."""

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> int:
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # it tells each failure in six ways
        try:
            return command(*args, **options)
        except Misused as error:
            complain(str(error))
        except Unreachable as error:
            complain(f"RabbitMQ non risponde o rifiuta questo utente: {error}")
        except NotFound as error:
            complain(
                f"Più messaggi si chiamano {error.wanted}. Indica quale: {', '.join(error.refs)}" if error.refs
                else f"Nessun messaggio si chiama {error.wanted}: guarda l'elenco con «staffetta parked list»."
            )  # fmt: skip
        return WRONG

    return run
