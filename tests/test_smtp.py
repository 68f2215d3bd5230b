from __future__ import annotations

import asyncio
import base64
import logging
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from smtpx import (
    Action,
    Authority,
    Script,
    ScriptedServer,
    drip,
    drop,
    forever,
    garbage,
    ok,
    raw,
    reply,
    rst,
    stall,
)

from alertd.config import Email
from alertd.smtp import DeliveryError, Outcome, Security, SmtpNotifier, notifier

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

SENDER = "alertd <alerts@example.com>"
ONE, TWO, THREE = "one@example.com", "two@example.com", "three@example.com"
MAIL = b"Subject: hello\r\n\r\n.a line that begins with a dot\r\n..two\r\nthe end\r\n"
PASSWORD = "canary-7f3a"

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run one test's work, for at most as long as no honest server takes."""
    return asyncio.run(asyncio.wait_for(work, 20))


def notifier_for(
    server: ScriptedServer,
    *,
    security: Security = "none",
    username: str | None = None,
    timeout: float = 10,
) -> SmtpNotifier:
    return SmtpNotifier(
        host="127.0.0.1",
        port=server.port,
        security=security,
        username=username,
        password=PASSWORD if username else None,
        timeout=timeout,
    )


async def send_once(
    server: ScriptedServer, recipients: Sequence[str] = (ONE,), **settings: Any
) -> dict[str, Outcome]:
    """Send one mail and say goodbye."""
    mailer = notifier_for(server, **settings)
    try:
        return await mailer.send(SENDER, recipients, MAIL)
    finally:
        await mailer.close()


def statuses(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {recipient: outcome.status for recipient, outcome in outcomes.items()}


def failure_of(script: Script, **settings: Any) -> tuple[DeliveryError, ScriptedServer]:
    """Send one mail through a server that makes it fail."""

    async def work() -> tuple[DeliveryError, ScriptedServer]:
        async with ScriptedServer(script) as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, **settings)
            return caught.value, server

    return run(work())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority, and this process trusts it."""
    path = authority.write_certificate(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return authority


def test_a_mail_arrives_byte_for_byte() -> None:
    """Dots are stuffed on the way and nothing else is touched."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            outcomes = await send_once(server, [ONE, TWO])

            assert {ONE: "sent", TWO: "sent"} == statuses(outcomes)
        return server

    server = run(work())

    assert [MAIL] == [copy.payload for copy in server.copies]
    assert "alerts@example.com" == server.copies[0].sender
    assert (ONE, TWO) == server.copies[0].recipients


def test_the_notifier_of_a_configuration_is_told_all_of_it() -> None:
    """Server, security, login and timeout come from ``[email]``."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            settings = Email(
                host="127.0.0.1",
                port=server.port,
                security="none",
                sender=SENDER,
                username="robin",
                password=PASSWORD,
            )
            configured = notifier(settings)
            await configured.send(settings.sender, [ONE], MAIL)
            await configured.close()
        return server

    server = run(work())

    assert [("robin", PASSWORD)] == server.sessions[0].credentials
    assert [MAIL] == server.copies_for(ONE)


def test_a_mail_without_a_last_line_end_gets_one() -> None:
    """The final dot must stand on a line of its own."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            mailer = notifier_for(server)
            await mailer.send(SENDER, [ONE], b"Subject: x\r\n\r\nend")
            await mailer.close()
        return server

    assert [b"Subject: x\r\n\r\nend\r\n"] == run(work()).copies_for(ONE)


def test_one_connection_carries_a_run_of_mails() -> None:
    """Mails that follow each other do not connect again; RSET shows that the server is there."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            mailer = notifier_for(server, username="robin")
            for _ in range(3):
                await mailer.send(SENDER, [ONE], MAIL)
            await mailer.close()
        return server

    server = run(work())

    assert 1 == len(server.sessions)
    assert 3 == len(server.copies)
    assert 2 == server.sessions[0].verbs.count("RSET")
    assert [("robin", PASSWORD)] == server.sessions[0].credentials
    assert "QUIT" == server.sessions[0].verbs[-1]


def test_simultaneous_mails_take_turns() -> None:
    """Two sends at once share the connection, one after the other."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            mailer = notifier_for(server)
            await asyncio.gather(
                *(mailer.send(SENDER, [recipient], MAIL) for recipient in (ONE, TWO, THREE))
            )
            await mailer.close()
        return server

    server = run(work())

    assert 1 == len(server.sessions)
    assert [(ONE,), (TWO,), (THREE,)] == [copy.recipients for copy in server.copies]


