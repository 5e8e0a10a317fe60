"""The message: what a debtor reads, and the headers around it. Pure: the same mail twice differs in MIME boundaries only.

Nothing personal in headers but the recipient's address: subjects and file names are read by every server on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, quote
from html import escape
from zoneinfo import ZoneInfo

from shared.contracts.base import Channel
from shared.contracts.record import Record, Registration, SectionState
from shared.creditors import Creditor, Mailbox
from shared.italian import euros, in_fours

ROME = ZoneInfo("Europe/Rome")
NOTICE_FILE = "avviso-pagopa.pdf"
LETTER_FILE = "lettera.pdf"


class BadAddress(Exception):
    """The address cannot be written in an SMTP envelope. The text does not hold it."""


@dataclass(frozen=True, slots=True)
class Mail:
    """All that one message is made of. `at` is aware; `pec_receipt` the kind of receipt asked of a PEC provider."""

    record: Record
    creditor: Creditor
    mailbox: Mailbox
    message_id: str
    notice: bytes
    letter: bytes | None
    at: datetime
    rehearsal: bool
    pec_receipt: str


def compose(mail: Mail) -> bytes:
    """The RFC 5322 message, CRLF and seven bits. Raises `BadAddress`."""
    message = EmailMessage(policy=SMTP)
    message["Auto-Submitted"] = "auto-generated"
    if mail.record.delivery.channel is Channel.PEC:
        message["X-TipoRicevuta"] = mail.pec_receipt
    # Quoted-printable whatever the text: no server on the way needs 8BITMIME, and none refolds a line.
    message.set_content(plain(mail), cte="quoted-printable")
    message.add_alternative(html(mail), subtype="html", cte="quoted-printable")
    message.add_attachment(mail.notice, maintype="application", subtype="pdf", filename=NOTICE_FILE)
    if mail.letter is not None:
        message.add_attachment(mail.letter, maintype="application", subtype="pdf", filename=LETTER_FILE)
    message["Content-Language"] = "it"
    return "".join(f"{line}\r\n" for line in _head(mail)).encode("ascii") + message.as_bytes()


def _head(mail: Mail) -> Iterator[str]:
    """The headers with free text or long ids. The library's folding of such headers loses blanks between encoded words,
    makes words longer than RFC 2047 allows, and parts a Message-ID from its name."""
    yield f"Message-ID: {one_line(mail.message_id)}"
    yield f"Date: {format_datetime(mail.at.astimezone(ROME))}"
    sender = one_line(mail.mailbox.display_name or mail.creditor.name)
    name = f'"{quote(sender)}"' if sender.isascii() else _words("From", sender)
    yield f"From: {name}\r\n <{envelope_address(mail.mailbox.address)}>"
    yield f"To: {envelope_address(mail.record.delivery.address)}"
    yield f"Subject: {_words('Subject', subject(mail))}"


def _words(header: str, text: str) -> str:
    return Header(text, header_name=header, maxlinelen=75).encode(linesep="\r\n")


def envelope_address(address: str) -> str:
    """`address` in ASCII: an international domain is written in its IDNA form. Raises `BadAddress` for what SMTP cannot
    carry without SMTPUTF8, which PEC doesn't know, and for anything that could break out of a command or header."""
    local, at, domain = address.rpartition("@")
    if not (local and at and domain) or not local.isascii() or any(c in '\x7f"<>()[],:;\\@' or c <= " " for c in local):
        raise BadAddress
    try:
        ascii_domain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError as wrong:
        raise BadAddress from wrong
    if not all(c.isalnum() or c in "-." for c in ascii_domain):
        raise BadAddress
    return f"{local}@{ascii_domain}"


