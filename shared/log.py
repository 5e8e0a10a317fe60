"""Logs: JSON lines on stderr, with constant event names and the ids that are bound around a piece of work.

No line may hold personal data. That is a rule for whoever writes one; this module is the guard behind it, which takes
out what slips through and says so (`personal_data_removed`), so that a test or an operator sees the slip.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, TextIO, cast
from uuid import UUID

import structlog

REMOVED: Final = "[rimosso]"
FLAG: Final = "personal_data_removed"
DEPTH: Final = 4

# The fields of a record, and of a spreadsheet, that tell who somebody is, where, or what they owe.
PERSONAL_KEYS: Final = {
    *("debtor", "name", "fiscal_code", "vat_code", "tax_code", "cf", "recipient", "recipients", "to", "rcpt", "email", "mail"),
    *("address", "addresses", "street", "postal_code", "city", "subject", "reason", "amount", "amount_cents", "cents"),
    *("iuv", "nav", "notice_code", "iban", "columns", "cells", "cell", "proposal", "body", "message", "record"),
    *("intestazione", "codicefiscale", "partitaiva", "importo", "causale", "causalebollettino", "oggettoprot", "indirizzopec"),
}  # fmt: skip
SECRET_KEYS: Final = {"password", "passwd", "secret", "token", "authorization", "ocp-apim-subscription-key"}
# By shape: tax codes (omocodia included), notice codes and IUVs, IBANs, mail addresses. A Message-ID of ours is no address.
PERSONAL_SHAPES: Final = re.compile(
    r"\b[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]\b"
    r"|(?<![0-9A-Za-z-])[0-9]{17,18}(?![0-9A-Za-z-])"
    r"|\bIT[0-9]{2}[A-Z][0-9]{10}[0-9A-Z]{12}\b"
    r"|(?<![\w.+-])(?!avviso\.[0-9a-f]{32}\.)[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    re.IGNORECASE,
)
# Texts of exceptions of ours hold no personal data by the house rule. Others quote what they choked on: a driver its
# parameters, a validator its input.
OUR_PACKAGES: Final = ("shared.", "services.", "deploy.")


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's logs to `stream` (stderr) as JSON lines. `level` is ours; libraries
    are heard from WARNING on, for below that some of them tell addresses and URLs."""
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        without_exception_texts,
        without_personal_data,
    ]
    structlog.configure(
        processors=[*chain, structlog.processors.JSONRenderer(ensure_ascii=False, default=_shape)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(stream or sys.stderr))),
        cache_logger_on_first_use=False,
    )
    handler = _Bridge(logging.WARNING)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


def without_personal_data(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Take out what is personal by the name of its key or by its shape, at any depth, and name the keys."""
    removed: list[str] = []
    clean = {key: _clean(key, value, removed, DEPTH) for key, value in event.items()}
    if removed:
        clean[FLAG] = sorted(set(removed))
    return clean


def without_exception_texts(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Show an exception as its type and places, with its causes; its text only where it is one of ours."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = list(_told(error))
    return event


def _told(error: BaseException) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(told) < 5:
        kind = type(current)
        one: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
        if kind.__module__.startswith(OUR_PACKAGES):
            one["text"] = str(current)
        frames = traceback.extract_tb(current.__traceback__)
        one["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        told.append(one)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return told


def _clean(key: str, value: Any, removed: list[str], depth: int) -> Any:
    if key.lower() in PERSONAL_KEYS or key.lower() in SECRET_KEYS:
        removed.append(key)
        return REMOVED
    if isinstance(value, Mapping) and depth:
        return {str(name): _clean(str(name), each, removed, depth - 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_clean(key, each, removed, depth - 1) for each in value]
    text = value if isinstance(value, str) else _shape(value)
    if not isinstance(text, str):
        return text
    cleaned = PERSONAL_SHAPES.sub(REMOVED, text)
    if cleaned != text:
        removed.append(key)
    return cleaned


def _shape(value: Any) -> Any:
    """What is safe of a value: numbers, ids and times as they are, anything else (a model, a row) by its type alone."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, UUID | date | time | timedelta | PurePath | Decimal | Enum):
        return str(value)
    return f"<{type(value).__qualname__}>"


class _Unfailing:
    """A stream whose trouble is nobody's failure: with a full disk a line is lost, and never the thread that wrote it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """See `TextIO.write`."""
        with suppress(OSError, ValueError):  # ValueError: closed, at the end of a process
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """See `TextIO.flush`."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class _Bridge(logging.Handler):
    """Libraries' records on the same chain. Their arguments may be anybody's data, so only the template is told."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        level = min(record.levelno // 10 * 10, logging.CRITICAL)  # structlog knows the standard ones
        structlog.get_logger().log(
            level, "library.log", logger=record.name, template=str(record.msg)[:300], exc_info=record.exc_info
        )