@pytest.mark.parametrize(
    "action", [drop, rst, reply(421), stall()], ids=["drop", "rst", "421", "stall"]
)
def test_a_connection_that_died_idle_is_replaced(action: Action) -> None:
    """That a server closes what is idle is no failure."""

    async def work() -> ScriptedServer:
        async with ScriptedServer([("rset", action)]) as server:
            mailer = notifier_for(server, timeout=0.5)
            await mailer.send(SENDER, [ONE], MAIL)
            await mailer.send(SENDER, [TWO], MAIL)
            await mailer.close()
        return server

    server = run(work())

    assert 2 == len(server.sessions)
    assert 2 == len(server.copies)


def test_closing_without_a_connection_does_nothing() -> None:
    """A daemon closes what it may never have opened."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            await notifier_for(server).close()
        return server

    assert [] == run(work()).sessions


def test_a_server_that_knows_only_helo_is_good_enough() -> None:
    """EHLO refused is no refusal."""

    async def work() -> ScriptedServer:
        async with ScriptedServer([("ehlo", reply(502, "what?"))]) as server:
            await send_once(server)
        return server

    server = run(work())

    assert ["EHLO", "HELO"] == server.sessions[0].verbs[:2]
    assert 1 == len(server.copies)


# Failures before the mail -----------------------------------------------------------------------


def test_a_refused_connection_may_be_tried_again() -> None:
    """M1: nobody listens."""

    async def work() -> DeliveryError:
        async with ScriptedServer() as server:
            pass
        with pytest.raises(DeliveryError) as caught:
            await send_once(server)
        return caught.value

    error = run(work())

    assert ("connect", True) == (error.kind, error.retryable)
    assert error.detail.endswith(": Connection refused")


def test_a_name_that_cannot_be_resolved_now_may_be_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """M2: the resolver may be back in a minute."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    mailer = SmtpNotifier(host="mail.example.com", port=587, security="starttls")
    with pytest.raises(DeliveryError) as caught:
        run(mailer.send(SENDER, [ONE], MAIL))

    assert ("connect", True) == (caught.value.kind, caught.value.retryable)
    assert (
        "mail.example.com:587: its name cannot be resolved: Temporary failure in name resolution"
        == caught.value.detail
    )


def test_a_hanging_resolver_blocks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """M2: the deadline holds, and the loop does other things meanwhile."""
    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait(20))
    mailer = SmtpNotifier(host="mail.example.com", port=587, security="tls", timeout=0.2)

    async def work() -> DeliveryError:
        with pytest.raises(DeliveryError) as caught:
            await mailer.send(SENDER, [ONE], MAIL)
        is_over.set()
        return caught.value

    assert "mail.example.com:587: no answer in time" == run(work()).detail


@pytest.mark.parametrize(
    "script",
    [
        [("connect", drop)],
        [("connect", rst)],
        [("banner", drop)],
        [("banner", garbage(100))],
        [("banner", garbage(2_000_000))],
        [("banner", reply(554, "no"))],
        [("banner", reply(421, "busy"))],
        [("ehlo", drop)],
        [("ehlo", reply(421, "busy"))],
        [("ehlo", garbage(2_000_000))],
    ],
    ids=lambda script: script[0][0],
)
def test_a_server_that_does_not_greet_may_be_tried_again(script: Script) -> None:
    """M9, M20: whatever a server says instead of a greeting may pass."""
    error, server = failure_of(script)

    assert ("connect", True) == (error.kind, error.retryable)
    assert "MAIL" not in server.sessions[0].verbs


@pytest.mark.parametrize("phase", ["banner", "ehlo", "mail", "rcpt", "data"])
def test_silence_ends_at_the_deadline(phase: str) -> None:
    """M3, M5: a server that says nothing holds us no longer than the timeout."""
    error, server = failure_of([(phase, stall())], timeout=0.2)

    assert ("no answer in time", True) == (error.detail.split(": ")[-1], error.retryable)
    assert [] == server.copies


