"""The document store: a name proves the bytes, and what was recorded is on the disk."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.contracts.record import DocumentRef
from shared.documents import PDF, DocumentCorrupt, DocumentMissing, FolderStore

CONTENT = b"%PDF-1.7 a notice"


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_put_comes_back_under_its_hash_and_twice_is_once(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    ref = store.put(CONTENT, PDF)

    assert store.put(CONTENT, PDF) == ref
    assert store.get(ref) == CONTENT
    assert (ref.size, ref.media_type) == (len(CONTENT), PDF)
    assert files(tmp_path) == [tmp_path / ref.sha256[:2] / ref.sha256[2:4] / ref.sha256]
    assert FolderStore(tmp_path).get(ref) == CONTENT


def test_a_document_that_is_not_there_is_told_by_its_hash_alone(tmp_path: Path) -> None:
    ref = DocumentRef(sha256="0" * 64, media_type=PDF, size=1)

    with pytest.raises(DocumentMissing, match=f"^{ref.sha256}$"):
        FolderStore(tmp_path).get(ref)


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT[:-1] + b"X"])
def test_damaged_bytes_are_never_given_out_and_a_repeat_heals_them(tmp_path: Path, damaged: bytes) -> None:
    store = FolderStore(tmp_path)
    ref = store.put(CONTENT, PDF)
    store.path(ref).write_bytes(damaged)
    with pytest.raises(DocumentCorrupt):
        store.get(ref)

    store.put(CONTENT, PDF)

    assert store.get(ref) == CONTENT
    assert len(files(tmp_path)) == 1


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    with no_file_longer_than(len(CONTENT) - 1), pytest.raises(OSError, match="too large"):
        store.put(CONTENT, PDF)

    assert files(tmp_path) == []


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """A disk that is full after `size` bytes of each file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
