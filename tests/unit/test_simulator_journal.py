"""What a simulator's journal holds when the disk is full."""

from __future__ import annotations

from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from deploy.simulators.journal import append_line


class Filling(FileIO):
    """A file on a disk with room for `room` more bytes."""

    room = 5

    def write(self, content: Any) -> int:
        """See `FileIO.write`."""
        written = super().write(bytes(content)[: self.room])
        self.room -= written
        return written


def test_a_line_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Filling(path, "ab") as disk:
        append_line(disk, b"one")
        with pytest.raises(OSError, match="No space"):
            append_line(disk, b"two")
    assert path.read_bytes() == b"one\n"
    with path.open("ab", buffering=0) as roomy:
        append_line(roomy, b"three", durable=False)
    assert path.read_bytes() == b"one\nthree\n"