def one_line(text: str) -> str:
    """`text` without line breaks and other controls, which could end a header and begin another."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def subject(mail: Mail) -> str:
    """Who and what, and the protocol number; never the debtor, the amount or what it is for."""
    parts = [f"{one_line(mail.creditor.name)} - avviso di pagamento pagoPA"]
    if (registered := registration(mail.record)) is not None:
        parts.append(protocol_mark(registered))
    return ("[PROVA] " if mail.rehearsal else "") + " - ".join(parts)


def registration(record: Record) -> Registration | None:
    """The registration that stands on the record."""
    found = record.registration
    return found if found is not None and found.state is SectionState.DONE else None


def protocol_mark(registered: Registration) -> str:
    """`Prot. n. 0000123 del 24/11/2026`: the day as it was in Rome."""
    day = f" del {registered.registered_at.astimezone(ROME):%d/%m/%Y}" if registered.registered_at else ""
    return f"Prot. n. {one_line(registered.number)}{day or f'/{registered.year}'}"


def _facts(mail: Mail) -> Iterator[tuple[str, str]]:
    record, creditor = mail.record, mail.creditor
    yield "Intestato a", record.debtor.name
    kind = creditor.payment_types.get(record.payment.payment_type)
    if kind is not None:
        yield "Servizio", kind.name
    yield "Causale", record.payment.reason
    yield "Importo", f"{euros(record.payment.amount_cents)} €"
    yield "Da pagare entro il", f"{record.payment.due_date:%d/%m/%Y}"
    yield "Codice avviso", in_fours(record.position.notice_code if record.position else "")
    yield "Codice fiscale dell'ente", creditor.tax_code
    if creditor.cbill:
        yield "Codice CBILL", creditor.cbill
    if (registered := registration(record)) is not None:
        yield "Protocollo", protocol_mark(registered)


def _paragraphs(mail: Mail) -> tuple[list[str], list[str]]:
    """What stands before and after the list of facts."""
    name = mail.creditor.name
    before = [f"{name} Le invia un avviso di pagamento pagoPA. L'avviso è nel file allegato {NOTICE_FILE}"
              + (f", accompagnato dalla lettera {LETTER_FILE}." if mail.letter is not None
                 else ", dopo la lettera che lo accompagna." if mail.record.merged else ".")]  # fmt: skip
    if mail.rehearsal:
        before.insert(0, "AMBIENTE DI PROVA: questo messaggio è un fac-simile e non va pagato.")
    after = [
        "Come pagare: con il codice QR o il codice avviso, dal sito o dall'app della Sua banca (CBILL o pagoPA), con "
        "l'app IO, con le altre app di pagamento, oppure con l'avviso stampato in banca, in ricevitoria, dal tabaccaio, "
        "al Bancomat, all'ufficio postale.",
        "L'importo può essere aggiornato automaticamente da pagoPA al momento del pagamento. Se ha già pagato, non tenga "
        "conto di questo messaggio.",
    ]
    contacts = mail.creditor.contacts
    known = [part for part in (contacts.office, contacts.phone, contacts.email, contacts.website) if part]
    after.append(f"Per informazioni: {' · '.join([name, *known])}.")
    return [one_line(text) for text in before], [one_line(text) for text in after]


def plain(mail: Mail) -> str:
    """The text."""
    before, after = _paragraphs(mail)
    facts = "\n".join(f"{label}: {one_line(value)}" for label, value in _facts(mail))
    return "\n\n".join([*before, facts, *after]) + "\n"


def html(mail: Mail) -> str:
    """The same words, with structure for screen readers; no images, no links, no styles that a reader must override."""
    before, after = ("\n".join(f"<p>{escape(text, quote=False)}</p>" for text in texts) for texts in _paragraphs(mail))
    rows = "\n".join(
        f'<tr><th scope="row" align="left">{escape(label, quote=False)}</th><td>{escape(one_line(value), quote=False)}</td></tr>'
        for label, value in _facts(mail)
    )
    title = escape(subject(mail))
    return (
        f'<!DOCTYPE html>\n<html lang="it">\n<head><meta charset="utf-8"><title>{title}</title></head>\n<body>\n'
        f"<h1>Avviso di pagamento pagoPA</h1>\n{before}\n"
        f"<table>\n<caption>Dati dell'avviso</caption>\n{rows}\n</table>\n{after}\n</body>\n</html>\n"
    )
