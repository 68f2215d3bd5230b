"""
Hand frozen mails to a mail server, and say for each recipient what became of it.

Refuses to send in clear what was to be encrypted, to accept a certificate that does not verify, and
to guess: what the server did not answer is uncertain.  It never tries again (see delivery), never
looks into a mail (see core.render), and neither logs nor raises the password.

Certificates are verified against the system's authorities; ``SSL_CERT_FILE`` in the environment
names others, so a private authority works.

Trap: once the final dot is on its way, silence does not mean failure.  The server may have the mail
and be delivering it, so that is ``uncertain``, not ``deferred``.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Literal, TypeAlias

import aiosmtplib
import msgspec

from alertd.core.escape import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.config import Email

Security: TypeAlias = Literal["starttls", "tls", "none"]

_DETAIL_LENGTH = 200
_QUIT_SECONDS = 2.0
_UNAVAILABLE = 421
_GO_ON = 354
_NOT_IMPLEMENTED = 504
_LOGIN_CODES = frozenset({530, 534, 535, 538})
"""Replies that mean: not without a (better) login."""

_ADDRESS_LENGTH = 400
"""Characters, a display name included; what is longer takes minutes to encode."""
# Without quotes and comments: aiosmtplib would read "a,b@example.com" as a mail to "a".
_ATOM = r'[^\s()<>\[\]:;@\\,"]+'
_ADDRESS = re.compile(rf"(?:.*<)?({_ATOM}@(?:{_ATOM}|\[[0-9.]+\]))>?\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Outcome(msgspec.Struct, frozen=True):
    """
    What became of a mail for one recipient.

    Attributes:
        status: ``sent``: the server has taken it.  ``refused``: it never will.  ``deferred``: it
            may later.  ``uncertain``: it got everything and did not answer.
        detail: What the server said, escaped, at most 200 characters.
    """

    status: Literal["sent", "refused", "deferred", "uncertain"]
    detail: str


class DeliveryError(Exception):
    """
    An attempt failed before the server had judged any recipient.

    Attributes:
        kind: At what: reaching the server, encrypting, logging in, or the mail itself.
        retryable: Whether trying again, later, may help.
        detail: Why, escaped, at most 200 characters.
    """

    def __init__(
        self,
        kind: Literal["connect", "tls", "login", "temporary", "permanent"],
        detail: str,
        *,
        retryable: bool = True,
    ) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.retryable = retryable
        self.detail = detail


class _Client(aiosmtplib.SMTP):
    AUTH_METHODS = ("plain", "login")


class SmtpNotifier:
    """
    One mail server, and one connection to it that is kept while mails follow each other.

    Args:
        host: The server.
        port: Its port.
        security: ``"tls"`` from the first byte, ``"starttls"`` before anything is said, ``"none"``.
        username: For the login, if there is to be one.
        password: Likewise.
        timeout: Seconds for connecting and logging in, all together, and again for each mail.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        security: Security,
        username: str | None = None,
        password: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._host = host
        self._port = port
        self._security = security
        self._place = f"{host}:{port}"
        self._username = username
        self._password = password or ""
        self._timeout = timeout
        self._client: _Client | None = None
        # Mails take turns: there is one connection.
        self._turn = asyncio.Lock()

    async def send(
        self, sender: str, recipients: Sequence[str], payload: bytes
    ) -> dict[str, Outcome]:
        """
        Send a mail to everybody, in one transaction.

        Args:
            sender: As configured; of ``Name <address>`` the envelope gets the address.
            recipients: Likewise.  An address that occurs twice gets one copy.
            payload: The mail, ASCII with CRLF; it arrives byte for byte.

        Returns:
            For each of ``recipients``, what became of it.

        Raises:
            DeliveryError: Nobody got it, and the server has judged no recipient.
        """
        async with self._turn:
            client = await self._ready()
            transaction = _Transaction(client, sender, recipients, payload)
            failure: DeliveryError | None = None
            try:
                async with asyncio.timeout(self._timeout):
                    await transaction.run()
            except _FAILURES as error:
                failure = self._failure(error, "temporary")
            except BaseException:
                self._drop()
                raise
            # Raised out here so that no traceback leads to a frame that holds the password.
            if failure is not None or transaction.is_out_of_step:
                self._drop()
            return {
                recipient: Outcome(outcome.status, self._clean(outcome.detail))
                for recipient, outcome in transaction.outcomes(failure).items()
            }

    async def close(self) -> None:
        """Say goodbye, if there is a connection; how the server takes it does not matter."""
        async with self._turn:
            client, self._client = self._client, None
            if client is None:
                return
            try:
                async with asyncio.timeout(_QUIT_SECONDS):
                    await client.quit()
            except _FAILURES:
                pass  # every mail on this connection has had its answer
            finally:
                client.close()

    async def _ready(self) -> _Client:
        """Return a connection that answers: the one there is, or a new one."""
        if self._client is not None:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._client.rset()
            except _FAILURES:
                # Servers close what is idle; that is no news.
                self._drop()
            except BaseException:
                self._drop()
                raise
            else:
                return self._client
        client = _Client(
            hostname=self._host,
            port=self._port,
            local_hostname=_local_name(),
            timeout=None,  # the deadlines here are for several steps together
            use_tls=self._security == "tls",
            start_tls=False,  # see _greet: the library's own error for its absence is no type
        )
        failure: DeliveryError | None = None
        self._client = client
        try:
            async with asyncio.timeout(self._timeout):
                await client.connect()
                await self._greet(client)
                if self._username is not None:
                    await self._log_in(client, self._username)
        except _FAILURES as error:
            failure = self._failure(error, "connect")
        except BaseException:
            self._drop()
            raise
        if failure is not None:
            self._drop()
            raise failure
        return client

    async def _greet(self, client: _Client) -> None:
        """Learn what the server can do, if need be in private, and twice then: RFC 3207, 4.2."""
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError as error:
            if error.code == _UNAVAILABLE:
                raise
            await client.helo()
        if self._security == "starttls":
            if not client.supports_extension("starttls"):
                raise DeliveryError(
                    "tls", _short(f"{self._place} offers no STARTTLS; nothing was sent in clear")
                )
            await client.starttls()
            await client.ehlo()

    async def _log_in(self, client: _Client, username: str) -> None:
        failure = DeliveryError(
            "login", _short(f"{self._place} offers neither AUTH PLAIN nor AUTH LOGIN here")
        )
        for method in client.supported_auth_methods:
            log_in = client.auth_plain if method == "plain" else client.auth_login
            try:
                await log_in(username, self._password)
            except aiosmtplib.SMTPAuthenticationError as error:
                failure = self._login_failure(error)
                # Only a method that is not there is a reason to try another: a wrong password sent
                # twice locks accounts twice as fast.
                if error.code != _NOT_IMPLEMENTED:
                    break
            else:
                return
        raise failure

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _login_failure(self, error: aiosmtplib.SMTPAuthenticationError) -> DeliveryError:
        detail = self._clean(f"login as {self._username}: {error.code} {error.message}")
        return DeliveryError("temporary" if _is_temporary(error.code) else "login", detail)

    def _failure(
        self, error: BaseException, otherwise: Literal["connect", "temporary"]
    ) -> DeliveryError:
        """Say what an exception means for delivery."""
        if isinstance(error, DeliveryError):
            return error
        cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
        if isinstance(cause, ssl.SSLError):
            return DeliveryError("tls", self._clean(f"{self._place}: {_tls_reason(cause)}"))
        if not isinstance(error, aiosmtplib.SMTPResponseException):
            return DeliveryError(otherwise, self._clean(f"{self._place}: {_reason(error)}"))
        detail = self._clean(f"{self._place}: {error.code} {error.message}")
        if error.code in _LOGIN_CODES:
            return DeliveryError("login", detail)
        # A server that refuses to talk may think better of it; a refused mail stays refused.
        if otherwise == "temporary" and _is_permanent(error.code):
            return DeliveryError("permanent", detail, retryable=False)
        return DeliveryError(otherwise, detail)

    def _clean(self, detail: str) -> str:
        """Make a detail fit to be logged: escaped, short, and without the password."""
        if self._password:
            username = self._username or ""
            for secret in (
                base64.b64encode(f"\0{username}\0{self._password}".encode()).decode(),
                base64.b64encode(self._password.encode()).decode(),
                self._password,
            ):
                detail = detail.replace(secret, "***")
        return _short(detail)


