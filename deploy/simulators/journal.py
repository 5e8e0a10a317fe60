"""A journal's line is on disk whole, or not at all: half a line would swallow the next one."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from io import FileIO


def append_line(file: FileIO, line: bytes, *, durable: bool = True) -> None:
    """Append `line` and its end to an unbuffered `file`. Where that fails (a full disk), nothing is left of it and
    `OSError` says why."""
    before = os.fstat(file.fileno()).st_size
    try:
        _write(file, line + b"\n", durable=durable)
    except OSError:
        with suppress(OSError):
            os.ftruncate(file.fileno(), before)
        raise


def _write(file: FileIO, line: bytes, *, durable: bool) -> None:
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if durable:
        os.fsync(file.fileno())
