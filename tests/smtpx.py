"""
An SMTP server that does, step by step, what a test tells it to do.

Politeness is the default, so a script names only what goes wrong::

    async with ScriptedServer([("rcpt[1]", reply(550, "no such user"))]) as server:
        ...  # send to 127.0.0.1 and server.port
    assert [b"..."] == [copy.payload for copy in server.copies]

A script is a list of ``(phase, action)``.  A step is used up the first time that its phase is
reached, in whichever session that happens; further steps of the same phase wait for further times,
and ``forever(action)`` is never used up.  So ``[("mail", reply(421)), ("mail", ok)]`` fails once.

Phases, in the order of a session:

    connect    before anything is said          mail       MAIL FROM
    banner     the greeting                     rcpt       any RCPT TO
    ehlo       EHLO or HELO                     rcpt[n]    the n-th of a mail, from 0
    starttls   the reply to STARTTLS            data       DATA
    tls        before the handshake             body@n     once n bytes of the mail have come
    auth       the final reply to AUTH          dot        the reply to the final dot
    rset  noop                                  quit

Actions: ``ok``, ``reply(code, text)``, ``raw(bytes)``, ``garbage(n)``, ``drip(seconds)`` (the
polite reply, a byte at a time), ``stall()`` (silence until the client gives up), ``drop``
(an orderly close) and ``rst`` (a reset).

What came in is kept: ``server.sessions`` (the raw bytes, the commands, whether TLS was on, the
credentials) and ``server.copies`` (every mail whose final dot was read and not answered with
4xx or 5xx, with its bytes as they were before dot-stuffing).
``Authority`` makes the certificates.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import trustme

if TYPE_CHECKING:
    from pathlib import Path

Action: TypeAlias = Callable[["Session", str], Awaitable[None]]
"""Gets the session and the polite reply that it takes the place of."""

Script: TypeAlias = Sequence[tuple[str, Action]]


_POLITE = {"RSET": "250 2.0.0 ok", "NOOP": "250 2.0.0 ok", "QUIT": "221 2.0.0 bye"}


class _Over(Exception):  # noqa: N818 - it ends a session, it is no error
    """The session has been ended by its script or by the client."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A mail that arrived completely."""

    sender: str
    recipients: tuple[str, ...]
    payload: bytes


@dataclass
class Session:
    """One connection, and all that was said on it by the client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_tls: bool = False
    raw: bytearray = field(default_factory=bytearray)
    commands: list[str] = field(default_factory=list)
    credentials: list[tuple[str, str]] = field(default_factory=list)
    envelope: tuple[str, list[str]] = field(default_factory=lambda: ("", []))
    asked: int = 0
    code: int | None = None

    @property
    def verbs(self) -> list[str]:
        """The first word of each command."""
        return [command.split(" ")[0].upper() for command in self.commands]

    async def say(self, data: bytes) -> None:
        """Send bytes, and take the code that they begin with as this phase's result."""
        head = re.match(rb"\d{3}", data)
        self.code = int(head[0]) if head else None
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        """Read one line, or end the session with the client's."""
        line = await self.reader.readline()
        self.raw += line
        if not line.endswith(b"\n"):
            raise _Over
        return line


async def ok(session: Session, polite: str) -> None:
    """Say what a polite server says."""
    if polite:
        await session.say(polite.encode() + b"\r\n")


def reply(code: int, text: str = "scripted") -> Action:
    """Answer with this code, one line of it for each line of the text."""

    async def act(session: Session, _polite: str) -> None:
        *above, last = text.split("\n")
        lines = [f"{code}-{line}\r\n" for line in above] + [f"{code} {last}\r\n"]
        await session.say("".join(lines).encode("utf-8", "surrogateescape"))

    return act


def raw(data: bytes) -> Action:
    """Send exactly these bytes."""

    async def act(session: Session, _polite: str) -> None:
        await session.say(data)

    return act


def garbage(size: int) -> Action:
    """Send a line of so many bytes that no SMTP server ever said."""
    return raw(b"\x1b]0;" + b"x" * size + b"\r\n")


def drip(seconds: float) -> Action:
    """Send the polite reply a byte at a time."""

    async def act(session: Session, polite: str) -> None:
        for byte in polite.encode() + b"\r\n":
            session.writer.write(bytes([byte]))
            await session.writer.drain()
            await asyncio.sleep(seconds)
        session.code = int(polite[:3])

    return act


def stall() -> Action:
    """Say nothing until the client has gone."""

    async def act(session: Session, _polite: str) -> None:
        while await session.reader.read(65536):
            pass
        raise _Over

    return act


async def drop(session: Session, _polite: str) -> None:
    """Close the connection."""
    session.code = None
    raise _Over


async def rst(session: Session, _polite: str) -> None:
    """Reset the connection."""
    session.code = None
    sock: socket.socket = session.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session.writer.transport.abort()
    raise _Over


def forever(action: Action) -> Action:
    """Do this each time, not just once."""

    async def act(session: Session, polite: str) -> None:
        await action(session, polite)

    act.is_forever = True  # type: ignore[attr-defined]
    return act


