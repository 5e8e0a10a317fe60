"""An audit of what was done, from the outside: the simulators' disks, the ledgers by plain SQL, the PDFs by other
libraries than those that made them. Nothing here imports a service."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol

import openpyxl
import pypdfium2
import zxingcpp


@dataclass
class Audit:
    """What was found. `errors` is empty where all is as it must be."""

    positions: int = 0
    messages: int = 0
    registered: int = 0
    uncertain: int = 0
    uncertain_accepted: int = 0
    uncertain_cut: int = 0
    states: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def require(self, fact: bool, text: str) -> None:
        """Note `text` where `fact` does not hold."""
        if not fact:
            self.errors.append(text)


class Books(Protocol):
    """Where an installation keeps what it did."""

    @property
    def pagopa(self) -> Path:
        """The folder of pagoPA's simulator."""
        ...

    @property
    def mail(self) -> Path:
        """The folder of the mail server's."""
        ...

    def query(self, service: str, sql: str) -> list[dict[str, Any]]:
        """The rows of a service's database."""
        ...


@dataclass(frozen=True)
class RunFolder:
    """The books of the embedded relay."""

    folder: Path

    @property
    def pagopa(self) -> Path:
        """See `Books`."""
        return self.folder / ".staffetta" / "pagopa"

    @property
    def mail(self) -> Path:
        """See `Books`."""
        return self.folder / "inviati"

    def query(self, service: str, sql: str) -> list[dict[str, Any]]:
        """See `Books`."""
        return query(self.folder, service, sql)


