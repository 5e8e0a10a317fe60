"""SMTP submission with aiosmtplib: one mailbox, a few kept connections, and an answer that says how far it came.

The line that matters is the first byte after 354. Before it nothing of a message exists at the server, so every failure
is `Transient` and a kept connection that went stale is replaced without a word; after it, only the server's own answer
proves anything, and silence is `NoAnswer`.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiosmtplib
import structlog

from services.dispatch.adapters.replies import (
    CLOSING,
    LOGIN_REFUSED,
    UNAVAILABLE,
    UNREACHABLE,
    Gone,
    message_refused,
    note,
    recipient_refused,
    sender_refused,
)
from services.dispatch.ports import Accepted, Envelope, NoAnswer, Verdict
from services.dispatch.settings import DispatchSettings
from shared.creditors import Mailbox, is_loopback
from shared.stage import Deferred

log = structlog.get_logger()

NO_ANSWER = NoAnswer("no-answer-after-data")
LEAVE_SECONDS = 2
BUSY_AGAIN_AFTER = timedelta(seconds=10)


@dataclass(slots=True)
class _Progress:
    mark: Callable[[], bool]
    marked: bool = False
    transmitting: bool = False


class SmtpMailer:
    """A `Mailer`. An event loop of its own in a thread, so that idle connections are heard when the server leaves."""

    def __init__(self, mailbox: Mailbox, password: str, settings: DispatchSettings) -> None:
        if mailbox.security == "plain" and not is_loopback(mailbox.host):
            raise ValueError(f"plain SMTP to {mailbox.host}: only a loopback address is spoken to without TLS")
        self._mailbox = mailbox
        self._password = password
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        if mailbox.security != "plain":
            self._tls = ssl.create_default_context()
            if settings.ca_file is not None:
                self._tls.load_verify_locations(settings.ca_file)
        self._idle: list[aiosmtplib.SMTP] = []
        self._sockets: list[TransportSocket] = []
        self._slots = asyncio.Semaphore(mailbox.connections)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
        self._thread.start()

    def send(self, envelope: Envelope, mark: Callable[[], bool]) -> Verdict:
        """See `Mailer.send`."""
        return asyncio.run_coroutine_threadsafe(self._send(envelope, _Progress(mark)), self._loop).result()

    def close(self) -> None:
        """See `Mailer.close`."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._quit(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _quit(self) -> None:
        for _ in range(self._mailbox.connections):
            await self._slots.acquire()  # let what is under way come to its end
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit(timeout=LEAVE_SECONDS)
            except (aiosmtplib.SMTPException, OSError):
                client.close()
        # TLS takes leave in several steps: the loop must not stop between them, with sockets still open.
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while any(each.fileno() >= 0 for each in self._sockets):
                    await asyncio.sleep(0.005)

    async def _send(self, envelope: Envelope, progress: _Progress) -> Verdict:
        try:
            async with asyncio.timeout(self._settings.slot_seconds):
                await self._slots.acquire()
        except TimeoutError:
            return Deferred(datetime.now(UTC) + BUSY_AGAIN_AFTER, "mailbox-busy")
        try:
            async with asyncio.timeout(self._settings.hard_seconds):
                return await self._deliver(envelope, progress)
        except Gone as gone:
            return gone.verdict
        except TimeoutError:
            return NO_ANSWER if progress.transmitting else UNREACHABLE
        finally:
            self._slots.release()

    async def _deliver(self, envelope: Envelope, progress: _Progress) -> Verdict:
        while self._idle:
            kept = self._idle.pop()
            if not kept.is_connected:
                continue
            try:
                return await self._use(kept, envelope, progress)
            except Gone:
                # The server left since the last message. Nothing of this one was transmitted: not a failure of it.
                continue
        return await self._use(await self._connect(), envelope, progress)

    async def _connect(self) -> aiosmtplib.SMTP:
        box = self._mailbox
        client = aiosmtplib.SMTP(
            hostname=box.host,
            port=box.port,
            use_tls=box.security == "tls",
            start_tls=box.security == "starttls",
            tls_context=self._tls,
            # Without it the library asks the DNS for our own name, and tells it.
            local_hostname=box.address.rpartition("@")[2],
            timeout=self._settings.connect_seconds,
        )
        try:
            await client.connect()
            self._sockets = [each for each in self._sockets if each.fileno() >= 0]
            self._sockets.append(client.get_transport_info("socket"))
            await self._login(client)
        except (aiosmtplib.SMTPException, OSError) as failure:
            client.close()
            raise Gone(UNREACHABLE) from failure
        except BaseException:
            client.close()
            raise
        return client

    async def _login(self, client: aiosmtplib.SMTP) -> None:
        await client.ehlo()
        # The library's own `login` tries one method after the other: a wrong password would count twice or three times, and
        # providers lock a mailbox after a few.
        ways = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
        way = next((ways[name] for name in ways if name in client.supported_auth_methods), None)
        if way is None:
            client.close()
            raise Gone(LOGIN_REFUSED)
        try:
            await way(self._mailbox.user.encode(), self._password.encode())
        except aiosmtplib.SMTPAuthenticationError as refused:
            note("login", refused.code, refused.message)
            if refused.code >= 500:
                client.close()
                raise Gone(LOGIN_REFUSED) from refused
            raise

    async def _use(self, client: aiosmtplib.SMTP, envelope: Envelope, progress: _Progress) -> Verdict:
        """One transaction; the connection is kept where it is still in step with the server."""
        try:
            verdict = await self._announce(client, envelope)
            if verdict is None:
                verdict = await self._transmit(client, envelope, progress)
            else:
                await self._reset(client)
        except (aiosmtplib.SMTPException, OSError) as failure:
            client.close()
            raise Gone(UNREACHABLE) from failure
        except BaseException:
            client.close()
            raise
        if client.is_connected:
            self._idle.append(client)
        return verdict

    async def _reset(self, client: aiosmtplib.SMTP) -> None:
        try:
            await client.rset(timeout=self._settings.command_seconds)
        except (aiosmtplib.SMTPException, OSError):
            client.close()

    async def _announce(self, client: aiosmtplib.SMTP, envelope: Envelope) -> Verdict | None:
        """MAIL, RCPT and DATA; `None` when the server waits for the message."""
        wait = self._settings.command_seconds
        try:
            await client.mail(envelope.sender, timeout=wait)
            await client.rcpt(envelope.recipient, timeout=wait)
        except aiosmtplib.SMTPSenderRefused as no:
            return sender_refused(no.code, no.message)
        except aiosmtplib.SMTPRecipientRefused as no:
            return recipient_refused(no.code, no.message)
        go = await client.execute_command(b"DATA", timeout=wait)
        if go.code == CLOSING:
            raise Gone(UNAVAILABLE)
        return None if go.code == 354 else message_refused(go.code, go.message)

    async def _transmit(self, client: aiosmtplib.SMTP, envelope: Envelope, progress: _Progress) -> Verdict:
        """The message and the server's answer. The library's own `data()` would not tell on which side of 354 it failed."""
        # A commit of the ledger; other connections go on meanwhile. Once marked, the row is ours on any connection.
        progress.marked = progress.marked or await asyncio.to_thread(progress.mark)
        if not progress.marked:
            client.close()
            return Deferred(datetime.now(UTC) + BUSY_AGAIN_AFTER, "leased")
        protocol = client.protocol
        if protocol is None or not protocol.is_connected:
            raise Gone(UNREACHABLE)
        progress.transmitting = True
        try:
            protocol.write(_stuffed(envelope.content))
            answer = await protocol.read_response(timeout=self._settings.answer_seconds)
        except Exception as silence:
            log.warning("dispatch.no-answer", failure=type(silence).__name__)
            client.close()
            return NO_ANSWER
        if 200 <= answer.code < 300:
            return Accepted(datetime.now(UTC))
        # An early refusal leaves us out of step, in the middle of the message.
        client.close()
        if 400 <= answer.code < 600:
            return message_refused(answer.code, answer.message)
        return NO_ANSWER


def _stuffed(content: bytes) -> bytes:
    """`content` as DATA carries it: leading dots doubled, and the lone dot at the end."""
    ended = content if content.endswith(b"\r\n") else content + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", ended) + b".\r\n"
