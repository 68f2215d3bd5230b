"""
A real alertd in a process of its own, and a real mail server that keeps what it sends.

Nothing here waits for a length of time: it waits for something to be so, with a deadline.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from aiosmtpd.controller import Controller

import alertd as alertd_package
from alertd.control import ControlError, request
from alertd.state.database import unseal
from alertd.tail import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from email.message import EmailMessage

    from aiosmtpd.smtp import SMTP, Envelope, Session

CODE = str(Path(alertd_package.__file__).parents[1])

WITHIN = 20.0
"""Seconds after which a test gives up waiting."""


EACH_ERROR = """
[source.app]
paths = ["{logs}/*.log"]
start_at = "beginning"
timestamp = "none"

[rule.error]
match = 'ERROR (?P<number>\\d+)'
group_by = "number"
more_than = 0
within = "1s"
"""
"""Settings under which every error raises an alert of its own; ``logs`` is to be filled in."""


class _AnyPort(Controller):
    """A server on a port that the kernel chooses, which aiosmtpd's own cannot know."""

    @property
    def listens_on(self) -> int:
        """The port."""
        assert isinstance(self.server, asyncio.Server)
        port: int = self.server.sockets[0].getsockname()[1]
        return port

    def _trigger_server(self) -> None:
        with socket.create_connection(("127.0.0.1", self.listens_on)) as connection:
            connection.recv(1024)


class Mailbox:
    """
    A mail server on a loopback port that takes everything.

    Attributes:
        mails: What came, in order.
        recipients: To whom each of them came.
        bytes: What each of them was on the wire.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.bytes: list[bytes] = []
        self._came = threading.Condition()
        self._stopped_at = 0
        self._controller = _AnyPort(self, hostname="127.0.0.1", port=0)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._controller.listens_on

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        self._stopped_at = self.port
        self._controller.stop()

    def start_again(self) -> None:
        """Listen on the same port as before ``stop``."""
        self._controller = _AnyPort(self, hostname="127.0.0.1", port=self._stopped_at)
        self._controller.start()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        del server, session
        content = envelope.original_content
        assert content is not None
        with self._came:
            self.bytes.append(content)
            self.mails.append(email.message_from_bytes(content, policy=email.policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
            self._came.notify_all()
        return "250 OK"

    def wait_for(self, count: int, within: float = WITHIN) -> list[EmailMessage]:
        """Return the mails, once there are so many."""
        with self._came:
            came = self._came.wait_for(lambda: len(self.mails) >= count, timeout=within)
            assert came, f"{len(self.mails)} mails came instead of {count}"
            return list(self.mails)

    def alerts(self) -> set[str]:
        """Return the ids of all alerts that are in some mail."""
        return {
            line.split()[-1]
            for mail in self.mails
            for line in text_of(mail).splitlines()
            if line.startswith("alert ")
        }

    def resolutions(self) -> dict[str, str]:
        """Return the ids of all resolutions that came in mails of their own, by alert."""
        return {
            str(mail["X-Alertd-Resolves"]): str(mail["Message-ID"])[1:].partition("@")[0]
            for mail in self.mails
            if mail["X-Alertd-Resolves"]
        }


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run a mail server."""
    box = Mailbox()
    box.start()
    try:
        yield box
    finally:
        box.stop()