def test_a_dripping_server_does_not_hold_us_longer() -> None:
    """M4: the deadline is for the whole of it, so a byte now and then does not move it."""
    error, server = failure_of([("mail", drip(0.1))], timeout=0.3)

    assert ("temporary", True) == (error.kind, error.retryable)
    assert [] == server.copies


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data"])
@pytest.mark.parametrize(
    "action", [drop, rst, reply(421, "shutting down")], ids=["drop", "rst", "421"]
)
def test_a_loss_before_the_mail_is_temporary(phase: str, action: Action) -> None:
    """M5, M9: the server cannot have the mail yet."""

    async def work() -> None:
        async with ScriptedServer([(phase, action)]) as server:
            mailer = notifier_for(server)
            try:
                outcomes = await mailer.send(SENDER, [ONE], MAIL)
            except DeliveryError as error:
                assert ("temporary", True) == (error.kind, error.retryable)  # noqa: PT017
            else:
                assert {ONE: "deferred"} == statuses(outcomes)
            assert [] == server.copies

            assert {ONE: "sent"} == statuses(await mailer.send(SENDER, [ONE], MAIL))
            await mailer.close()

    run(work())


def test_a_refused_sender_is_permanent() -> None:
    """The same mail will be refused tomorrow."""
    error, _ = failure_of([("mail", reply(553, "sender not allowed"))])

    assert ("permanent", False) == (error.kind, error.retryable)
    assert "553 sender not allowed" in error.detail


def test_a_sender_who_must_log_in_first_is_told_so() -> None:
    """530 to MAIL is a matter of the login, which the configuration can mend."""
    error, _ = failure_of([("mail", reply(530, "Authentication required"))])

    assert ("login", True) == (error.kind, error.retryable)


# Logging in -------------------------------------------------------------------------------------


def test_a_refused_login_names_the_user_and_tries_no_other_method() -> None:
    """M14: a wrong password sent twice locks accounts twice as fast."""
    error, server = failure_of([("auth", forever(reply(535, "go away")))], username="robin")

    assert ("login", True) == (error.kind, error.retryable)
    assert "robin" in error.detail
    assert "535 go away" in error.detail
    assert 1 == server.sessions[0].verbs.count("AUTH")
    assert "MAIL" not in server.sessions[0].verbs


def test_a_login_that_fails_for_now_is_temporary() -> None:
    """454 says that the server's own directory is down."""
    error, _ = failure_of([("auth", reply(454, "try later"))], username="robin")

    assert ("temporary", True) == (error.kind, error.retryable)


def test_login_takes_over_where_plain_is_not_there() -> None:
    """504 is the one reply after which another method makes sense."""

    async def work() -> ScriptedServer:
        async with ScriptedServer([("auth", reply(504, "not that"))]) as server:
            await send_once(server, username="robin")
        return server

    server = run(work())

    assert [("robin", PASSWORD)] * 2 == server.sessions[0].credentials
    assert 1 == len(server.copies)


def test_a_server_without_login_is_refused_when_there_is_a_user() -> None:
    """Whoever configured a login wants one."""

    async def work() -> DeliveryError:
        async with ScriptedServer(extensions=["AUTH CRAM-MD5"]) as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, username="robin")
        return caught.value

    error = run(work())

    assert "login" == error.kind
    assert "offers neither AUTH PLAIN nor AUTH LOGIN" in error.detail


