"""
Show alertd at work in a box: a real daemon, a log that is being written, mails that arrive.

Everything happens in a temporary directory and on a loopback port.  The log is that of a mobile
application, and its fatal errors straddle the turn of a minute: five before it, six after.  Whoever
counts per minute sees 5 and 6 and stays silent; alertd sees 11 in a row.

It refuses to pretend: the daemon is the one that runs in production, the mails are those that
came over SMTP, and the demo succeeds only if they are exactly the expected ones.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process, create_subprocess_exec
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from alertd.control import ControlError, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage

_READY_SECONDS = 30.0
_MAIL_SECONDS = 15.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.05

_MINUTE = 60
_WIDTH = 100
_MARGIN = 5

_CONFIG_NAME = "alertd.toml"
_OUTPUT = "alertd.log"
# This process may itself run beneath systemd; its daemon does not.
_SYSTEMD_VARIABLES = {
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
}

_CONFIG = """\
[email]
host = "127.0.0.1"
port = {port}
security = "none"                     # it does not leave this machine
sender = "alertd <alerts@example.com>"
recipients = ["ops@example.com"]

[state]
directory = {state}

[source.mobile]
paths = [{log}]
format = "csv"
timestamp = "date"

[rule.fatal-burst]
source = "mobile"
match = {{ severity = "Fatal" }}
more_than = 10                        # fires on the 11th
within = "1m"
description = "The app is crashing for many users at once. Look at the last release first."

[rule.fatal-per-bundle]
source = "mobile"
match = {{ severity = "Fatal" }}
group_by = "bundle_id"                # one window per app
more_than = 10
within = "1h"
recipients = ["mobile-team@example.com"]
description = "One app keeps crashing. Its crash report has the stack trace."
"""

_HEADER = "date,severity,bundle_id,version,message\n"
_SHOP, _MAPS = "com.example.shop", "com.example.maps"
_CRASH = "NullPointerException in Checkout.pay"
_TILE = '"Out of memory: tile cache, 512 MB"'


@dataclass(frozen=True, slots=True)
class _Event:
    """
    One line of the log.

    Attributes:
        seconds: When, from the turn of the minute.
        alerts: The rule that this line makes send a mail, if any, and to whom.
    """

    seconds: int
    severity: str
    app: str
    message: str
    alerts: str | None = None
    recipient: str = ""

    @property
    def is_fatal(self) -> bool:
        return self.severity == "Fatal"

    def line(self, turn: float) -> str:
        moment = datetime.fromtimestamp(turn + self.seconds, UTC).astimezone().isoformat(" ")
        return f"{moment},{self.severity},{self.app},4.2.1,{self.message}\n"


_STORY = (
    _Event(-28, "Info", _SHOP, "Session started"),
    _Event(-24, "Fatal", _SHOP, _CRASH),
    _Event(-20, "Fatal", _SHOP, _CRASH),
    _Event(-15, "Fatal", _MAPS, _TILE),
    _Event(-9, "Fatal", _SHOP, _CRASH),
    _Event(-7, "Error", _SHOP, "Payment declined"),
    _Event(-4, "Fatal", _SHOP, _CRASH),
    _Event(3, "Fatal", _SHOP, _CRASH),
    _Event(8, "Fatal", _MAPS, _TILE),
    _Event(11, "Info", _MAPS, "Session started"),
    _Event(14, "Fatal", _SHOP, _CRASH),
    _Event(19, "Fatal", _SHOP, _CRASH),
    _Event(24, "Fatal", _MAPS, _TILE),
    _Event(29, "Fatal", _SHOP, _CRASH, alerts="fatal-burst", recipient="ops@example.com"),
    _Event(41, "Info", _MAPS, "Session ended"),
    _Event(63, "Fatal", _SHOP, _CRASH),
    _Event(66, "Fatal", _SHOP, _CRASH),
    _Event(
        *(71, "Fatal", _SHOP, _CRASH),
        alerts="fatal-per-bundle",
        recipient="mobile-team@example.com",
    ),
)


class _DemoError(Exception):
    """Something kept the demo from showing what it is to show."""


class _Envelope(Protocol):
    """What aiosmtpd knows of a mail."""

    content: bytes
    rcpt_tos: list[str]


@dataclass(frozen=True, slots=True)
class _Mail:
    """A mail as it came over SMTP, and when (``time.perf_counter``)."""

    arrived: float
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def rule(self) -> str:
        return str(self.message["X-Alertd-Rule"])


class _Mailbox:
    """What the embedded SMTP server has accepted."""

    def __init__(self) -> None:
        self.mails: list[_Mail] = []
        self._arrived = asyncio.Event()

    async def handle_DATA(self, _server: object, _session: object, envelope: _Envelope) -> str:  # noqa: N802
        """Take a mail from aiosmtpd, which calls its handlers by such names."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append(_Mail(time.perf_counter(), tuple(envelope.rcpt_tos), message))
        self._arrived.set()
        return "250 caught"

    async def arrival(self) -> _Mail:
        """Wait for a mail that nobody has waited for yet."""
        async with asyncio.timeout(_MAIL_SECONDS):
            await self._arrived.wait()
        self._arrived.clear()
        return self.mails[-1]


