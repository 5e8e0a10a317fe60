"""What leaves for a debtor: read back as a mail program would."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from services.dispatch.model import BadAddress, Mail, compose, envelope_address, one_line
from shared.contracts.base import Channel
from shared.contracts.record import Debtor, Delivery, Payment, Registration, SectionState
from shared.creditors import Contacts, Creditor, Mailbox, PagoPa, PaymentType
from shared.italian import in_fours
from tests.builders import a_rendered_record

NOTICE, LETTER = b"%PDF-1.7 notice", b"%PDF-1.7 letter"
MESSAGE_ID = "<avviso.84b3aa22e4fc5091addb19245d894f4c.1@pec.comune.example>"
CANARIES = ("Zaccaria", "RSSMRA85T50H501Z", "123456789", "1.234.567,89", "312000000000004260", "Gita segreta")


def a_mailbox(**parts: Any) -> Mailbox:
    box: dict[str, Any] = {
        "address": "protocollo@pec.comune.example", "host": "127.0.0.1", "port": 2525, "security": "plain",
        "user": "u", "password": "rehearsal:p",
    }  # fmt: skip
    return Mailbox(**{**box, **parts})


def a_creditor(**parts: Any) -> Creditor:
    kind = PaymentType(name="Trasporto scolastico", taxonomy="9/0107102SP/", iban="IT87D9999999999000000123456")
    creditor: dict[str, Any] = {
        "name": "Comune di Città Esempio", "tax_code": "99999000997", "ipa_code": "c_x999", "aoo_code": "AOO1",
        "segregation_code": "12", "cbill": "BEX99", "pagopa": PagoPa(base_url="http://127.0.0.1:1", key="rehearsal:k"),
        "contacts": Contacts(office="Ufficio Tributi", phone="0000 123456"), "payment_types": {"scuolabus": kind},
    }  # fmt: skip
    return Creditor(**{**creditor, **parts})


def a_mail(**parts: Any) -> Mail:
    registered = Registration(
        order=1, state=SectionState.DONE, register_code="PG", number="0000123", year=2026,
        registered_at=datetime(2026, 11, 24, 23, 30, tzinfo=UTC),
    )  # fmt: skip
    record = a_rendered_record(
        debtor=Debtor(name="Zaccaria D'Alò & Figli", fiscal_code="RSSMRA85T50H501Z"),
        payment=Payment(
            payment_type="scuolabus", amount_cents=123456789, due_date=date(2027, 1, 23), reason="Gita segreta <b>"
        ),
        registration=registered,
    )
    mail: dict[str, Any] = {
        "record": record, "creditor": a_creditor(), "mailbox": a_mailbox(), "message_id": MESSAGE_ID, "notice": NOTICE,
        "letter": LETTER, "at": datetime(2026, 11, 24, 9, tzinfo=UTC), "rehearsal": False, "pec_receipt": "breve",
    }  # fmt: skip
    return Mail(**{**mail, **parts})


def read_back(content: bytes) -> EmailMessage:
    return message_from_bytes(content, _class=EmailMessage, policy=SMTP)


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_message_reads_back_with_its_headers_and_both_documents() -> None:
    message = read_back(compose(a_mail()))
    assert message["To"] == "maria.rossi@pec.example"
    assert message["From"].addresses[0].addr_spec == "protocollo@pec.comune.example"
    assert message["From"].addresses[0].display_name == "Comune di Città Esempio"
    assert message["Message-ID"] == MESSAGE_ID
    assert message["Date"].datetime == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "it"
    assert [(part.get_filename(), part.get_content_type(), part.get_content()) for part in message.iter_attachments()] == [
        ("avviso-pagopa.pdf", "application/pdf", NOTICE), ("lettera.pdf", "application/pdf", LETTER),
    ]  # fmt: skip


def test_letter_and_notice_in_one_document_are_one_attachment_and_the_text_says_so() -> None:
    whole = a_mail(letter=None)
    message = read_back(compose(replace(whole, record=whole.record.model_copy(update={"merged": True}))))
    assert [part.get_filename() for part in message.iter_attachments()] == ["avviso-pagopa.pdf"]
    assert "è nel file allegato avviso-pagopa.pdf, dopo la lettera che lo accompagna." in body(message, "plain")


def test_text_and_html_say_the_same() -> None:
    message = read_back(compose(a_mail()))
    plain, html = body(message, "plain"), body(message, "html")
    for told in (
        "Zaccaria D'Alò", "1.234.567,89 €", "23/01/2027", "BEX99", "Ufficio Tributi", "0000 123456",
        "Prot. n. 0000123 del 25/11/2026", in_fours("312000000000004260"), "Come pagare", "Comune di Città Esempio",
    ):  # fmt: skip
        assert told in plain
        assert told in html
    assert "Gita segreta <b>" in plain
    assert "Gita segreta &lt;b&gt;" in html
    assert '<html lang="it">' in html


def test_the_subject_has_the_protocol_number_of_the_day_in_rome_and_says_rehearsal() -> None:
    registered = "Comune di Città Esempio - avviso di pagamento pagoPA - Prot. n. 0000123 del 25/11/2026"
    assert read_back(compose(a_mail()))["Subject"] == registered
    assert read_back(compose(a_mail(rehearsal=True)))["Subject"] == f"[PROVA] {registered}"
    unregistered = a_mail(record=a_mail().record.model_copy(update={"registration": None}))
    assert read_back(compose(unregistered))["Subject"] == "Comune di Città Esempio - avviso di pagamento pagoPA"


def test_headers_and_file_names_hold_nothing_personal() -> None:
    message = read_back(compose(a_mail()))
    headers = [str(value) for part in message.walk() for value in part.values()]
    assert not [canary for canary in CANARIES for value in headers if canary in value]


@pytest.mark.parametrize("channel", [Channel.PEC, Channel.EMAIL])
def test_only_pec_is_asked_for_a_kind_of_receipt(channel: Channel) -> None:
    record = a_mail().record.model_copy(update={"delivery": Delivery(channel=channel, address="a@b.example")})
    message = read_back(compose(a_mail(record=record)))
    assert message["X-TipoRicevuta"] == ("breve" if channel is Channel.PEC else None)


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x85", "\N{LINE SEPARATOR}", "\x0b", "\x00"])
def test_a_name_with_line_breaks_makes_no_header(break_: str) -> None:
    sly = f"Comune{break_}Bcc: spia@example.net{break_}{break_}Corpo"
    # Past validation, as data of an older process would be.
    creditor = a_creditor().model_copy(update={"name": sly})
    mailbox = a_mailbox().model_copy(update={"display_name": sly})
    registered = a_mail().record.registration
    assert registered is not None
    record = a_mail().record.model_copy(update={"registration": registered.model_copy(update={"number": sly})})
    message = read_back(compose(a_mail(creditor=creditor, mailbox=mailbox, record=record)))
    assert message["Bcc"] is None
    assert message["From"].addresses[0].addr_spec == "protocollo@pec.comune.example"
    assert body(message, "plain").count("\nBcc:") == 0


@pytest.mark.parametrize("address", [
    "a@b.example\r\nRCPT TO:<x@y.example>", "a@b.example>", "a b@c.example", "a,b@c.example", "à@c.example", "a@", "@c",
    "senza", "a@c@", "a@b c", "a\x00@b.example", "", "a@b.example\n", '"a b"@c.example', "a@[127.0.0.1]",
])  # fmt: skip
def test_an_address_that_smtp_cannot_carry_is_refused_without_being_told(address: str) -> None:
    with pytest.raises(BadAddress) as refused:
        envelope_address(address)
    assert str(refused.value) == ""


def test_an_international_domain_travels_in_ascii() -> None:
    assert envelope_address("ufficio@città.example") == "ufficio@xn--citt-3na.example"


def test_long_names_and_addresses_keep_lines_short_and_whole() -> None:
    domain = "protocollo.pec.comune.sanmartinodellabattaglia.provincia.esempio.lombardia.example"
    name = "Comune di San Martino dall'Argine più Città «Bella» " * 3
    message_id = f"<avviso.{'a' * 32}.1@{domain}>"
    to = f"nomelunghissimodiunapersonachescrive.cognomelungo1234567890@{domain}"
    record = a_mail().record.model_copy(update={"delivery": Delivery(channel=Channel.PEC, address=to)})
    mailbox = a_mailbox(address=f"protocollo@{domain}", display_name=name)
    content = compose(a_mail(record=record, mailbox=mailbox, message_id=message_id, letter=None))
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) < 998
    assert not re.search(rb"[^\r]\n", content)
    assert all(len(word) <= 75 for word in re.findall(rb"=\?[^?]+\?.\?[^?]*\?=", content))
    assert f"\r\nTo: {to}\r\n".encode() in content
    assert f"Message-ID: {message_id}\r\n".encode() in content
    sender = str(make_header(decode_header(str(message_from_bytes(content)["From"]))))
    assert one_line(name) in one_line(sender)


def test_a_line_that_begins_with_a_dot_survives() -> None:
    payment = a_mail().record.payment.model_copy(update={"reason": ".inizio\n.punto"})
    record = a_mail().record.model_copy(update={"payment": payment})
    assert "Causale: .inizio .punto" in body(read_back(compose(a_mail(record=record))), "plain")