@pytest.mark.parametrize("code", [421, 550])
@pytest.mark.parametrize("phase", ["auth", "mail", "rcpt[0]", "dot"])
def test_the_password_is_never_said(
    phase: str, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    """S7: not even when the server repeats it, in whatever spelling, or a traceback has locals."""
    spellings = [
        PASSWORD,
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(f"\0robin\0{PASSWORD}".encode()).decode(),
    ]
    caplog.set_level(logging.DEBUG)
    hostile = reply(code, " ".join(spellings))

    async def work() -> str:
        async with ScriptedServer([(phase, hostile)]) as server:
            mailer = notifier_for(server, username="robin")
            try:
                said = repr(await mailer.send(SENDER, [ONE, TWO], MAIL))
            except DeliveryError as error:
                told = traceback.TracebackException.from_exception(error, capture_locals=True)
                frames = [
                    frame for frame in told.stack if frame.filename.endswith("alertd/smtp.py")
                ]
                said = str(error) + repr(error.__context__) + repr([f.locals for f in frames])
            await mailer.close()
        return said + repr(mailer)

    said = run(work()) + caplog.text

    assert "***" in said
    assert [] == [spelling for spelling in spellings if spelling in said]


@pytest.mark.parametrize("phase", ["auth", "mail", "rcpt[0]", "dot"])
@pytest.mark.parametrize("shown", range(1, len(PASSWORD)))
def test_no_part_of_a_password_is_said_where_a_text_is_cut(phase: str, shown: int) -> None:
    """S7: it is taken out before the text is made short."""

    async def work(place: int) -> str:
        filling = "." * (200 - shown - place)
        async with ScriptedServer([(phase, reply(550, filling + PASSWORD))]) as server:
            mailer = notifier_for(server, username="robin")
            try:
                [outcome] = (await mailer.send(SENDER, [ONE], MAIL)).values()
            except DeliveryError as error:
                return error.detail
            finally:
                await mailer.close()
            return outcome.detail

    before = run(work(0)).index("....")
    said = run(work(before))

    assert "..." in said
    assert PASSWORD[:shown] not in said[before:]


# TLS --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_everything_that_matters_is_encrypted(trusted: Authority, security: Security) -> None:
    """Nothing but EHLO and STARTTLS goes in clear; ``SSL_CERT_FILE`` names a private authority."""

    async def work() -> ScriptedServer:
        async with ScriptedServer(tls=trusted.server_context(), security=security) as server:
            await send_once(server, security=security, username="robin")
        return server

    server = run(work())
    verbs = server.sessions[0].verbs

    assert server.sessions[0].is_tls
    assert [MAIL] == server.copies_for(ONE)
    expected = ["EHLO", "STARTTLS"] if security == "starttls" else []
    assert [*expected, "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"] == verbs


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("flaw", ["expired", "unknown authority", "wrong host"])
def test_a_certificate_that_does_not_verify_ends_it(
    trusted: Authority, flaw: str, security: Security
) -> None:
    """M15: the server sees neither a login nor a mail."""
    maker = Authority() if flaw == "unknown authority" else trusted
    context = maker.server_context(
        "elsewhere.example" if flaw == "wrong host" else "127.0.0.1", is_expired=flaw == "expired"
    )

    async def work() -> tuple[DeliveryError, ScriptedServer]:
        async with ScriptedServer(tls=context, security=security) as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, security=security, username="robin")
        return caught.value, server

    error, server = run(work())

    assert ("tls", True) == (error.kind, error.retryable)
    assert "certificate not accepted" in error.detail
    assert "SSL_CERT_FILE" in error.detail
    assert all(not {"AUTH", "MAIL"} & set(session.verbs) for session in server.sessions)


def test_starttls_that_is_not_offered_ends_it() -> None:
    """M16: neither the login nor a mail goes in clear, whoever removed the offer."""

    async def work() -> tuple[DeliveryError, ScriptedServer]:
        async with ScriptedServer() as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, security="starttls", username="robin")
        return caught.value, server

    error, server = run(work())

    assert "tls" == error.kind
    assert "offers no STARTTLS" in error.detail
    assert not {"AUTH", "MAIL"} & set(server.sessions[0].verbs)


def test_a_server_that_speaks_no_tls_is_refused() -> None:
    """``tls`` on a port that expects STARTTLS is a common mistake."""

    async def work() -> DeliveryError:
        async with ScriptedServer() as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, security="tls")
        return caught.value

    error = run(work())

    assert "tls" == error.kind
    assert "TLS failed" in error.detail