def notifier(email: Email) -> SmtpNotifier:
    """Make the notifier that the settings ask for."""
    return SmtpNotifier(
        host=email.host,
        port=email.port,
        security=email.security,
        username=email.username,
        password=email.password,
        timeout=email.timeout,
    )


class _OutOfStepError(Exception):
    """The server said more than it was asked."""


_FAILURES = (DeliveryError, _OutOfStepError, aiosmtplib.SMTPException, OSError, TimeoutError)


class _Transaction:
    """One mail on one connection: who was accepted, who was not, and how far it got."""

    def __init__(
        self, client: _Client, sender: str, recipients: Sequence[str], payload: bytes
    ) -> None:
        self._client = client
        self._sender = sender
        self._payload = payload
        self._outcomes: dict[str, Outcome] = {}
        self._accepted: list[str] = []
        self._is_given_away = False
        self._wanted = list(dict.fromkeys(recipients))
        self.is_out_of_step = False

    async def run(self) -> None:
        """Go through it, as far as the server lets us."""
        client = self._client
        sender = _envelope_address(self._sender)
        if sender is None:
            raise DeliveryError(
                "permanent", _short(f"not an address: {self._sender}"), retryable=False
            )
        has_utf8 = client.supports_extension("smtputf8")
        addresses = self._addresses(has_utf8=has_utf8)
        if not addresses:
            return
        is_utf8 = not all(map(str.isascii, (sender, *addresses)))
        options = ["SMTPUTF8"] if is_utf8 else []
        encoding = "utf-8" if is_utf8 else "ascii"
        if not (sender.isascii() or has_utf8):
            raise DeliveryError(
                "permanent",
                _short(f"this server cannot send from {sender} (no SMTPUTF8)"),
                retryable=False,
            )
        if client.supports_extension("size"):
            options.append(f"SIZE={len(self._payload)}")
        await client.mail(sender, options=options, encoding=encoding)
        self._stay_in_step()
        for address, names in addresses.items():
            await self._ask_for(address, names, encoding)
        if self._accepted:
            await self._give()

    def outcomes(self, failure: DeliveryError | None) -> dict[str, Outcome]:
        """
        Say what became of it for each recipient.

        Raises:
            DeliveryError: That failure, if it came before any recipient was judged.
        """
        if failure is not None:
            if not (self._outcomes or self._is_given_away):
                raise failure
            not_given: Literal["deferred", "refused"]
            not_given = "deferred" if failure.retryable else "refused"
            for name in self._wanted:
                is_given = self._is_given_away and name in self._accepted
                status: Literal["uncertain", "deferred", "refused"]
                status = "uncertain" if is_given else not_given
                self._outcomes.setdefault(name, Outcome(status, failure.detail))
        return self._outcomes

    def _addresses(self, *, has_utf8: bool) -> dict[str, list[str]]:
        """Find each address's recipients, and refuse those that have none."""
        addresses: dict[str, list[str]] = {}
        for name in self._wanted:
            address = _envelope_address(name)
            if address is None:
                self._outcomes[name] = Outcome("refused", _short(f"not an address: {name}"))
            elif not (address.isascii() or has_utf8):
                detail = _short(f"this server cannot send to {address} (no SMTPUTF8)")
                self._outcomes[name] = Outcome("refused", detail)
            else:
                addresses.setdefault(address, []).append(name)
        return addresses

    async def _ask_for(self, address: str, names: list[str], encoding: str) -> None:
        try:
            await self._client.rcpt(address, encoding=encoding)
        except aiosmtplib.SMTPRecipientRefused as error:
            self._stay_in_step()
            if error.code == _UNAVAILABLE:
                raise  # it hangs up, and the mail has not been given
            outcome = _judged(error.code, error.message)
            if outcome.status != "sent":
                self._outcomes.update(dict.fromkeys(names, outcome))
                return
        self._stay_in_step()
        self._accepted += names

    async def _give(self) -> None:
        client = self._client
        protocol = client.protocol
        assert protocol is not None  # noqa: S101 - it has just answered
        response = await client.execute_command(b"DATA")
        self._stay_in_step()
        if _is_permanent(response.code) or _is_temporary(response.code):
            self._judge_accepted(response)
            return
        if response.code != _GO_ON:
            raise aiosmtplib.SMTPDataError(response.code, response.message)
        stuffed = re.sub(rb"(?m)^\.", b"..", self._payload)
        ending = b"" if stuffed.endswith(b"\r\n") else b"\r\n"
        # aiosmtplib's own data() does not tell a loss before the mail from one after it.
        protocol.write(stuffed + ending + b".\r\n")
        self._is_given_away = True
        self._judge_accepted(await protocol.read_response())
        self.is_out_of_step = self._has_surplus()

    def _judge_accepted(self, response: aiosmtplib.SMTPResponse) -> None:
        outcome = _judged(response.code, response.message)
        self._outcomes.update(dict.fromkeys(self._accepted, outcome))

    def _stay_in_step(self) -> None:
        """
        Raise if the server has said more than one reply.

        The surplus would be taken for the next command's reply, and a recipient counted as accepted
        whom the server has refused.
        """
        if self._has_surplus():
            raise _OutOfStepError("the server answers what it was not asked")

    def _has_surplus(self) -> bool:
        # aiosmtplib keeps it in a private buffer and would pair it with the next command.
        return bool(getattr(self._client.protocol, "_buffer", b""))


