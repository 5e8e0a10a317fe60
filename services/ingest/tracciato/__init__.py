"""The spreadsheet (*tracciato*): the empty format, the reading with its checks, the file of outcomes."""

from services.ingest.tracciato.esito import Outcome, TechnicalRow, write_esito
from services.ingest.tracciato.limits import Limits
from services.ingest.tracciato.listed import Listing, field_of
from services.ingest.tracciato.mail import resolve_channel
from services.ingest.tracciato.problems import StructureError
from services.ingest.tracciato.reader import Reading, read_tracciato
from services.ingest.tracciato.rows import CheckedRow, Draft, to_record
from services.ingest.tracciato.template import write_template

__all__ = [
    "CheckedRow",
    "Draft",
    "Limits",
    "Listing",
    "Outcome",
    "Reading",
    "StructureError",
    "TechnicalRow",
    "field_of",
    "read_tracciato",
    "resolve_channel",
    "to_record",
    "write_esito",
    "write_template",
]
