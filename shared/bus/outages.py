"""What an outage of ours looks like: the database, the broker or the document store does not answer.

A handler lets these through, and its handful is held until it works. Everything else that it did not expect is about one
message, and must not hold up its neighbours.
"""

from __future__ import annotations

from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

OUTAGES: tuple[type[Exception], ...] = (OSError, OperationalError, InterfaceError, TimeoutError, AMQPError, KombuError)