def _judged(code: int, message: str) -> Outcome:
    # Whole, because half a password at the end of what is shown could not be recognised.
    detail = f"{code} {message}"
    if _is_permanent(code):
        return Outcome("refused", detail)
    if _is_temporary(code):
        return Outcome("deferred", detail)
    if 200 <= code < 300:  # noqa: PLR2004 - RFC 5321, 4.2.1
        return Outcome("sent", detail)
    # Not a reply that can follow here, so we and the server do not understand each other.
    raise aiosmtplib.SMTPResponseException(code, message)


def _is_permanent(code: int) -> bool:
    return 500 <= code < 600  # noqa: PLR2004 - RFC 5321, 4.2.1


def _is_temporary(code: int) -> bool:
    return 400 <= code < 500  # noqa: PLR2004 - RFC 5321, 4.2.1


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    cause = error.__cause__
    # The library's and asyncio's texts name the place again, twice.
    if isinstance(cause, socket.gaierror):
        return f"its name cannot be resolved: {cause.strerror}"
    if isinstance(cause, OSError) and cause.errno is not None:
        return os.strerror(cause.errno)
    return str(error)


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"certificate not accepted: {error.verify_message}"
            " (if a private authority made it, name that in SSL_CERT_FILE)"
        )
    return f"TLS failed: {error.reason or error}"


def _short(detail: str) -> str:
    shown = visible(detail[:_DETAIL_LENGTH].replace("\n", " "))
    return shown if len(shown) <= _DETAIL_LENGTH else shown[: _DETAIL_LENGTH - 1] + "…"


def _envelope_address(text: str) -> str | None:
    """Find the address in ``Name <address>``, its domain in ASCII."""
    found = _ADDRESS.fullmatch(text) if len(text) <= _ADDRESS_LENGTH else None
    if found is None or _CONTROL.search(text):
        return None
    local, _, domain = found[1].rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return None


def _local_name() -> str:
    """
    Say who we are.

    Not by ``getfqdn``, which asks the resolver: with the network down that takes a minute.
    """
    return re.sub(r"[^A-Za-z0-9.-]", "", socket.gethostname()) or "localhost"
