"""What an outage of ours looks like: the database, the broker or the document store does not answer.

A handler lets these through, and its handful is held until it works. Everything else that it did not expect is about one
message, and must not hold up its neighbours.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event

import structlog
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

log = structlog.get_logger()
OUTAGES: tuple[type[Exception], ...] = (OSError, OperationalError, InterfaceError, TimeoutError, AMQPError, KombuError)
WAIT_SECONDS = (0.2, 1.0, 3.0, 6.0)


class NotTaken(ConnectionError):
    """The broker did not take what was published: it refused, gave no confirm in time, or has no queue for it."""


class Unroutable(NotTaken):
    """No queue is bound to what was published: a part of the topology is missing."""


def wait_seconds(attempt: int) -> float:
    """How long to wait after so many tries in vain; growing, and not the same for all who wait for one server."""
    return WAIT_SECONDS[min(attempt, len(WAIT_SECONDS) - 1)] * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def until_it_works(act: Callable[[], None], stopping: Event, held: Callable[[str], None], name: str) -> bool:
    """Call `act` until it does not raise; `False` if told to stop before. `held` gets the type of what it raised, and ""
    when it worked."""
    attempt = 0
    while True:
        try:
            act()
        except Exception as error:
            held(type(error).__name__)
            log.exception("bus.held", queue=name, attempt=attempt)
            if stopping.wait(wait_seconds(attempt)):
                return False
            attempt += 1
        else:
            held("")
            return True