class Alertd:
    """
    One daemon process after another with the same configuration.

    Args:
        directory: Where its configuration, state and log lie.
        settings: The configuration without ``[email]`` and ``[state]``.
        port: Of the mail server.
        email: More lines for ``[email]``.
    """

    def __init__(self, directory: Path, settings: str, port: int, email: str = "") -> None:
        self.directory = directory
        self.state = directory / "state"
        self.config = directory / "alertd.toml"
        self._port = port
        self._email = email
        self._notified = directory / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._notified))
        self._log = (directory / "alertd.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(settings)

    def configure(self, settings: str) -> None:
        """Write a configuration; a daemon that runs does not know yet."""
        self.config.write_text(
            f"""
[email]
host = "127.0.0.1"
port = {self._port}
security = "none"
sender = "alertd <alerts@example.com>"
recipients = ["ops@example.com"]
{self._email}
[state]
directory = "{self.state}"
{settings}
"""
        )

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the daemon has logged."""
        return (self.directory / "alertd.log").read_text()

    @property
    def last_words(self) -> str:
        """The end of what the daemon has logged."""
        return self.log[-3000:]

    def start(self, *, wait: bool = True, program: Sequence[str | Path] = ("-m", "alertd")) -> None:
        """
        Start a daemon.

        Args:
            wait: Until it says that it is ready.
            program: What Python is to run.
        """
        self._forget_notifications()
        self._process = subprocess.Popen(
            [sys.executable, *program, "run", "--config", str(self.config)],
            # The code that the test itself uses, wherever that lies and whatever is installed.
            env=_environment(NOTIFY_SOCKET=str(self._notified), PYTHONPATH=CODE),
            cwd=self.directory,
            stdout=self._log,
            stderr=self._log,
        )
        if wait:
            self.notified("READY=1")

    def _forget_notifications(self) -> None:
        """Make room: what an earlier daemon has said is over, and a full queue takes no more."""
        self._socket.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(4096)

    def notified(self, message: str, within: float = WITHIN) -> None:
        """Wait until the daemon has told systemd something."""
        deadline = time.monotonic() + within
        while True:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                said = self._socket.recv(4096).decode().splitlines()
            except TimeoutError:
                raise AssertionError(f"alertd did not say {message}:\n{self.last_words}") from None
            if message in said:
                return

    def wait(self, within: float = WITHIN) -> int:
        """Return the exit code of a daemon that ends by itself."""
        assert self._process is not None
        return self._process.wait(timeout=within)

    def kill(self) -> None:
        """End the daemon as the kernel does when memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the daemon to end; return its exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=WITHIN)

    def hang_up(self) -> None:
        """Ask for a reload by signal."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def reload(self) -> dict[str, Any]:
        """Ask for a reload over the socket, as ``alertd reload`` does."""
        return request(self.state, "reload", WITHIN)

    def status(self) -> dict[str, Any]:
        """Return the daemon's status."""
        return request(self.state, "status", WITHIN)

    def wait_until(
        self, what: str, holds: Callable[[dict[str, Any]], bool], within: float = WITHIN
    ) -> dict[str, Any]:
        """Return the daemon's status, once something holds of it."""
        deadline = time.monotonic() + within
        status: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                status = self.status()
            except ControlError:
                status = {}
            if status and holds(status):
                return status
            threading.Event().wait(0.01)
        raise AssertionError(f"never so: {what}\n{json.dumps(status)[:3000]}\n{self.last_words}")

    def wait_until_read(self, *paths: Path, within: float = WITHIN) -> dict[str, Any]:
        """Wait until all that these files hold now has been judged and mailed."""
        sizes = {str(path): path.stat().st_size for path in paths}

        def is_read(status: dict[str, Any]) -> bool:
            files = [file for source in status["sources"].values() for file in source["files"]]
            offsets = {file["path"]: file["offset"] for file in files}
            return (
                all(offsets.get(path, -1) >= size for path, size in sizes.items())
                and status["is_caught_up"]
                and status["outbox"]["pending"] == 0
            )

        return self.wait_until(f"{sizes} read", is_read, within)

    def wait_until_committed(self, *paths: Path, within: float = WITHIN) -> None:
        """
        Wait until all that these files hold now has taken effect on the disk.

        What has only been read is done again by whoever starts after a kill.
        """
        sizes = {str(path): path.stat().st_size for path in paths}
        deadline = time.monotonic() + within
        while any(self.committed().get(path, -1) < size for path, size in sizes.items()):
            assert time.monotonic() < deadline, f"{sizes} not committed:\n{self.last_words}"
            threading.Event().wait(0.01)

    def committed(self) -> dict[str, int]:
        """Return how far each file has taken effect on the disk, as a bystander reads it."""
        database = f"file:{self.state / 'state.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            rows = connection.execute("SELECT value FROM file").fetchall()
        files = [msgspec.msgpack.decode(unseal(value), type=StoredFile) for (value,) in rows]
        return {file.path: file.offset for file in files}

    def close(self) -> None:
        """End whatever still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._socket.close()
        self._log.close()


def _environment(**more: str) -> dict[str, str]:
    """Return an environment in which what is compiled once stays so, as where it is installed."""
    return {
        name: value
        for name, value in {**os.environ, **more}.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }


@contextmanager
def alertd(directory: Path, settings: str, port: int, email: str = "") -> Iterator[Alertd]:
    """Have a daemon that is ended when the test is."""
    daemon = Alertd(directory, settings, port, email)
    try:
        yield daemon
    finally:
        daemon.close()


def text_of(mail: EmailMessage) -> str:
    """Return a mail's text part."""
    part = mail.get_body(("plain",))
    assert part is not None
    content: str = part.get_content()
    return content


def append(path: Path, *lines: str) -> None:
    """Append lines to a log, each ended."""
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))
