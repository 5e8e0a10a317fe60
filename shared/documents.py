"""The document store: content-addressed, so that a name proves the bytes.

A folder here (embedded), in the layout `ab/cd/<sha256>`; written to a temporary name, fsynced, renamed, and the folder
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
        root.mkdir(parents=True, exist_ok=True)

    def path(self, ref: DocumentRef) -> Path:
        """Where the document lies (whether or not it is there)."""
        return self._root / ref.sha256[:2] / ref.sha256[2:4] / ref.sha256

    def put(self, content: bytes, media_type: str) -> DocumentRef:
        """See `DocumentStore.put`."""
        ref = DocumentRef(sha256=hashlib.sha256(content).hexdigest(), media_type=media_type, size=len(content))
        target = self.path(ref)
        if target.exists() and target.stat().st_size == len(content):
            return ref
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return ref

    def get(self, ref: DocumentRef) -> bytes:
        """See `DocumentStore.get`."""
        try:
            content = self.path(ref).read_bytes()
        except FileNotFoundError as missing:
            raise DocumentMissing(ref.sha256) from missing
        if hashlib.sha256(content).hexdigest() != ref.sha256:
            raise DocumentCorrupt(ref.sha256)
        return content
