"""One row, checked: all its problems, or what a record needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from services.ingest.tracciato.amounts import WrongAmount, cents
from services.ingest.tracciato.cells import Cell
from services.ingest.tracciato.codes import debtor_codes
from services.ingest.tracciato.findings import Findings, tidy
from services.ingest.tracciato.headings import AMOUNT, NAME, REASON, STANDARD_KEYS, SUBJECT, Headings, key
from services.ingest.tracciato.mail import read_address, read_channel, resolve_channel, warn_about
from services.ingest.tracciato.postal import read_postal
from shared.contracts.commands import BatchOptions
from shared.contracts.facts import Problem
from shared.contracts.record import Debtor, Delivery, DocumentRef, Payment, ProtocolRequest, Record
from shared.creditors import Creditor
from shared.ids import record_id
from shared.printing import name_problem, printable, reason_problem

NAME_LIMIT: Final = 70
REASON_LIMIT: Final = 140
SUBJECT_LIMIT: Final = 500
LETTER_LIMIT: Final = 500
SHOWN_LIMIT: Final = 1_000
TAX_CODE: Final = re.compile(r"\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b")
WORD: Final = re.compile(r"[^\W\d_]+")

cached_reason_problem = lru_cache(maxsize=4096)(reason_problem)


@dataclass(frozen=True, slots=True)
class Draft:
    """What an accepted row gives to its record."""

    debtor: Debtor
    payment: Payment
    delivery: Delivery
    protocol: ProtocolRequest | None
    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A row of the sheet. `draft` is there where there are no problems."""

    row: int
    problems: list[Problem]
    warnings: list[Problem]
    draft: Draft | None
    headings: Headings
    source: Mapping[int, Cell]

    @property
    def accepted(self) -> bool:
        """Whether the row can go on."""
        return self.draft is not None

    @property
    def cells(self) -> dict[str, str]:
        """The user's own cells by their headings, as text; a very long one is cut."""
        names = self.headings.names
        return {names[at]: cell.text[:SHOWN_LIMIT] for at, cell in sorted(self.source.items()) if at in names}


@dataclass(frozen=True, slots=True)
class Standards:
    """What the batch says where a row says nothing."""

    options: BatchOptions
    creditor: Creditor
    letter_columns: tuple[str, ...]

    @classmethod
    def of(cls, options: BatchOptions, creditor: Creditor) -> Standards:
        """`options` name a payment type, and a letter of it or none."""
        letters = creditor.payment_types[options.payment_type].letters
        columns = letters[options.letter].columns if options.letter else []
        return cls(options, creditor, tuple(columns))

    @property
    def reason(self) -> str:
        """The batch's *Causale*, or the payment type's."""
        return tidy(self.options.reason) or tidy(self.creditor.payment_types[self.options.payment_type].reason)

    @property
    def subject(self) -> str:
        """The batch's *Oggetto*, or the payment type's."""
        own = self.options.register_options
        return tidy(own.subject if own else "") or tidy(self.creditor.payment_types[self.options.payment_type].subject)


def names_a_person(text: str, name: str, code: str) -> bool:
    """Whether a text that others will read holds the debtor's name or code, or anybody's tax code."""
    if code in text.upper() or TAX_CODE.search(text.upper()):
        return True
    own = {word.casefold() for word in WORD.findall(name) if len(word) > 2}
    return len(own) > 1 and own <= {word.casefold() for word in WORD.findall(text)}


def _name(findings: Findings) -> str:
    text = findings.text(NAME, NAME_LIMIT, required=True)
    if text and (code := name_problem(text)):
        findings.problem(NAME, code)
    return text


def _amount(findings: Findings) -> int:
    before = len(findings.problems)
    cell = findings.cell(AMOUNT)
    if cell is None:
        if len(findings.problems) == before:
            findings.problem(AMOUNT, "missing-value")
        return 0
    if cell.kind in {"date", "bool"}:
        findings.problem(AMOUNT, "date-in-text" if cell.kind == "date" else "not-an-amount")
        return 0
    try:
        return cents(cell.text, number=cell.kind == "number")
    except WrongAmount as wrong:
        findings.problem(AMOUNT, wrong.code, wrong.proposal)
        return 0