def query(folder: Path, service: str, sql: str) -> list[dict[str, Any]]:
    """The rows of a ledger, by plain SQL."""
    connection = sqlite3.connect(f"file:{folder / '.staffetta' / service}.sqlite?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(sql)]
    finally:
        connection.close()


def audit(books: Books, rows: int, parked: int = 0) -> Audit:
    """Count at the simulators and the ledgers; `rows` is how many rows of the spreadsheets could go, `parked` how many of
    them were stopped between pagoPA and the register."""
    found = Audit()
    _positions(books, rows, found)
    _register(books, rows - parked, found)
    _messages(books, rows - parked, found)
    _status(books, found)
    return found


def _positions(books: Books, rows: int, found: Audit) -> None:
    journal = (books.pagopa / "pagopa.jsonl").read_text().splitlines()
    created = [line["position"] for line in map(json.loads, journal) if line["call"] == "create"]
    options = [position["paymentOption"][0] for position in created]
    found.positions = len(created)
    found.require(len(created) == rows, f"{len(created)} positions created for {rows} rows")
    for name, values in (
        ("IUPD", [position["iupd"] for position in created]),
        ("IUV", [option["iuv"] for option in options]),
    ):
        found.require(len(set(values)) == len(values), f"{name}s doubled")
    ledger = books.query("iuv", "select nav, state, section from iuv_ledger")
    found.require(all(row["state"] == "done" for row in ledger), "iuv rows not done")
    at_pagopa = {option["nav"] for option in options}
    found.require({row["nav"] for row in ledger} == at_pagopa, "numbers at pagoPA and in the ledger differ")


def _register(books: Books, rows: int, found: Audit) -> None:
    numbers = [row["number"] for row in books.query("protocol", "select number from register_entry order by number")]
    found.registered = len(numbers)
    found.require(numbers == list(range(1, len(numbers) + 1)), "the register has gaps")
    found.require(len(numbers) == rows, f"{len(numbers)} registrations for {rows} rows")


def _messages(books: Books, rows: int, found: Audit) -> None:
    journal = [json.loads(line) for line in (books.mail / "giornale.jsonl").read_text().splitlines()]
    accepted = Counter(line["message_id"] for line in journal if line["event"] == "accepted")
    begun = {line["message_id"] for line in journal if line["event"] == "begun"}
    cut = {line["message_id"] for line in journal if line["event"] == "cut"}
    # Cut before the first line came: the server had said 354 and saw no Message-ID.
    events = Counter(line["event"] for line in journal)
    nameless = events["data"] - events["begun"]
    found.messages = sum(accepted.values())
    found.require(max(accepted.values(), default=0) <= 1, "a message was sent twice")
    found.require(len(list((books.mail).glob("*.eml"))) == found.messages, "files and journal differ")
    sent = books.query("dispatch", "select message_id, state from sending")
    found.require(len(sent) == rows, f"{len(sent)} sendings for {rows} rows")
    for row in sent:
        message_id = row["message_id"]
        if row["state"] == "done":
            found.require(message_id in accepted, f"{message_id} is done, the server never had it")
        elif row["state"] == "uncertain":
            found.uncertain += 1
            found.uncertain_accepted += message_id in accepted
            if message_id not in accepted:
                found.uncertain_cut += message_id in begun | cut or nameless > 0
                nameless -= message_id not in begun | cut
        else:
            found.errors.append(f"{message_id} is {row['state']}")


def _status(books: Books, found: Audit) -> None:
    """The read model says of each record what its row in ingest says."""
    titles = {"finished": "sent", "uncertain": "to-verify", "parked": "stuck"}
    ingest = {row["id"]: row["state"] for row in books.query("ingest", 'select id, state from "row"')}
    status = {row["id"]: row["state"] for row in books.query("status", "select id, state from record")}
    found.states = dict(Counter(status.values()))
    wrong = [key for key, state in ingest.items() if status.get(key) != titles.get(state)]
    found.require(not wrong, f"status differs from ingest for {len(wrong)} records")


# -- each message, opened


def open_messages(books: Books, sheet: Path) -> list[str]:
    """Reopen every `.eml`: recipient, text, notice and letter against the spreadsheet's row and the register's entry;
    every QR decoded. Returns what is wrong."""
    wrong: list[str] = []
    by_row = _sheet_rows(sheet)
    records = {str(row["id"]): read(row["record"]) for row in books.query("ingest", 'select id, record from "row"')}
    entries = {str(row["record_id"]): row for row in books.query("protocol", "select * from register_entry")}
    for path in sorted((books.mail).glob("*.eml")):
        record_id = path.name.split(".")[1]
        record, entry = records[record_id], entries[record_id]
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        for problem in _message_problems(message, by_row[record["row"]], record, entry):
            wrong.append(f"row {record['row']}: {problem}")
    return wrong


def _message_problems(
    message: EmailMessage, row: dict[str, Any], record: dict[str, Any], entry: dict[str, Any]
) -> list[str]:
    wrong = []
    nav = record["position"]["notice_code"]
    amount = f"{round(float(row['Importo']) * 100) / 100:,.2f}".translate(str.maketrans(",.", ".,"))
    if message["To"] != row["IndirizzoPec"]:
        wrong.append("recipient")
    body = message.get_body(("plain",))
    text = body.get_content() if body else ""
    shown = [" ".join(nav[at : at + 4] for at in range(0, 18, 4)), amount, f"{entry['number']:07d}"]
    wrong += [f"text lacks {number}" for number, part in enumerate(shown) if part not in text]
    files = {part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()}
    hashes: dict[str, str] = read(entry["documents"])
    sent = sorted(hashlib.sha256(content).hexdigest() for content in files.values() if isinstance(content, bytes))
    if sent != sorted(hashes.values()):
        wrong.append("documents are not those registered")
    notice = next(content for name, content in files.items() if name and "avviso" in name)
    assert isinstance(notice, bytes)
    cents = round(float(row["Importo"]) * 100)
    creditor = record["position"].get("creditor_tax_code") or CREDITOR
    if qr_of(notice) != f"PAGOPA|002|{nav}|{creditor}|{cents:02d}":
        wrong.append("QR")
    letter = next((content for name, content in files.items() if name and "lettera" in name), None)
    if isinstance(letter, bytes) and "".join(str(row["Intestazione"]).split()) not in "".join(text_of(letter).split()):
        wrong.append("letter's recipient")
    return wrong


CREDITOR = "99999000997"


def read(column: Any) -> Any:
    """A JSON column, which SQLite gives as text."""
    return json.loads(column) if isinstance(column, str) else column


def qr_of(pdf: bytes) -> str:
    """The one QR code of a notice, read from a picture of its page."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        picture = document[0].render(scale=200 / 72).to_pil()
    finally:
        document.close()
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return found[0].text if len(found) == 1 else ""


def text_of(pdf: bytes) -> str:
    """All text of a PDF."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_bounded() for page in document)
    finally:
        document.close()


def _sheet_rows(path: Path) -> dict[int, dict[str, Any]]:
    sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]
    rows = sheet.iter_rows(values_only=True)
    headings = [str(cell) for cell in next(rows)]
    return {number: dict(zip(headings, row, strict=False)) for number, row in enumerate(rows, 2)}
