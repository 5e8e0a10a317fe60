"""What the simulated mail server keeps: one `.eml` per accepted message, and a journal.

Both are on disk before the client hears 250, so that after a `kill -9` of either side the folder tells what was sent. Names
come from the Message-ID (record and order), never from who it is for.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from typing import Any

from deploy.simulators.journal import append_line

JOURNAL = "giornale.jsonl"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.eml")


@dataclass(frozen=True, slots=True)
class Kept:
    """One accepted message: its file and when it was accepted (UTC)."""

    file: str
    message_id: str
    at: datetime


def message_id_of(content: bytes) -> str:
    """The Message-ID, or nothing."""
    return str(message_from_bytes(content, policy=SMTP).get("Message-ID", "")).strip()


class Archive:
    """Thread-safe; opens what an earlier process left."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._kept = [
            Kept(line["file"], line["message_id"], datetime.fromisoformat(line["at"]))
            for line in self.journal()
            if line["event"] == "accepted"
        ]
        self._recover()

    def journal(self) -> list[dict[str, Any]]:
        """The journal's lines, oldest first: `data`, `begun`, `accepted` and `cut`, each with `message_id` and `at`. A last line
        that a kill cut short never led to an answer: it is left out."""
        path = self.folder / JOURNAL
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def kept(self) -> list[Kept]:
        """Accepted messages, newest first."""
        with self._lock:
            return list(reversed(self._kept))

    def read(self, file: str) -> bytes:
        """The message as it was received. Raises `FileNotFoundError`, also for what is no name of ours."""
        if not NAME.fullmatch(file):
            raise FileNotFoundError(file)
        return (self.folder / file).read_bytes()

    def awaited(self) -> None:
        """A client was told to go on (354): from here on, a connection that breaks was cut during DATA."""
        self._write({"event": "data", "message_id": ""}, durable=False)

    def begun(self, message_id: str) -> None:
        """A client is transmitting; known to survive the process, not a power cut."""
        self._write({"event": "begun", "message_id": message_id}, durable=False)

    def cut(self, message_id: str, *, accepted: bool) -> None:
        """The conversation broke off before the client had an answer."""
        self._write({"event": "cut", "message_id": message_id, "accepted": accepted})

    def accept(self, content: bytes) -> Kept:
        """Keep a message. When this returns it is on disk, with its line in the journal; where it raises `OSError`, neither
        is. The same Message-ID twice gets two files: a double is what one looks for here."""
        message_id = message_id_of(content)
        local = re.sub(r"[^A-Za-z0-9._-]", "_", message_id.strip("<>").partition("@")[0])[:120].lstrip("._-")
        stem = local or hashlib.sha256(content).hexdigest()[:32]
        temporary = self.folder / f".{stem}.{threading.get_ident()}.tmp"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        with self._lock:
            names = (f"{stem}.eml", *(f"{stem}-{copy}.eml" for copy in range(2, 1000)))
            name = next(each for each in names if not (self.folder / each).exists())
            temporary.replace(self.folder / name)
        try:
            self._sync_folder()
            return self._journal_accepted(name, message_id, content)
        except OSError:
            (self.folder / name).unlink()
            raise

    def _journal_accepted(self, name: str, message_id: str, content: bytes) -> Kept:
        digest = hashlib.sha256(content).hexdigest()
        line = {"event": "accepted", "message_id": message_id, "file": name, "sha256": digest}
        kept = Kept(name, message_id, self._write(line))
        with self._lock:
            self._kept.append(kept)
        return kept

    def _recover(self) -> None:
        """Complete what a kill interrupted: a half-written last line is cut off, an `.eml` without a line gets one."""
        path = self.folder / JOURNAL
        if path.exists() and (whole := path.read_bytes()) and not whole.endswith(b"\n"):
            os.truncate(path, whole.rfind(b"\n") + 1)
        for leftover in self.folder.glob(".*.tmp"):
            leftover.unlink()
        known = {kept.file for kept in self._kept}
        for path in sorted(self.folder.glob("*.eml")):
            if path.name not in known:
                content = path.read_bytes()
                self._journal_accepted(path.name, message_id_of(content), content)

    def _write(self, line: Mapping[str, object], *, durable: bool = True) -> datetime:
        at = datetime.now(UTC)
        text = json.dumps({**line, "at": at.isoformat()}, ensure_ascii=False)
        with self._lock, (self.folder / JOURNAL).open("ab", buffering=0) as file:
            append_line(file, text.encode(), durable=durable)
        return at

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
