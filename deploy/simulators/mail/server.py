"""The SMTP side: aiosmtpd in a thread of its own, with login, optional TLS, and faults."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from deploy.simulators.mail.archive import Archive
from deploy.simulators.mail.faults import FaultKind, Faults

LOOPBACK = "127.0.0.1"
Security = Literal["plain", "starttls", "tls"]
Users = Mapping[str, str]
MESSAGE_ID = re.compile(rb"(?:.*\r\n)?Message-ID:\s*(<[^>\s]*>)", re.IGNORECASE)
# It logs every command at INFO, recipients included.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)


class _Overheard:
    """A reader that tells the Message-ID as it goes by, so that also a message that never ends has a name."""

    def __init__(self, reader: Any, tell: Callable[[str], None]) -> None:
        self._reader = reader
        self._tell: Callable[[str], None] | None = tell
        self._before = b""

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        line: bytes = await self._reader.readuntil(separator)
        if self._tell is not None and (found := MESSAGE_ID.match(self._before + line)):
            self._tell(found[1].decode("ascii", "replace"))
            self._tell = None
        self._before = line
        return line

    async def read(self, size: int = -1) -> bytes:
        data: bytes = await self._reader.read(size)
        return data


class Conversation(SMTP):
    """One connection. `message_id` of what is being received; `kept` when it is on disk."""

    def __init__(self, simulated: SmtpServer, **options: Any) -> None:
        super().__init__(_Hooks(simulated), **options)
        self._simulated = simulated
        self.message_id = ""
        self.kept = False
        self.locked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._simulated.open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._simulated.open.discard(self)
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - the library finds commands by their names
        """RFC 5321 4.1.1.4, with what goes wrong in it."""
        faults = self._simulated.faults
        recipients = list(self.envelope.rcpt_tos) if self.envelope else []
        if faults.strike(FaultKind.UNAVAILABLE_AT_DATA, recipients):
            await self.leave("421 4.3.2 Service shutting down")
        if faults.strike(FaultKind.CUT_BEFORE_DATA, recipients):
            await self.vanish()
        self.message_id, self.kept = "", False
        self._simulated.archive.awaited()
        reader = self._reader
        self._reader = _Overheard(reader, self._begun)  # type: ignore[assignment]
        try:
            await super().smtp_DATA(arg)
        except asyncio.CancelledError:
            with suppress(OSError):
                self._simulated.archive.cut(self.message_id, accepted=self.kept)
            raise
        finally:
            self._reader = reader

    def _begun(self, message_id: str) -> None:
        self.message_id = message_id
        with suppress(OSError):  # half-way through a message nobody can be told; its end will be
            self._simulated.archive.begun(message_id)

    async def leave(self, status: str) -> None:
        """Say `status` and hang up."""
        await self.push(status)
        if self.transport is not None:
            self.transport.close()
        await asyncio.Event().wait()  # ended by connection_lost, which cancels this conversation

    async def vanish(self) -> None:
        """Hang up without a word."""
        self.abort()
        await asyncio.Event().wait()

    def abort(self) -> None:
        """Close the connection at once."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class _Hooks:
    """aiosmtpd's hooks. An answer is a string; their names and parameters are the library's."""

    def __init__(self, simulated: SmtpServer) -> None:
        self._simulated = simulated

    async def handle_MAIL(  # noqa: N802
        self, server: Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        faults = self._simulated.faults
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if faults.strike(FaultKind.UNAVAILABLE_AT_MAIL):
            await server.leave("421 4.3.2 Service shutting down")
        if faults.strike(FaultKind.SENDER_REFUSED):
            return "553 5.7.1 Sender address rejected: not owned by user"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Conversation, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        faults = self._simulated.faults
        if faults.strike(FaultKind.UNAVAILABLE_AT_RCPT, [address]):
            await server.leave("421 4.3.2 Service shutting down")
        if faults.strike(FaultKind.GREYLIST, [address]):
            return f"450 4.2.0 <{address}>: Recipient address rejected: Greylisted"
        if faults.strike(FaultKind.UNKNOWN_RECIPIENT, [address]):
            return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_exception(self, _error: Exception) -> str:
        """Nothing was kept: to be tried again, whatever it was (a full disk, say). The library would say 500, for ever."""
        return "452 4.3.1 Insufficient system storage"

    async def handle_DATA(self, server: Conversation, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        faults, to = self._simulated.faults, list(envelope.rcpt_tos)
        content = envelope.original_content or b""
        for kind, answer in AFTER_DATA.items():
            if faults.strike(kind, to):
                return answer
        if faults.strike(FaultKind.CUT_LOST, to):
            await server.vanish()
        # Shielded: a client that hangs up now has its message kept all the same, as a real server's queue would.
        kept = await asyncio.shield(asyncio.to_thread(self._simulated.archive.accept, content))
        server.kept = True
        if faults.strike(FaultKind.CUT_ACCEPTED, to):
            await server.vanish()
        if (slow := faults.strike(FaultKind.DELAY, to)) is not None:
            await asyncio.sleep(slow.seconds)
        return f"250 2.0.0 Queued as {kept.file.removesuffix('.eml')}"


AFTER_DATA = {
    FaultKind.TOO_BIG: "552 5.3.4 Message size exceeds fixed limit",
    FaultKind.REJECTED: "554 5.6.0 Message content rejected",
    FaultKind.DEFERRED: "451 4.3.0 Temporary failure, try again later",
}


class SmtpServer:
    """Listens on 127.0.0.1. `users`: name to password; without it every login is right."""

    def __init__(
        self, archive: Archive, faults: Faults, *, port: int = 0, users: Users | None = None,
        security: Security = "plain", tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        if (security == "plain") != (tls is None):
            raise ValueError("a certificate goes with TLS, and with nothing else")
        self.archive = archive
        self.faults = faults
        self.open: set[Conversation] = set()
        self._users = users
        self._security = security
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(self._conversation, LOOPBACK, port, ssl=tls if security == "tls" else None)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail-simulator", daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Close every connection, as a server does that waited long enough; returns when they are closed."""
        asyncio.run_coroutine_threadsafe(self._close_all(), self._loop).result()

    def stop(self) -> None:
        """Close the port and every connection."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _conversation(self) -> Conversation:
        return Conversation(
            self,
            hostname="simulatore.localhost",
            ident="Staffetta SIMULATORE",
            tls_context=self._tls if self._security == "starttls" else None,
            require_starttls=self._security == "starttls",
            # Whether a login is needed is asked at MAIL: the library would warn once per connection that plain is plain.
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=self._loop,
        )

    def _authenticate(self, server: SMTP, _session: Session, _envelope: Envelope, _how: str, who: Any) -> AuthResult:
        known = isinstance(who, LoginPassword) and (self._users is None or self._matches(who, self._users))
        assert isinstance(server, Conversation)
        # For the whole conversation: a client that tries another method is refused just the same.
        server.locked = server.locked or self.faults.strike(FaultKind.LOGIN_REFUSED) is not None
        return AuthResult(success=known and not server.locked, handled=False)

    def _matches(self, who: LoginPassword, users: Users) -> bool:
        expected = users.get(who.login.decode("utf-8", "replace"))
        return expected is not None and secrets.compare_digest(who.password, expected.encode())

    async def _close_all(self) -> None:
        for conversation in list(self.open):
            conversation.abort()
        while self.open:
            await asyncio.sleep(0.001)

    async def _shut(self) -> None:
        self._server.close()
        await self._close_all()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
