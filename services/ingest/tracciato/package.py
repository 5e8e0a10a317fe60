"""The zip file that an .xlsx is, guarded: nothing is inflated before its directory was looked at.

Office files need no DTD, so one with a DOCTYPE is hostile; since a DOCTYPE can only stand before the root element, the
prolog of each part is enough to know. Without DTD there are no entities, neither external nor growing ones.
"""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final
from xml.parsers import expat

from services.ingest.tracciato.limits import Limits
from services.ingest.tracciato.problems import StructureError

CHUNK: Final = 65_536
PROLOG: Final = 1_048_576
"""Bytes before the root element, or of one tag: both are a few hundred in a real file."""
OLE: Final = bytes.fromhex("D0CF11E0A1B11AE1")
ENCRYPTED_STREAM: Final = "EncryptedPackage".encode("utf-16-le")
READ_ERRORS: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What `zipfile` raises on a bad member (`RuntimeError`: it is encrypted)."""


class Package:
    """An opened .xlsx. Use as a context manager. Every method raises `StructureError` where a part cannot be read."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self.limits = limits
        self._sizes = {info.filename: info.file_size for info in archive.infolist()}

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __contains__(self, part: str) -> bool:
        return part in self._sizes

    @contextmanager
    def open(self, part: str) -> Iterator[IO[bytes]]:
        """A part, to read in chunks."""
        if part not in self._sizes:
            raise StructureError("damaged")
        try:
            with self._archive.open(part) as stream:
                yield stream
        except READ_ERRORS as wrong:
            raise StructureError("damaged") from wrong

    def read(self, part: str) -> bytes:
        """A small part, whole."""
        if self._sizes.get(part, 0) > self.limits.small_part_bytes:
            raise StructureError("inflates-too-much")
        with self.open(part) as stream:
            return stream.read()

    def guard(self) -> None:
        """Raise unless the directory keeps within the limits and no part has a DTD."""
        entries = self._archive.infolist()
        if len(entries) > self.limits.members or sum(self._sizes.values()) > self.limits.inflated_bytes:
            raise StructureError("inflates-too-much")
        if len(self._sizes) != len(entries):  # two parts of one name: whoever reads next may see the other one
            raise StructureError("damaged")
        if "mimetype" in self._sizes and b"opendocument" in self.read("mimetype"):
            raise StructureError("opendocument")
        if "xl/workbook.bin" in self._sizes:
            raise StructureError("binary-workbook")
        if "[Content_Types].xml" not in self._sizes or "_rels/.rels" not in self._sizes:
            raise StructureError("not-an-xlsx")
        for part in self._sizes:
            self._refuse_dtd(part)

    def _refuse_dtd(self, part: str) -> None:
        parser = expat.ParserCreate()
        rooted = False

        def root(*_: object) -> None:
            nonlocal rooted
            rooted = True
            parser.StartElementHandler = None

        def doctype(*_: object) -> None:
            raise StructureError("forbidden-xml")

        parser.StartElementHandler = root
        parser.StartDoctypeDeclHandler = doctype
        seen = 0
        with self.open(part) as stream:
            while not rooted and (chunk := stream.read(CHUNK)):
                seen += len(chunk)
                try:
                    parser.Parse(chunk, False)
                except expat.ExpatError:
                    return  # a picture, or broken XML that its own reader will stumble over in the same place
                if seen > PROLOG and not rooted:
                    raise StructureError("forbidden-xml")


def parse_chunks(stream: IO[bytes], parser: expat.XMLParserType) -> Iterator[None]:
    """Feed a part to `parser`, one step a chunk. Raises expat's error, or `StructureError` for an endless tag.

    Expat keeps a tag until it is complete, so one attribute of 200 MB would be 200 MB of memory.
    """
    fed = 0
    while chunk := stream.read(CHUNK):
        parser.Parse(chunk, False)
        fed += len(chunk)
        if fed - parser.CurrentByteIndex > PROLOG:
            raise StructureError("inflates-too-much")
        yield
    parser.Parse(b"", True)
    yield


def _refuse_other_formats(path: Path, limits: Limits) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise StructureError("not-an-xlsx")
    if status.st_size > limits.file_bytes:
        raise StructureError("too-large", limit=limits.file_bytes // 1_000_000)
    with path.open("rb") as file:
        head = file.read(8)
        if head == OLE:
            raise StructureError("encrypted" if ENCRYPTED_STREAM in head + file.read() else "old-xls")


def open_package(path: Path, limits: Limits) -> Package:
    """The guarded package at `path`. Raises `StructureError`; `OSError` where the file itself is not there."""
    _refuse_other_formats(path, limits)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as wrong:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
        raise StructureError("damaged" if zipped else "not-an-xlsx") from wrong
    package = Package(archive, limits)
    try:
        package.guard()
    except BaseException:
        archive.close()
        raise
    return package