def run_demo(*, keep: bool = False, pace: float = 0.12) -> int:
    """
    Run the demo and print it to standard output.

    Args:
        keep: Leave the directory with configuration, log and state behind, and say where.
        pace: Seconds between two lines of the log, so that eyes can follow.

    Returns:
        The exit code: 0 if exactly the expected mails arrived.
    """
    try:
        import aiosmtpd  # noqa: F401, PLC0415 - an extra
    except ImportError:
        print(  # noqa: T201
            "alertd: error: the demo catches its mails with aiosmtpd, which is not installed; "
            "install it with: pip install 'alertd[demo]'",
            file=sys.stderr,
        )
        return os.EX_UNAVAILABLE
    # Where nobody tells the width, lines of the log are not to be broken.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    directory = Path(tempfile.mkdtemp(prefix="alertd-demo-"))
    try:
        asyncio.run(_show(console, directory, pace))
    except _DemoError as error:
        console.print(Text(f"The demo failed: {error}", style="bold red"))
        output = directory / _OUTPUT
        if output.exists():
            console.print(Panel(Text(output.read_text()), title="what alertd logged"))
        return os.EX_SOFTWARE
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    finally:
        if keep:
            console.print(Text(f"Configuration, log and state are in {directory}"), soft_wrap=True)
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return os.EX_OK


async def _show(console: Console, directory: Path, pace: float) -> None:
    this = cast("asyncio.Task[None]", asyncio.current_task())
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A closed terminal ends this process; the daemon would take the signal for a reload.
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    log_file = directory / "mobile.csv"
    log_file.write_text(_HEADER)
    mailbox = _Mailbox()
    async with _smtp_server(mailbox) as port:
        config = _CONFIG.format(
            port=port,
            state=json.dumps(str(directory / "state")),
            log=json.dumps(str(log_file)),
        )
        (directory / _CONFIG_NAME).write_text(config)
        console.print(Panel(Text(config.rstrip()), title=_CONFIG_NAME, border_style="blue"))
        with console.status("alertd is starting"):
            daemon = await _started(directory)
        try:
            console.print(Text(f"\nalertd is running. {log_file.name}, as it is written:\n"))
            await _write_log(console, log_file, mailbox, pace)
            with console.status("alertd is stopping"):
                await _nothing_pending(directory)
                await _stop(daemon)
        finally:
            if daemon.returncode is None:
                daemon.kill()
                await daemon.wait()
    _judge(mailbox.mails)
    console.print(_summary())