def test_a_reply_injected_before_tls_is_not_believed(trusted: Authority) -> None:
    """M17: what came in clear after the reply to STARTTLS is not part of the conversation."""
    injected = raw(b"220 go ahead\r\n250-smtpx\r\n250 AUTH CRAM-MD5\r\n")

    async def work() -> ScriptedServer:
        context = trusted.server_context()
        script = [("starttls", injected)]
        async with ScriptedServer(script, tls=context, security="starttls") as server:
            await send_once(server, security="starttls", username="robin")
        return server

    server = run(work())

    assert [("robin", PASSWORD)] == server.sessions[0].credentials
    assert [MAIL] == server.copies_for(ONE)


@pytest.mark.parametrize("action", [drop, rst], ids=["drop", "rst"])
def test_a_handshake_cut_off_may_be_tried_again(trusted: Authority, action: Action) -> None:
    """A reset in the handshake is a failed connection, no false certificate."""

    async def work() -> DeliveryError:
        context = trusted.server_context()
        async with ScriptedServer([("tls", action)], tls=context, security="starttls") as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, security="starttls")
        return caught.value

    error = run(work())

    assert error.retryable
    assert error.kind in {"connect", "tls"}


# Recipients -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"), [(450, "deferred"), (451, "deferred"), (550, "refused"), (552, "refused")]
)
def test_one_recipient_turned_away_does_not_touch_the_others(code: int, status: str) -> None:
    """M10, M12: the others get their mail once, and the one keeps the server's words."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer([("rcpt[1]", reply(code, "not now"))]) as server:
            return await send_once(server, [ONE, TWO, THREE]), server

    outcomes, server = run(work())

    assert {ONE: "sent", TWO: status, THREE: "sent"} == statuses(outcomes)
    assert f"{code} not now" == outcomes[TWO].detail
    assert [1, 0, 1] == [len(server.copies_for(name)) for name in (ONE, TWO, THREE)]


def test_a_recipient_that_the_server_cannot_verify_gets_the_mail() -> None:
    """252 is an acceptance."""

    async def work() -> dict[str, Outcome]:
        async with ScriptedServer([("rcpt", reply(252, "will try"))]) as server:
            return await send_once(server)

    assert {ONE: "sent"} == statuses(run(work()))


def test_when_all_are_refused_no_mail_is_given() -> None:
    """M13: DATA without recipients is an error of ours."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer([("rcpt", forever(reply(550)))]) as server:
            return await send_once(server, [ONE, TWO]), server

    outcomes, server = run(work())

    assert {ONE: "refused", TWO: "refused"} == statuses(outcomes)
    assert "DATA" not in server.sessions[0].verbs


def test_what_was_judged_before_a_loss_stands() -> None:
    """A refusal is not forgotten because the connection broke after it; the rest may come later."""

    async def work() -> dict[str, Outcome]:
        script = [("rcpt[0]", reply(550, "unknown")), ("rcpt[2]", reply(421, "bye"))]
        async with ScriptedServer(script) as server:
            return await send_once(server, [ONE, TWO, THREE])

    assert {ONE: "refused", TWO: "deferred", THREE: "deferred"} == statuses(run(work()))


def test_an_address_that_occurs_twice_gets_one_copy() -> None:
    """M22: however it is written."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer() as server:
            return await send_once(server, [ONE, f"Somebody <{ONE}>", ONE]), server

    outcomes, server = run(work())

    assert {ONE: "sent", f"Somebody <{ONE}>": "sent"} == statuses(outcomes)
    assert [(ONE,)] == [copy.recipients for copy in server.copies]


@pytest.mark.parametrize(
    "address",
    [
        "one@example.com\r\nRCPT TO:<evil@example.com>",
        "one@example.com>\nDATA",
        "no-address",
        "two words@example.com",
        "somebody,one@example.com",
        "somebody(comment)@example.com",
        "group:one@example.com;",
        '"quoted@example.com',
        "one@example.com,three@example.com",
        "x@" + "a" * 64 + ".example",
        "",
    ],
)
def test_what_is_no_address_reaches_no_server(address: str) -> None:
    """Nothing that could be read as another command is sent; the others get their mail."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer() as server:
            return await send_once(server, [address, TWO]), server

    outcomes, server = run(work())

    assert {address: "refused", TWO: "sent"} == statuses(outcomes)
    assert b"evil" not in server.sessions[0].raw
    assert 1 == server.sessions[0].verbs.count("RCPT")