def _reason(findings: Findings, standard: str) -> str:
    before = len(findings.problems)
    text = findings.text(REASON, REASON_LIMIT) or standard
    if len(findings.problems) > before:
        return ""
    if not text:
        findings.problem(REASON, "missing-value")
    elif len(text) > REASON_LIMIT:
        findings.problem(REASON, "too-long", limit=REASON_LIMIT)
    elif code := cached_reason_problem(text):
        findings.problem(REASON, code)
    return text


def _protocol(findings: Findings, standards: Standards) -> ProtocolRequest | None:
    register = standards.options.register_options
    if register is None:
        return None
    before = len(findings.problems)
    subject = findings.text(SUBJECT, SUBJECT_LIMIT) or standards.subject
    if not subject and len(findings.problems) == before:
        findings.problem(SUBJECT, "missing-value")
    return ProtocolRequest.model_construct(
        subject=subject, classification=register.classification, office=register.office, dossier=register.dossier,
        document_type=register.document_type,
    )  # fmt: skip


def _letter_columns(findings: Findings, columns: tuple[str, ...]) -> dict[str, str]:
    values = {}
    for column in columns:
        if key(column) in STANDARD_KEYS:  # its own rule has told its problems
            cell = findings.cells.get(findings.headings.columns[column])
            values[column] = tidy(cell.text) if cell else ""
            continue
        values[column] = findings.text(column, LETTER_LIMIT, dates=True)
        if not printable(values[column]):
            findings.problem(column, "unprintable-character")
    return values


def check_row(findings: Findings, standards: Standards) -> CheckedRow:
    """All that one row alone tells. Warnings that other rows give are the caller's."""
    options = standards.options
    name = _name(findings)
    code, vat = debtor_codes(findings)
    amount = _amount(findings)
    protocol = _protocol(findings, standards)
    reason = _reason(findings, standards.reason)
    address = read_address(findings)
    postal = read_postal(findings)
    channel = resolve_channel(address, read_channel(findings, options.channel))
    columns = _letter_columns(findings, standards.letter_columns)
    if address:
        warn_about(findings, address, channel)
        if standards.creditor.mailbox(channel) is None:
            findings.warn("TipoSpedizione", "no-mailbox")
    for column, text in ((REASON, reason), (SUBJECT, protocol.subject if protocol else "")):
        if text and name and code and names_a_person(text, name, code):
            findings.warn(column, "personal-data")
    draft = None
    if not findings.problems:
        draft = Draft(
            debtor=Debtor(name=name, fiscal_code=code, vat_code=vat, address=postal),
            payment=Payment(
                payment_type=options.payment_type, amount_cents=amount, due_date=options.due_date, reason=reason
            ),
            delivery=Delivery(channel=channel, address=address),
            protocol=protocol,
            columns=columns,
        )
    return CheckedRow(findings.row, findings.problems, findings.warnings, draft, findings.headings, findings.cells)


def to_record(
    row: CheckedRow, batch_id: UUID, creditor: str, letter: str | None = None, template: DocumentRef | None = None,
    *, merged: bool = False,
) -> Record:  # fmt: skip
    """The record of an accepted row. `creditor` is its code in the configuration; `letter`, its `template` and `merged` are
    the batch's."""
    draft = row.draft
    if draft is None:
        raise ValueError("a row with problems has no record")
    return Record(
        id=record_id(batch_id, row.row), batch_id=batch_id, row=row.row, creditor=creditor, debtor=draft.debtor,
        payment=draft.payment, delivery=draft.delivery, protocol=draft.protocol, letter=letter, columns=draft.columns,
        letter_template=template, merged=merged,
    )  # fmt: skip
