"""The spreadsheet (*tracciato*): the empty format, the reading with its checks, the file of outcomes."""

from services.ingest.tracciato.limits import Limits
from services.ingest.tracciato.mail import resolve_channel
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.reader import Reading, read_tracciato
from services.ingest.tracciato.rows import CheckedRow, Draft, to_record

__all__ = [
    "CheckedRow",
    "Draft",
    "Limits",
    "Reading",
    "StructureError",
    "read_tracciato",
    "resolve_channel",
    "to_record",
]