def test_a_mail_to_nobody_is_not_begun() -> None:
    """If no recipient has an address, there is nothing to ask the server."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer() as server:
            return await send_once(server, ["nobody"]), server

    outcomes, server = run(work())

    assert {"nobody": "refused"} == statuses(outcomes)
    assert "MAIL" not in server.sessions[0].verbs


def test_a_sender_that_is_no_address_is_permanent() -> None:
    """No server is asked about it."""

    async def work() -> DeliveryError:
        async with ScriptedServer() as server:
            mailer = notifier_for(server)
            with pytest.raises(DeliveryError) as caught:
                await mailer.send("nobody\r\nDATA", [ONE], MAIL)
            await mailer.close()
        return caught.value

    error = run(work())

    assert ("permanent", False) == (error.kind, error.retryable)
    assert r"nobody\rDATA" not in error.detail
    assert "\r" not in error.detail


def test_a_domain_beyond_ascii_goes_as_its_ascii_name() -> None:
    """Every server takes that."""

    async def work() -> ScriptedServer:
        async with ScriptedServer() as server:
            await send_once(server, ["ops@münchen.example"])
        return server

    assert ("ops@xn--mnchen-3ya.example",) == run(work()).copies[0].recipients


@pytest.mark.parametrize("has_utf8", [True, False])
def test_a_local_part_beyond_ascii_needs_a_server_that_takes_it(*, has_utf8: bool) -> None:
    """Where the server does not, that one recipient is refused and the others are not."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer(extensions=["SMTPUTF8"] if has_utf8 else ["SIZE"]) as server:
            return await send_once(server, ["müller@example.com", TWO]), server

    outcomes, server = run(work())

    expected = "sent" if has_utf8 else "refused"
    assert {"müller@example.com": expected, TWO: "sent"} == statuses(outcomes)
    assert has_utf8 == (b"SMTPUTF8" in server.sessions[0].raw)


def test_a_sender_beyond_ascii_needs_a_server_that_takes_it() -> None:
    """Else nobody can get it."""

    async def work() -> DeliveryError:
        async with ScriptedServer() as server:
            mailer = notifier_for(server)
            with pytest.raises(DeliveryError) as caught:
                await mailer.send("müller@example.com", [ONE], MAIL)
            await mailer.close()
        return caught.value

    error = run(work())

    assert ("permanent", False) == (error.kind, error.retryable)
    assert "SMTPUTF8" in error.detail


# The final dot ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [drop, rst, stall(), garbage(10), garbage(2_000_000), reply(354)],
    ids=["drop", "rst", "stall", "garbage", "2 MB", "354"],
)
def test_no_answer_to_the_final_dot_is_uncertain(action: Action) -> None:
    """M6: the server has the mail and may be delivering it; the repeat is the same to the byte."""

    async def work() -> ScriptedServer:
        async with ScriptedServer([("dot", action), ("dot", ok)]) as server:
            mailer = notifier_for(server, timeout=0.5)
            first = await mailer.send(SENDER, [ONE, TWO], MAIL)
            second = await mailer.send(SENDER, [ONE, TWO], MAIL)
            await mailer.close()

            assert {ONE: "uncertain", TWO: "uncertain"} == statuses(first)
            assert {ONE: "sent", TWO: "sent"} == statuses(second)
        return server

    assert {MAIL} == set(run(work()).copies_for(ONE))


@pytest.mark.parametrize(
    ("code", "status"), [(451, "deferred"), (421, "deferred"), (552, "refused"), (554, "refused")]
)
@pytest.mark.parametrize("phase", ["data", "dot"])
def test_a_refused_mail_is_judged_for_all_who_were_accepted(
    phase: str, code: int, status: str
) -> None:
    """M9, M18: who was refused before keeps his own reason."""

    async def work() -> dict[str, Outcome]:
        script = [("rcpt[0]", reply(550, "unknown")), (phase, reply(code, "too big"))]
        async with ScriptedServer(script) as server:
            return await send_once(server, [ONE, TWO])

    outcomes = run(work())

    assert {ONE: "refused", TWO: status} == statuses(outcomes)
    assert "550 unknown" == outcomes[ONE].detail
    assert f"{code} too big" == outcomes[TWO].detail


