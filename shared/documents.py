"""The document store: content-addressed, so that a name proves the bytes.

A folder here (embedded), in the layout `ab/cd/<sha256>`; written to a temporary name, fsynced, renamed, and the folders
fsynced, before anyone records the reference.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

from shared.contracts.record import DocumentRef

PDF = "application/pdf"
JSON = "application/json"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class DocumentMissing(Exception):
    """The store does not hold this document."""


class DocumentCorrupt(Exception):
    """The stored bytes are not those that their name promises."""


class DocumentStore(Protocol):
    """Where documents are kept."""

    def put(self, content: bytes, media_type: str) -> DocumentRef:
        """Keep `content` for good; the same content twice is one document."""
        ...

    def get(self, ref: DocumentRef) -> bytes:
        """The bytes, checked against their hash. Raises `DocumentMissing`, `DocumentCorrupt`."""
        ...


class FolderStore:
    """A `DocumentStore` in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entered: set[Path] = set()

    def path(self, ref: DocumentRef) -> Path:
        """Where the document lies (whether or not it is there)."""
        return self._root / ref.sha256[:2] / ref.sha256[2:4] / ref.sha256

    def put(self, content: bytes, media_type: str) -> DocumentRef:
        """See `DocumentStore.put`."""
        ref = DocumentRef(sha256=hashlib.sha256(content).hexdigest(), media_type=media_type, size=len(content))
        target = self.path(ref)
        # Bytes that are there may be of a writer that a power cut stopped before its last fsync, or damaged since.
        if not self._holds(target, content):
            self._make(target.parent)
            self._write(target, content)
        _sync(target.parent)
        return ref

    def _holds(self, target: Path, content: bytes) -> bool:
        try:
            if target.read_bytes() != content:
                return False
        except FileNotFoundError:
            return False
        _sync(target)
        return True

    def _make(self, folder: Path) -> None:
        """The folder and those above it up to the root, each entered in its parent for good: once per process, whoever made
        them."""
        for each in (self._root, folder.parent, folder):
            if each not in self._entered:
                each.mkdir(parents=each == self._root, exist_ok=True)
                _sync(each.parent)
                self._entered.add(each)

    def _write(self, target: Path, content: bytes) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)  # a full disk must not fill up further
            raise

    def get(self, ref: DocumentRef) -> bytes:
        """See `DocumentStore.get`."""
        try:
            content = self.path(ref).read_bytes()
        except FileNotFoundError as missing:
            raise DocumentMissing(ref.sha256) from missing
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise DocumentCorrupt(ref.sha256)
        return content


def _sync(path: Path) -> None:
    """To the disk: a file's bytes, or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