@asynccontextmanager
async def _smtp_server(mailbox: _Mailbox) -> AsyncIterator[int]:
    """Accept mails on a free port of the loopback interface, and give the port."""
    from aiosmtpd.smtp import SMTP  # noqa: PLC0415 - an extra

    server = await asyncio.get_running_loop().create_server(
        # With a name of its own it need not ask the resolver for this machine's.
        lambda: SMTP(mailbox, hostname="localhost"),
        "127.0.0.1",
        0,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _started(directory: Path) -> Process:
    """Start the daemon and wait until it says that it is ready, as it says to systemd."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ALERTD_") and name not in _SYSTEMD_VARIABLES
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as supervisor:
        # An abstract name: TMPDIR may be longer than the address of a socket can be.
        supervisor.bind(f"\0{directory.name}")
        with (directory / _OUTPUT).open("wb") as output:
            daemon = await create_subprocess_exec(
                sys.executable,
                *("-m", "alertd", "run", "--config", str(directory / _CONFIG_NAME)),
                env=environ | {"NOTIFY_SOCKET": f"@{directory.name}"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        ready = asyncio.create_task(_ready(supervisor))
        ended = asyncio.create_task(daemon.wait())
        await asyncio.wait(
            {ready, ended}, timeout=_READY_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        is_ready = ready.done()
        ready.cancel()
        ended.cancel()
        await asyncio.wait({ready, ended})
    if daemon.returncode is not None:
        raise _DemoError(f"alertd ended with exit code {daemon.returncode}")
    if not is_ready:
        daemon.kill()
        await daemon.wait()
        raise _DemoError(f"alertd was not ready within {_READY_SECONDS:g} s")
    return daemon


async def _ready(supervisor: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while b"READY=1" not in (await loop.sock_recv(supervisor, 4096)).split(b"\n"):
        pass


async def _nothing_pending(directory: Path) -> None:
    """Wait until every alert that was raised has been mailed: also one that nobody expects."""
    deadline = time.monotonic() + _MAIL_SECONDS
    pending = 1
    while pending:
        if time.monotonic() > deadline:
            raise _DemoError(f"{pending} mails were not sent within {_MAIL_SECONDS:g} s")
        try:
            status = await asyncio.to_thread(request, directory / "state", "status")
        except ControlError as error:
            raise _DemoError(str(error)) from error
        pending = cast("dict[str, int]", status["outbox"])["pending"]
        await asyncio.sleep(_POLL_SECONDS)


async def _stop(daemon: Process) -> None:
    daemon.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await daemon.wait()
    except TimeoutError:
        raise _DemoError(f"alertd did not stop within {_STOP_SECONDS:g} s") from None
    if daemon.returncode:
        raise _DemoError(f"alertd ended with exit code {daemon.returncode}")


async def _write_log(console: Console, log_file: Path, mailbox: _Mailbox, pace: float) -> None:
    """Append the story's lines one by one, and show the mails that two of them cause."""
    # The latest turn of a minute after which the whole story lies in the past.
    turn = (time.time() - _STORY[-1].seconds - 1) // 60 * 60
    console.print(Text(" " * _MARGIN + _HEADER.rstrip(), style="dim"))
    previous, fatal = _STORY[0].seconds, 0
    for event in _STORY:
        if previous < 0 < event.seconds:
            console.print(Text(f"{' the minute turns ':─^{_WIDTH}}", style="yellow"))
        previous = event.seconds
        fatal += event.is_fatal
        line = event.line(turn)
        with log_file.open("a") as file:
            file.write(line)
        appended = time.perf_counter()
        number = f"{fatal}." if event.is_fatal else ""
        style = "red" if event.is_fatal else "dim"
        console.print(Text(f"{number:>{_MARGIN - 1}} {line.rstrip()}", style=style))
        if event.alerts is not None:
            try:
                mail = await mailbox.arrival()
            except TimeoutError:
                raise _DemoError(f"no mail within {_MAIL_SECONDS:g} s of this line") from None
            if mail.arrived < appended:
                raise _DemoError(f"the mail of rule {mail.rule} came before its time")
            console.print(_shown(mail, after=mail.arrived - appended))
        await asyncio.sleep(pace)


def _shown(mail: _Mail, *, after: float) -> Panel:
    headers = Text()
    for name in ("From", "To", "Subject", "Date", "Message-ID", "X-Alertd-Rule"):
        headers.append(f"{name}: ", style="dim")
        headers.append(f"{mail.message[name]}\n", style="bold" if name == "Subject" else "")
    body = mail.message.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return Panel(
        Group(headers, Text(text.rstrip())),
        title=f"a mail, {after * 1000:.0f} ms after the line was appended",
        border_style="green",
    )


def _judge(mails: list[_Mail]) -> None:
    """Refuse all but the expected mails, which came when and because they were expected."""
    expected = [(event.alerts, event.recipient) for event in _STORY if event.alerts is not None]
    arrived = [(mail.rule, ", ".join(mail.recipients)) for mail in mails]
    if expected != arrived:
        raise _DemoError(f"expected the mails {expected}, but got {arrived}")


def _summary() -> Text:
    before = sum(event.is_fatal for event in _STORY if event.seconds < 0)
    after = sum(event.is_fatal for event in _STORY if 0 < event.seconds < _MINUTE)
    return Text.assemble(
        "\nCounted minute by minute there were ",
        (f"{before} and then {after}", "bold"),
        " fatal errors, neither of them more than 10:\nno alert. alertd counts over a minute that "
        "slides with every line, saw ",
        (f"{before + after} within a minute", "bold"),
        ",\nand sent exactly one mail about it; and one about the app that had 11 within an hour.",
    )