def test_a_data_reply_that_makes_no_sense_is_temporary() -> None:
    """250 to DATA is neither go on nor no."""
    error, server = failure_of([("data", reply(250, "sure"))])

    assert ("temporary", True) == (error.kind, error.retryable)
    assert [] == server.copies


@pytest.mark.parametrize(
    "action", [drop, rst, stall(), reply(500)], ids=["drop", "rst", "stall", "500"]
)
def test_what_happens_at_quit_does_not_matter(action: Action) -> None:
    """M8: the mail has had its answer."""

    async def work() -> tuple[dict[str, Outcome], ScriptedServer]:
        async with ScriptedServer([("quit", action)]) as server:
            return await send_once(server), server

    outcomes, server = run(work())

    assert {ONE: "sent"} == statuses(outcomes)
    assert 1 == len(server.copies)


# Servers that talk too much ----------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["mail", "rcpt[0]", "data"])
def test_a_reply_too_many_is_not_taken_for_the_next_one(phase: str) -> None:
    """M20: else a refused recipient would count as accepted."""
    surplus = raw(b"250 ok\r\n250 ok\r\n" if phase != "data" else b"354 go on\r\n250 ok\r\n")
    script = [(phase, surplus), ("rcpt[0]", reply(550)), ("rcpt[1]", reply(550))]

    async def work() -> ScriptedServer:
        async with ScriptedServer(script[:1] if phase == "data" else script) as server:
            with pytest.raises(DeliveryError) as caught:
                await send_once(server, [ONE, TWO])

            assert ("temporary", True) == (caught.value.kind, caught.value.retryable)
        return server

    assert [] == run(work()).copies


def test_a_surplus_after_the_final_answer_ends_only_the_connection() -> None:
    """The mail has been taken; the next one gets a connection that is in step."""

    async def work() -> ScriptedServer:
        async with ScriptedServer([("dot", raw(b"250 ok\r\n550 no\r\n"))]) as server:
            mailer = notifier_for(server)
            assert {ONE: "sent"} == statuses(await mailer.send(SENDER, [ONE], MAIL))
            assert {TWO: "sent"} == statuses(await mailer.send(SENDER, [TWO], MAIL))
            await mailer.close()
        return server

    assert 2 == len(run(work()).sessions)


def test_an_endless_reply_is_cut_off() -> None:
    """M20: two megabytes that are no reply are a failure like any other."""
    error, _ = failure_of([("rcpt", garbage(2_000_000))])

    assert ("temporary", True) == (error.kind, error.retryable)
    assert len(error.detail) <= 200


def test_what_a_server_says_is_shown_escaped_and_short() -> None:
    """S21: it goes into logs and onto terminals."""

    async def work() -> dict[str, Outcome]:
        hostile = reply(550, "\x1b[2J\u202e" + "x" * 5_000 + "\nand more")
        async with ScriptedServer([("rcpt[0]", hostile)]) as server:
            return await send_once(server, [ONE, TWO])

    outcomes = run(work())
    detail = outcomes[ONE].detail

    assert detail.startswith(r"550 \x1b[2J\u202exxx")
    assert 200 == len(detail)
    assert "sent" == outcomes[TWO].status


# Being cancelled ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["ehlo", "mail", "dot", "rset"])
def test_cancelling_leaves_no_connection_behind(phase: str) -> None:
    """P3: a shutdown may come at any time; the next mail begins anew."""

    async def work() -> ScriptedServer:
        reached = asyncio.Event()

        async def wait(session: object, polite: str) -> None:
            del polite
            reached.set()
            await stall()(session, "")  # type: ignore[arg-type]

        async with ScriptedServer([(phase, wait)]) as server:
            mailer = notifier_for(server)
            if phase == "rset":
                await mailer.send(SENDER, [ONE], MAIL)
            task = asyncio.create_task(mailer.send(SENDER, [ONE], MAIL))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert {ONE: "sent"} == statuses(await mailer.send(SENDER, [ONE], MAIL))
            await mailer.close()
        return server

    assert 2 == len(run(work()).sessions)