class ScriptedServer:
    """
    The server, as an asynchronous context manager.

    Args:
        script: What deviates from politeness.
        tls: A server-side context; needed for both kinds of TLS.
        security: ``starttls`` offers it, ``tls`` begins with a handshake.
        extensions: Lines of the reply to EHLO besides STARTTLS.
    """

    def __init__(
        self,
        script: Script = (),
        *,
        tls: ssl.SSLContext | None = None,
        security: Literal["starttls", "tls", "none"] = "none",
        extensions: Sequence[str] = ("8BITMIME", "SIZE 10485760", "AUTH PLAIN LOGIN"),
    ) -> None:
        self._script = list(script)
        self._tls = tls
        self._security = security
        self._extensions = tuple(extensions)
        self._tasks: set[asyncio.Task[None]] = set()
        self.sessions: list[Session] = []
        self.copies: list[Copy] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept,
            "127.0.0.1",
            self.port,
            ssl=self._tls if self._security == "tls" else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def then(self, *steps: tuple[str, Action]) -> None:
        """Add to the script."""
        self._script += steps

    def follow(self, script: Script) -> None:
        """Deviate from politeness in this way from now on, and in no other."""
        self._script[:] = script

    def forget(self) -> None:
        """Be polite from now on."""
        self._script.clear()

    def copies_for(self, recipient: str) -> list[bytes]:
        """The mails that arrived for one address."""
        return [copy.payload for copy in self.copies if recipient in copy.recipients]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(reader, writer, is_tls=self._security == "tls")
        self.sessions.append(session)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(session)
            writer.close()
            await writer.wait_closed()
        except (_Over, OSError, EOFError):
            writer.close()  # whoever ended it, it is over
        except asyncio.CancelledError:
            # Swallowed, so that asyncio's own callback finds nothing to complain about; aborted,
            # because a stream that is cut off in its handshake never says that it has closed.
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _do(self, session: Session, polite: str, *phases: str) -> None:
        session.code = None
        for index, (phase, action) in enumerate(self._script):
            if phase in phases:
                if not getattr(action, "is_forever", False):
                    del self._script[index]
                await action(session, polite)
                return
        await ok(session, polite)

    async def _serve(self, session: Session) -> None:
        await self._do(session, "", "connect")
        await self._do(session, "220 smtpx ready", "banner")
        while "QUIT" not in session.verbs:
            command = (await session.line()).decode("utf-8", "surrogateescape").rstrip("\r\n")
            session.commands.append(command)
            match command.split(" ")[0].upper():
                case "EHLO" | "HELO":
                    await self._do(session, self._greeting(session), "ehlo")
                case "STARTTLS":
                    await self._upgrade(session)
                case "AUTH":
                    await self._authenticate(session, command)
                case "MAIL":
                    session.envelope = (_address(command), [])
                    session.asked = 0
                    await self._do(session, "250 2.1.0 ok", "mail")
                case "RCPT":
                    await self._recipient(session, command)
                case "DATA":
                    await self._receive(session)
                case verb:
                    polite = _POLITE.get(verb, "500 5.5.1 what?")
                    await self._do(session, polite, verb.lower())

    async def _recipient(self, session: Session, command: str) -> None:
        await self._do(session, "250 2.1.5 ok", f"rcpt[{session.asked}]", "rcpt")
        session.asked += 1
        if session.code is not None and session.code < 300:
            session.envelope[1].append(_address(command))

    def _greeting(self, session: Session) -> str:
        extensions = list(self._extensions)
        if self._security == "starttls" and not session.is_tls:
            extensions.insert(0, "STARTTLS")
        lines = ["smtpx", *extensions]
        return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    async def _upgrade(self, session: Session) -> None:
        await self._do(session, "220 2.0.0 go ahead", "starttls")
        if session.code == 220:
            await self._do(session, "", "tls")
            assert self._tls is not None
            await session.writer.start_tls(self._tls)
            session.is_tls = True

    async def _authenticate(self, session: Session, command: str) -> None:
        _verb, method, *initial = command.split(" ")
        if method.upper() == "PLAIN":
            _, username, password = base64.b64decode(initial[0]).decode().split("\0")
        else:
            username = base64.b64decode(initial[0]).decode()
            await session.say(b"334 UGFzc3dvcmQ6\r\n")
            password = base64.b64decode(await session.line()).decode()
        session.credentials.append((username, password))
        await self._do(session, "235 2.7.0 welcome", "auth")

    async def _receive(self, session: Session) -> None:
        sender, recipients = session.envelope
        await self._do(session, "354 go on" if recipients else "503 5.5.1 no recipients", "data")
        if session.code != 354:
            return
        payload = bytearray()
        while (line := await session.line()) != b".\r\n":
            payload += line.removeprefix(b".")
            for phase, _action in tuple(self._script):
                if phase.startswith("body@") and len(payload) >= int(phase[5:]):
                    await self._do(session, "", phase)
        try:
            await self._do(session, "250 2.0.0 accepted", "dot")
        finally:
            if session.code is None or session.code < 400:
                self.copies.append(Copy(sender, tuple(recipients), bytes(payload)))


def _address(command: str) -> str:
    found = re.search(r"<(.*?)>", command)
    return found[1] if found else ""


class Authority:
    """A certificate authority of the test's own, of which only the test's client knows."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def write_certificate(self, path: Path) -> Path:
        """Write the authority's certificate, for ``SSL_CERT_FILE``."""
        self._ca.cert_pem.write_to_path(path)
        return path

    def server_context(
        self, name: str = "127.0.0.1", *, is_expired: bool = False
    ) -> ssl.SSLContext:
        """Make a context for a server of this name."""
        yesterday = datetime.now(UTC) - timedelta(days=1)
        certificate = self._ca.issue_cert(
            name,
            not_before=yesterday - timedelta(days=1) if is_expired else None,
            not_after=yesterday if is_expired else None,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context
