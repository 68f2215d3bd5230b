"""Torture, security: the password of the mail login goes to the mail server and nowhere else."""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from living import EACH_ERROR, WITHIN, Alertd, alertd, append
from smtpx import ScriptedServer, reply

from alertd.cli import main

CANARY = "canary-9d1f7c"
SPELLINGS = (
    CANARY,
    base64.b64encode(CANARY.encode()).decode(),
    base64.b64encode(f"\0robin\0{CANARY}".encode()).decode(),
)
ECHO = " ".join(SPELLINGS)
"""What a server says that repeats all that it was told."""


class Place:
    """A daemon that logs in with the canary, and everything that anybody gets to see of it."""

    def __init__(self, daemon: Alertd, server: ScriptedServer) -> None:
        self.daemon = daemon
        self.server = server
        self.seen: dict[str, bytes] = {}

    def alertd(self, *arguments: str) -> int:
        """Run a command, and keep what it says."""
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            code = main([*arguments, "--config", str(self.daemon.config)])
        self.seen[" ".join(arguments)] = said.getvalue().encode()
        return code

    def fail(self, phase: str, code: int, number: int) -> None:
        """Raise an alert while the server refuses somewhere, and wait until that is known."""
        self.server.then((phase, reply(code, ECHO)))
        append(self.daemon.directory / "logs" / "app.log", f"ERROR {number}")
        status = self.daemon.wait_until(
            f"{phase} refused",
            lambda status: f"{code} ***" in (status["outbox"]["last_error"] or ""),
        )
        self.seen[f"status after {phase}"] = repr(status).encode()
        self.alertd("status")
        self.alertd("outbox")
        self.alertd("outbox", "--retry", "all")
        self.daemon.wait_until("told", lambda status: status["outbox"]["pending"] == 0)

    def look_around(self) -> None:
        """Keep what lies on the disk, what was mailed, and the process's arguments."""
        for path in self.daemon.state.rglob("*"):
            if path.is_file():
                self.seen[str(path)] = path.read_bytes()
        self.seen["mails"] = b"".join(copy.payload for copy in self.server.copies)
        self.seen["arguments"] = Path(f"/proc/{self.daemon.pid}/cmdline").read_bytes()
        self.seen["log"] = self.daemon.log.encode()


def given(way: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the password in one of the ways in which that can be done."""
    match way:
        case "file":
            (directory / "password").write_text(CANARY)
            (directory / "password").chmod(0o600)
            return f'password_file = "{directory}/password"'
        case "environment":
            monkeypatch.setenv("ALERTD_EMAIL__PASSWORD", CANARY)
            return ""
        case _:
            return f'password = "{CANARY}"'


@pytest.fixture(params=["inline", "file", "environment"])
def email(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lines for ``[email]``."""
    return f'username = "robin"\n{given(request.param, tmp_path, monkeypatch)}'


def test_s7_the_password_is_seen_by_the_mail_server_alone(
    tmp_path: Path, logs: Path, email: str
) -> None:
    """At the level DEBUG, through every way to fail, and with a server that repeats it."""

    async def run() -> None:
        async with ScriptedServer() as server:
            settings = '[log]\nlevel = "debug"\n' + EACH_ERROR.format(logs=logs)
            with alertd(tmp_path, settings, server.port, email) as daemon:
                daemon.config.chmod(0o600)
                await asyncio.to_thread(scenario, Place(daemon, server))

    def scenario(place: Place) -> None:
        daemon, server = place.daemon, place.server
        daemon.start()
        for number, (phase, code) in enumerate(
            [("auth", 535), ("auth", 454), ("mail", 451), ("rcpt[0]", 451), ("dot", 452)]
        ):
            # Each begins with a connection of its own, and with its login.
            server.then(("rset", reply(421, ECHO)))
            place.fail(phase, code, number)
        place.look_around()
        server.then(("auth", reply(535, ECHO)))
        codes = [place.alertd("send-test"), place.alertd("check"), place.alertd("reload")]
        good = daemon.config.read_text()
        daemon.config.write_text(f"{good}\n[email.more]\nx = 1\n")
        codes += [place.alertd("check"), place.alertd("reload")]
        daemon.config.write_text(good)
        shutil.rmtree(daemon.state)
        assert daemon._process is not None
        daemon._process.wait(WITHIN)
        place.seen["log at the end"] = daemon.log.encode()

        assert [bool(code) for code in codes] == [True, False, False, True, True]
        assert ("robin", CANARY) in [pair for one in server.sessions for pair in one.credentials]
        assert len(server.copies) == 5
        assert b"***" in place.seen["log"]
        assert b"***" in place.seen["send-test"]
        assert any("state.db" in name for name in place.seen)
        assert [] == [
            name
            for name, content in place.seen.items()
            if any(spelling.encode() in content for spelling in SPELLINGS)
        ]

    asyncio.run(run())
