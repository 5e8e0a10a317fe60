"""Real SMTP against the simulator: each way in which a sending can end, and what is answered for it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import trustme

from deploy.simulators.mail import FaultKind, MailSimulator
from services.dispatch.adapters.smtp import SmtpMailer
from services.dispatch.ports import Accepted, Envelope, NoAnswer, Verdict
from services.dispatch.settings import DispatchSettings
from shared.creditors import Mailbox
from shared.stage import Deferred, Permanent, Refused, Transient

SENDER, RECIPIENT = "protocollo@pec.comune.example", "maria.rossi@pec.example"
USERS = {"casella": "password-di-prova"}
UNREACHABLE = Transient("mailbox-unreachable", lane=True)
UNAVAILABLE = Transient("mailbox-unavailable", lane=True)
LOGIN_REFUSED = Transient("mailbox-login-refused", lane=True, shut=True)
NO_ANSWER = NoAnswer("no-answer-after-data")
OpenMailer = Callable[..., SmtpMailer]


def marked() -> bool:
    """What the runner gives: the row is ours."""
    return True


def an_envelope(number: int = 1, recipient: str = RECIPIENT) -> Envelope:
    content = (
        f"Message-ID: <avviso.{number}.1@pec.comune.example>\r\nTo: {recipient}\r\n\r\n.punto\r\n..due\r\nfine\r\n"
    )
    return Envelope(SENDER, recipient, content.encode())


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[MailSimulator]:
    started = MailSimulator.start(tmp_path / "mail", users=USERS)
    yield started
    started.stop()


@pytest.fixture
def open_mailer(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenMailer]:
    for name in DispatchSettings.model_fields:
        monkeypatch.delenv(f"STAFFETTA_DISPATCH_{name.upper()}", raising=False)
    opened: list[SmtpMailer] = []

    def open_(
        port: int, *, password: str = "password-di-prova", security: Literal["plain", "tls", "starttls"] = "plain",
        host: str = "127.0.0.1", connections: int = 1, **settings: Any,
    ) -> SmtpMailer:  # fmt: skip
        mailbox = Mailbox(
            address=SENDER, host=host, port=port, security=security, user="casella", password="rehearsal:p",
            connections=connections,
        )  # fmt: skip
        opened.append(SmtpMailer(mailbox, password, DispatchSettings(**settings)))
        return opened[-1]

    yield open_
    for mailer in opened:
        mailer.close()


def events(simulator: MailSimulator) -> list[str]:
    return [line["event"] for line in simulator.archive.journal()]


def test_an_accepted_message_is_on_disk_byte_for_byte(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    verdict = open_mailer(simulator.smtp_port).send(an_envelope(), marked)
    assert isinstance(verdict, Accepted)
    assert (simulator.archive.folder / "avviso.1.1.eml").read_bytes() == an_envelope().content
    assert events(simulator) == ["data", "begun", "accepted"]


@pytest.mark.parametrize(("kind", "expected"), [
    (FaultKind.LOGIN_REFUSED, LOGIN_REFUSED),
    (FaultKind.UNAVAILABLE_AT_MAIL, UNAVAILABLE),
    (FaultKind.UNAVAILABLE_AT_RCPT, UNAVAILABLE),
    (FaultKind.UNAVAILABLE_AT_DATA, UNAVAILABLE),
    (FaultKind.CUT_BEFORE_DATA, UNREACHABLE),
    (FaultKind.SENDER_REFUSED, Permanent("sender-refused")),
    (FaultKind.GREYLIST, Transient("recipient-deferred")),
    (FaultKind.DEFERRED, Transient("message-deferred")),
    (FaultKind.CUT_LOST, NO_ANSWER),
    (FaultKind.CUT_ACCEPTED, NO_ANSWER),
])  # fmt: skip
def test_each_fault_has_its_outcome_and_the_next_message_goes(
    simulator: MailSimulator, open_mailer: OpenMailer, kind: FaultKind, expected: Verdict
) -> None:
    mailer = open_mailer(simulator.smtp_port)
    simulator.fault(kind)
    assert mailer.send(an_envelope(1), marked) == expected
    assert simulator.faults.standing() == []
    assert isinstance(mailer.send(an_envelope(2), marked), Accepted)
    kept = {kept.file for kept in simulator.archive.kept()}
    assert kept == {"avviso.2.1.eml"} | ({"avviso.1.1.eml"} if kind is FaultKind.CUT_ACCEPTED else set())


@pytest.mark.parametrize(("kind", "code", "reply"), [
    (FaultKind.UNKNOWN_RECIPIENT, "recipient-refused", "550 5.1.1"),
    (FaultKind.TOO_BIG, "message-refused", "552 5.3.4"),
    (FaultKind.REJECTED, "message-refused", "554 5.6.0"),
])  # fmt: skip
def test_a_refusal_tells_the_servers_code_and_no_address(
    simulator: MailSimulator, open_mailer: OpenMailer, kind: FaultKind, code: str, reply: str
) -> None:
    mailer = open_mailer(simulator.smtp_port)
    simulator.fault(kind)
    verdict = mailer.send(an_envelope(), marked)
    assert isinstance(verdict, Refused)
    assert verdict.code == code
    assert reply in verdict.detail
    assert "@" not in verdict.detail
    assert isinstance(mailer.send(an_envelope(), marked), Accepted)


def test_a_wrong_password_is_tried_once(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    simulator.fault(FaultKind.LOGIN_REFUSED, times=2)
    assert open_mailer(simulator.smtp_port, password="sbagliata").send(an_envelope(), marked) == LOGIN_REFUSED
    assert [fault.times for fault in simulator.faults.standing()] == [1]
    simulator.faults.clear()
    assert open_mailer(simulator.smtp_port, password="sbagliata").send(an_envelope(), marked) == LOGIN_REFUSED


def test_nobody_listening_is_the_lanes_trouble(open_mailer: OpenMailer) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    assert open_mailer(port).send(an_envelope(), marked) == UNREACHABLE


def test_a_server_that_never_greets_ends_at_the_time_out(open_mailer: OpenMailer) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        mailer = open_mailer(mute.getsockname()[1], connect_seconds=0.2)
        assert mailer.send(an_envelope(), marked) == UNREACHABLE


@pytest.mark.parametrize("limit", [{"answer_seconds": 0.2}, {"hard_seconds": 0.5}])
def test_an_answer_that_does_not_come_in_time_is_uncertain(
    simulator: MailSimulator, open_mailer: OpenMailer, limit: dict[str, float]
) -> None:
    mailer = open_mailer(simulator.smtp_port, **limit)
    simulator.fault(FaultKind.DELAY, seconds=60)
    assert mailer.send(an_envelope(), marked) == NO_ANSWER


def test_a_kept_connection_is_used_again(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port)
    assert isinstance(mailer.send(an_envelope(1), marked), Accepted)
    simulator.fault(FaultKind.LOGIN_REFUSED)  # would strike a second login
    assert isinstance(mailer.send(an_envelope(2), marked), Accepted)


def test_a_connection_that_the_server_closed_in_between_is_no_failure(
    simulator: MailSimulator, open_mailer: OpenMailer
) -> None:
    mailer = open_mailer(simulator.smtp_port)
    assert isinstance(mailer.send(an_envelope(1), marked), Accepted)
    simulator.hang_up()
    assert isinstance(mailer.send(an_envelope(2), marked), Accepted)


@pytest.mark.parametrize("kind", [
    FaultKind.UNAVAILABLE_AT_MAIL, FaultKind.UNAVAILABLE_AT_RCPT, FaultKind.UNAVAILABLE_AT_DATA,
    FaultKind.CUT_BEFORE_DATA,
])  # fmt: skip
def test_a_kept_connection_that_ends_before_the_message_is_replaced(
    simulator: MailSimulator, open_mailer: OpenMailer, kind: FaultKind
) -> None:
    mailer = open_mailer(simulator.smtp_port)
    assert isinstance(mailer.send(an_envelope(1), marked), Accepted)
    simulator.fault(kind)
    assert isinstance(mailer.send(an_envelope(2), marked), Accepted)
    assert len(simulator.archive.kept()) == 2


def test_many_threads_share_the_mailboxs_connections(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port, connections=3)
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda number: mailer.send(an_envelope(number), marked), range(30)))
    assert all(isinstance(verdict, Accepted) for verdict in verdicts)
    assert {kept.file for kept in simulator.archive.kept()} == {f"avviso.{number}.1.eml" for number in range(30)}
    assert events(simulator).count("accepted") == 30


def test_a_busy_mailbox_puts_off_what_it_cannot_take(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port, slot_seconds=0.2)
    simulator.fault(FaultKind.DELAY, seconds=1.5)
    slow = threading.Thread(target=mailer.send, args=(an_envelope(1), marked))
    slow.start()
    deadline = threading.Event()
    while not simulator.archive.kept() and not deadline.wait(0.01):
        pass
    assert isinstance(mailer.send(an_envelope(2), marked), Deferred)
    slow.join()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_tls_of_both_kinds_with_a_certificate_that_is_checked(
    tmp_path: Path, open_mailer: OpenMailer, security: Literal["tls", "starttls"]
) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    simulator = MailSimulator.start(tmp_path / "mail", users=USERS, security=security, tls=server)
    try:
        trusting = open_mailer(simulator.smtp_port, security=security, ca_file=ca_file)
        assert isinstance(trusting.send(an_envelope(1), marked), Accepted)
        assert isinstance(trusting.send(an_envelope(2), marked), Accepted)
        doubting = open_mailer(simulator.smtp_port, security=security)
        assert doubting.send(an_envelope(3), marked) == UNREACHABLE
        trusting.close()
        doubting.close()
    finally:
        simulator.stop()
    assert len(simulator.archive.kept()) == 2


def test_a_server_without_starttls_gets_neither_password_nor_message(
    simulator: MailSimulator, open_mailer: OpenMailer
) -> None:
    assert open_mailer(simulator.smtp_port, security="starttls").send(an_envelope(), marked) == UNREACHABLE
    assert simulator.archive.kept() == []


def test_plain_smtp_is_spoken_to_this_machine_only(open_mailer: OpenMailer) -> None:
    with pytest.raises(ValueError, match="loopback"):
        open_mailer(25, host="mail.example")


def test_a_message_cut_half_way_is_in_the_journal(simulator: MailSimulator) -> None:
    with (
        closing(socket.create_connection(("127.0.0.1", simulator.smtp_port))) as client,
        client.makefile("rwb") as wire,
    ):

        def say(line: bytes) -> None:
            wire.write(line + b"\r\n")
            wire.flush()

        wire.readline()
        say(b"EHLO x")
        while not wire.readline().startswith(b"250 "):
            pass
        say(b"MAIL FROM:<a@b.example>")
        assert wire.readline().startswith(b"530")
        say(b"AUTH PLAIN AGNhc2VsbGEAcGFzc3dvcmQtZGktcHJvdmE=")
        assert wire.readline().startswith(b"235")
        for line in (b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>", b"DATA"):
            say(line)
            wire.readline()
        say(b"Message-ID:\r\n <avviso.9.1@b.example>\r\n\r\nmezzo mess")
    wait_for(lambda: "cut" in events(simulator))
    assert [(line["event"], line["message_id"]) for line in simulator.archive.journal()] == [
        ("data", ""), ("begun", "<avviso.9.1@b.example>"), ("cut", "<avviso.9.1@b.example>"),
    ]  # fmt: skip
    assert simulator.archive.kept() == []


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about in time")


def test_the_folder_of_a_killed_simulator_is_opened_and_completed(tmp_path: Path, open_mailer: OpenMailer) -> None:
    folder = tmp_path / "mail"
    first = MailSimulator.start(folder, users=USERS)
    mailer = open_mailer(first.smtp_port)
    mailer.send(an_envelope(1), marked)
    mailer.close()
    first.stop()
    # As a kill leaves it: a message whose line was never written, half a line, a temporary file.
    (folder / "avviso.2.1.eml").write_bytes(an_envelope(2).content)
    (folder / ".avviso.3.1.77.tmp").write_bytes(b"Message-ID")
    with (folder / "giornale.jsonl").open("ab") as journal:
        journal.write(b'{"event": "acc')
    again = MailSimulator.start(folder, users=USERS)
    try:
        assert [kept.file for kept in again.archive.kept()] == ["avviso.2.1.eml", "avviso.1.1.eml"]
        lines = (folder / "giornale.jsonl").read_text().splitlines()
        assert [json.loads(line)["event"] for line in lines] == ["data", "begun", "accepted", "accepted"]
        assert sorted(path.name for path in folder.iterdir() if path.suffix == ".tmp") == []
    finally:
        again.stop()


def test_a_message_sent_twice_is_seen_twice(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port)
    mailer.send(an_envelope(1), marked)
    mailer.send(an_envelope(1), marked)
    assert {kept.file for kept in simulator.archive.kept()} == {"avviso.1.1.eml", "avviso.1.1-2.eml"}


def test_the_page_shows_what_was_sent_and_switches_faults(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port)
    head = b"Message-ID: <avviso.7.1@b.example>\r\nTo: x@y.example\r\nSubject: <script>alert(1)</script>\r\n"
    part = b'--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="lettera.pdf"\r\n\r\n%PDF-1.7'
    mixed = head + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + part + b"\r\n--b--\r\n"
    with httpx.Client(base_url=simulator.http_url, trust_env=False) as browser:
        assert "Nessun messaggio" in browser.get("/").text
        mailer.send(Envelope(SENDER, RECIPIENT, mixed), marked)
        page = browser.get("/").text
        assert "SIMULATORE" in page
        assert "x@y.example" in page
        assert "<script>" not in page
        assert 'href="/messages/avviso.7.1.eml/0">lettera.pdf' in page
        assert browser.get("/messages/avviso.7.1.eml").content == mixed
        pdf = browser.get("/messages/avviso.7.1.eml/0")
        assert (pdf.headers["content-type"], pdf.content) == ("application/pdf", b"%PDF-1.7")
        for missing in ("/messages/avviso.7.1.eml/1", "/messages/avviso.8.1.eml", "/messages/giornale.jsonl"):
            assert browser.get(missing).status_code == 404
        assert browser.post("/faults", json={"kind": "greylist", "times": 0}).status_code == 204
        assert mailer.send(an_envelope(), marked) == Transient("recipient-deferred")
        assert [fault["kind"] for fault in browser.get("/faults").json()] == ["greylist"]
        assert browser.delete("/faults").status_code == 204
        assert isinstance(mailer.send(an_envelope(), marked), Accepted)
        assert browser.post("/faults", json={"kind": "no-such-fault"}).status_code == 422
        assert browser.get("/", headers={"host": "elsewhere.example"}).status_code == 403
        assert browser.delete("/faults", headers={"origin": "http://elsewhere.example"}).status_code == 403
        assert browser.delete("/faults", headers={"origin": simulator.http_url}).status_code == 204
        assert [line["event"] for line in browser.get("/journal").json()][-1] == "accepted"


def test_a_fault_may_be_for_one_recipient_only(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port)
    simulator.fault(FaultKind.UNKNOWN_RECIPIENT, recipient="nessuno@pec.example")
    assert isinstance(mailer.send(an_envelope(1), marked), Accepted)
    assert isinstance(mailer.send(an_envelope(2, "nessuno@pec.example"), marked), Refused)


def test_the_mark_is_set_when_the_server_waits_and_before_the_first_byte(
    simulator: MailSimulator, open_mailer: OpenMailer
) -> None:
    seen: list[list[str]] = []

    def mark() -> bool:
        seen.append(events(simulator))
        return True

    mailer = open_mailer(simulator.smtp_port)
    simulator.fault(FaultKind.UNKNOWN_RECIPIENT)
    assert isinstance(mailer.send(an_envelope(1), mark), Refused)
    assert seen == []
    assert isinstance(mailer.send(an_envelope(1), mark), Accepted)
    assert seen == [["data"]]


def test_what_somebody_else_has_is_not_transmitted(simulator: MailSimulator, open_mailer: OpenMailer) -> None:
    mailer = open_mailer(simulator.smtp_port)
    verdict = mailer.send(an_envelope(1), lambda: False)
    assert isinstance(verdict, Deferred)
    assert verdict.why == "leased"
    assert isinstance(mailer.send(an_envelope(2), marked), Accepted)
    assert [kept.file for kept in simulator.archive.kept()] == ["avviso.2.1.eml"]


def test_a_connection_lost_at_the_mark_is_replaced_without_marking_twice(
    simulator: MailSimulator, open_mailer: OpenMailer
) -> None:
    marks: list[int] = []

    def mark() -> bool:
        marks.append(1)
        simulator.hang_up()
        return True

    mailer = open_mailer(simulator.smtp_port)
    assert isinstance(mailer.send(an_envelope(1), marked), Accepted)
    verdict = mailer.send(an_envelope(2), mark)
    # Whether the loop heard the hang-up before the first byte is a race; never is the record marked or sent twice.
    assert isinstance(verdict, Accepted) or verdict == NO_ANSWER
    assert len(marks) == 1
    assert len(simulator.archive.kept()) == 1 + isinstance(verdict, Accepted)


def test_a_full_disk_of_the_simulator_puts_messages_off_and_keeps_nothing_of_them(
    simulator: MailSimulator, open_mailer: OpenMailer
) -> None:
    mailer, folder = open_mailer(simulator.smtp_port), simulator.archive.folder
    journal = folder / "giornale.jsonl"
    journal.symlink_to("/dev/full")

    assert isinstance(mailer.send(an_envelope(), marked), Transient)
    with pytest.raises(OSError, match="No space"):
        simulator.archive.accept(an_envelope().content)
    assert list(folder.iterdir()) == [journal]

    journal.unlink()
    assert isinstance(mailer.send(an_envelope(), marked), Accepted)
    assert events(simulator) == ["data", "begun", "accepted"]
