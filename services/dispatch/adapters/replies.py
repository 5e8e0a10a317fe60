"""What a server's refusal means for the record, the mailbox and the lane."""

from __future__ import annotations

import re

import structlog

from services.dispatch.ports import Verdict
from shared.stage import Permanent, Refused, Transient

log = structlog.get_logger()

UNREACHABLE = Transient("mailbox-unreachable", lane=True)
UNAVAILABLE = Transient("mailbox-unavailable", lane=True)
LOGIN_REFUSED = Transient("mailbox-login-refused", lane=True, shut=True)
CLOSING = 421
AUTHENTICATION = range(530, 540)
"""Replies about the login, wherever they come: 530 required, 534 too weak, 535 wrong, 538 needs TLS."""


class Gone(Exception):
    """The connection is of no use any more, and nothing of the message was transmitted over it."""

    def __init__(self, verdict: Transient) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict


def note(step: str, code: int, text: str) -> str:
    """`550 5.1.1` of a reply, logged; never its words, which name addresses."""
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}", text)
    shown = f"{code} {enhanced[0]}" if enhanced else str(code)
    log.info("dispatch.refused-by-server", step=step, reply=shown)
    return shown


def sender_refused(code: int, text: str) -> Verdict:
    """What a refusal of MAIL means: the mailbox or its configuration, never the recipient."""
    note("mail", code, text)
    if code == CLOSING:
        raise Gone(UNAVAILABLE)
    if code in AUTHENTICATION:
        raise Gone(LOGIN_REFUSED)
    return Permanent("sender-refused") if code >= 500 else UNAVAILABLE


def recipient_refused(code: int, text: str) -> Verdict:
    """What a refusal of RCPT means: greylisting and full boxes pass, an unknown address does not."""
    reply = note("rcpt", code, text)
    if code == CLOSING:
        raise Gone(UNAVAILABLE)
    if code < 500:
        return Transient("recipient-deferred")
    return Refused(
        "recipient-refused",
        f"Il server di posta ha rifiutato l'indirizzo del destinatario (risposta {reply}): controllarlo, correggerlo e "
        "inviare di nuovo, oppure consegnare l'avviso a mano.",
    )


def message_refused(code: int, text: str) -> Verdict:
    """What a refusal of DATA, or of what it carried, means: the server says that it has not taken the message."""
    reply = note("data", code, text)
    if code == CLOSING:
        return UNAVAILABLE
    if code < 500:
        return Transient("message-deferred")
    why = ": è più grande di quanto la casella permetta" if code == 552 or " 5.3.4" in reply else ""
    return Refused(
        "message-refused",
        f"Il server di posta ha rifiutato il messaggio (risposta {reply}){why}. Non è partito nulla: chiedere al gestore "
        "della casella che cosa significa, poi inviare di nuovo.",
    )
