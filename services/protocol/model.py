"""What an outgoing registration is: DPR 445/2000 art. 53 (data), 55 (segnatura), 57 (numbering).

Number, date, sender's office, recipient, subject and the hash of every document are given together, in one step, and
never change. Numbers have at least seven digits and restart each calendar year, Europe/Rome.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from shared.contracts.record import Record, SectionState
from shared.creditors import Creditor, Creditors

ROME: Final = ZoneInfo("Europe/Rome")
OUTGOING: Final = "U"
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""Clocks of two machines, or one that was set right, differ by less. More is a broken clock, and no date to register."""


class RegisterNotDeclared(Exception):
    """Outside a rehearsal, somebody's register was not made the administration's. The text is Italian."""


class ClockBehind(Exception):
    """Our clock is far behind the register's last entry (`last`, UTC): one of the two is wrong."""

    def __init__(self, last: datetime) -> None:
        super().__init__("clock-behind-register")
        self.last = last


@dataclass(frozen=True, slots=True)
class RegisterId:
    """One numbering: of an administration (IPA), its AOO and its register. Our own code for a creditor may be renamed,
    and must not start the numbers anew."""

    ipa_code: str
    aoo_code: str
    code: str

    @classmethod
    def of(cls, creditor: Creditor) -> RegisterId:
        """The register of a creditor."""
        return cls(creditor.ipa_code, creditor.aoo_code, creditor.protocol.code)

    @property
    def key(self) -> str:
        """`c_x999|AOO1|PG`."""
        return f"{self.ipa_code}|{self.aoo_code}|{self.code}"

    def segnatura(self, number: int, at: datetime) -> str:
        """The mark that people read: `c_x999|AOO1|PG|0000123|2026-11-24`, the day as it was in Rome."""
        return f"{self.key}|{number_text(number)}|{at.astimezone(ROME).date().isoformat()}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is registered, before it has number and time. `documents` are SHA-256 in hex, by kind (notice, letter)."""

    subject: str
    recipient: str
    classification: str
    office: str
    dossier: str
    document_type: str
    documents: dict[str, str]


def entry_of(record: Record) -> Entry | str:
    """What of a record is registered, or the stable code of why it cannot be."""
    asked, documents = record.protocol, record.documents
    if asked is None:
        return "no-registration-data"
    if documents is None or documents.state is not SectionState.DONE or documents.notice is None:
        return "no-documents"
    hashes = {"notice": documents.notice.sha256}
    if documents.letter is not None:
        hashes["letter"] = documents.letter.sha256
    return Entry(
        subject=asked.subject,
        recipient=record.debtor.name,
        classification=asked.classification,
        office=asked.office,
        dossier=asked.dossier,
        document_type=asked.document_type,
        documents=hashes,
    )


def registration_time(now: datetime, last: datetime | None) -> datetime:
    """The time of the next entry: never before the last one's. Raises `ClockBehind` where the clock is far behind."""
    if last is None or now >= last:
        return now.astimezone(UTC)
    if last - now > CLOCK_TOLERANCE:
        raise ClockBehind(last)
    return last


def register_year(at: datetime) -> int:
    """The year whose register an instant belongs to: Rome's, an hour or two before UTC's."""
    return at.astimezone(ROME).year


def number_text(number: int) -> str:
    """At least seven digits."""
    return f"{number:07d}"


def require_declared(creditors: Creditors, now: datetime) -> None:
    """Refuse registers that are not the administration's own: it may keep only one numbering per AOO (art. 50 and
    following; AgID guidelines), so a private one beside it is unlawful. Raises `RegisterNotDeclared`."""
    if creditors.rehearsal:
        return
    today = now.astimezone(ROME).date()
    wrong = []
    for code, creditor in creditors.creditors.items():
        register = creditor.protocol
        if not register.declared:
            wrong.append(
                f"creditors.{code}.protocol: mancano declared_by_act e declared_on. Il registro di Staffetta parte solo "
                "se l'ente lo ha dichiarato suo registro di protocollo: indicare l'atto e la data"
            )
        elif register.declared_on is not None and register.declared_on > today:
            wrong.append(
                f"creditors.{code}.protocol.declared_on: il registro non è ancora quello dell'ente in questa data"
            )
    if wrong:
        raise RegisterNotDeclared("\n".join(wrong))
