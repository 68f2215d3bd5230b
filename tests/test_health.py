"""What makes alertd blind is an alert too: found, told to the administrator, and not too often."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from living import Mailbox, alertd, append, text_of
from notices import notice as some_notice
from smtpx import ScriptedServer, reply

from alertd.config import ConfigError, load
from alertd.core.complaints import Complaints
from alertd.core.pipeline import Pipeline
from alertd.core.rules import Condition, Conjunction, Pattern, Rule, Source
from alertd.health import Health, Jump
from alertd.matchers import compile_matchers
from alertd.state import Change, Copy, Frozen, Judged, State
from alertd.tail import Tailer
from alertd.tail.siblings import open_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from living import Alertd

    from alertd.core.events import Notice
    from alertd.tail.content import Content

ADMIN, BOB = "admin@example.com", "bob@example.com"
RULE = Rule("app", ("app",), (Pattern("ERROR"),), 0, 60.0, 0.0, (ADMIN,))


@dataclass
class Mailboxes:
    """A delivery that only remembers."""

    failures: int = 0
    woken: int = 0
    announced: list[Notice] = field(default_factory=list)

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    async def announce(self, notice: Notice) -> bool:
        """Keep."""
        self.announced.append(notice)
        return True


@dataclass
class Bench:
    """A health with real files and a real state, and a clock that only the test moves."""

    directory: Path
    state: State
    tailer: Tailer
    pipeline: Pipeline
    mailboxes: Mailboxes
    health: Health = field(init=False)
    passed: float = 0.0
    is_stuck: bool = False
    is_unstuck: bool = False
    told: list[str] = field(default_factory=lambda: [ADMIN])

    async def after(self, seconds: float) -> list[tuple[str, str]]:
        """Let time pass; return what has been said since: rule and what happened."""
        before = len(await self.state.outbox.queued())
        self.passed += seconds
        await self.tailer.scan()
        for file in self.tailer.readable():
            is_stuck = self.is_stuck or ("stuck" in file.path and not self.is_unstuck)
            if not is_stuck and (batch := await self.tailer.read(file)) is not None:
                now = 1_000_000.0 + self.passed
                matched = self.pipeline.take(batch, file.framing, now=now)
                self.pipeline.release(now)
                self.tailer.consume(file, batch, matched.consumed)
        await self.health.look()
        self.passed += 1.0
        await self.health.look()
        queued = await self.state.outbox.queued()
        notices = await self.state.outbox.notices([each.number for each in queued[before:]])
        return [(notice.alert.rule, notice.alert.line) for notice in notices]


@asynccontextmanager
async def bench(
    tmp_path: Path, *globs: str, rule: Rule = RULE, **settings: Any
) -> AsyncIterator[Bench]:
    state = await State.open(tmp_path / "state")
    loaded = await state.load()
    logs = tmp_path / "logs"
    logs.mkdir(exist_ok=True)
    if not globs:
        (logs / "quiet.log").touch()
    source = Source(
        "app",
        tuple(f"{logs}/{glob}" for glob in globs or ("*.log",)),
        UTC,
        **{"start_at": "beginning", **settings},
    )
    tailer = Tailer([source], [])
    pipeline = Pipeline([source], [rule], compile_matchers([source], [rule]))
    mailboxes = Mailboxes()
    subject = Bench(logs, state, tailer, pipeline, mailboxes)
    subject.health = Health(
        Complaints(loaded.complaints),
        state=state,
        tailer=tailer,
        delivery=mailboxes,
        pipeline=lambda: pipeline,
        administrators=lambda: subject.told,
        clock=lambda: 1_000_000.0 + subject.passed,
        monotonic=lambda: subject.passed,
    )
    try:
        await tailer.open()
        yield subject
    finally:
        await tailer.close()
        await state.close()


def with_bench(
    tmp_path: Path,
    work: Callable[[Bench], object],
    *globs: str,
    rule: Rule = RULE,
    **settings: Any,
) -> None:
    async def run() -> None:
        async with bench(tmp_path, *globs, rule=rule, **settings) as place:
            await work(place)  # type: ignore[misc]

    asyncio.run(run())


def test_a_glob_that_matches_nothing_is_said_after_a_while(tmp_path: Path) -> None:
    """Five minutes are for programs that start late; it is said again a day later."""

    async def work(bench: Bench) -> None:
        append(bench.directory / "a.log", "x")
        quiet = await bench.after(0) + await bench.after(297)
        said = await bench.after(2)
        again = [await bench.after(3600) for _ in range(24)]

        assert [] == quiet
        assert [("alertd/nothing-to-watch", f"{bench.directory}/b*.log matches nothing")] == said
        assert said == again[-1]
        assert [] == [one for more in again[:-1] for one in more]
        assert bench.mailboxes.woken == 2

    with_bench(tmp_path, work, "a.log", "b*.log")


def test_a_glob_that_matches_in_time_is_not_worth_a_mail(tmp_path: Path) -> None:
    """Nor is one that comes and goes."""

    async def work(bench: Bench) -> None:
        log = bench.directory / "a.log"
        said = await bench.after(290)
        append(log, "x")
        said += await bench.after(1)
        log.unlink()
        said += await bench.after(1)
        said += await bench.after(290)

        assert [] == said

    with_bench(tmp_path, work, "a.log")


def test_what_is_no_regular_file_is_said(tmp_path: Path) -> None:
    """R27: a lasting problem of the tailer, with its remedy."""

    async def work(bench: Bench) -> None:
        os.mkfifo(bench.directory / "pipe.log")
        [(rule, line)] = await bench.after(1)

        assert "alertd/not-a-file" == rule
        assert "pipe.log: not a regular file" in line
        assert [] == await bench.after(7200)

    with_bench(tmp_path, work)


def test_a_file_that_may_not_be_read_is_said_with_its_remedy(tmp_path: Path) -> None:
    """R24: what the kernel says, as the tailer hears it (root may read everything)."""

    async def work(bench: Bench) -> None:
        path = f"{bench.directory}/a.log"
        refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        bench.tailer._troubles.cannot_read("app", path, refused)
        [(rule, line)] = await bench.after(1)
        [queued] = await bench.state.outbox.queued()
        [notice] = await bench.state.outbox.notices([queued.number])

        assert "alertd/permission-denied" == rule
        assert f"{path}: Permission denied" in line
        assert "group" in notice.description

    with_bench(tmp_path, work)


def test_s11_a_symlink_that_a_stranger_made_is_not_followed(tmp_path: Path) -> None:
    """Whoever may write in a log directory must not have alertd mail what he may not read."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a symlink somebody else's")
    secret = tmp_path / "shadow"
    secret.write_text("root:ERROR\n")

    async def work(bench: Bench) -> None:
        theirs, ours = bench.directory / "theirs.log", bench.directory / "ours.log"
        theirs.symlink_to(secret)
        os.lchown(theirs, 65534, 65534)
        said = await bench.after(1)
        followed = [file.path for file in bench.tailer.files()]
        ours.symlink_to(secret)
        await bench.after(1)

        assert ["alertd/symlink-refused"] == [rule for rule, _ in said]
        assert [] == [path for path in followed if "quiet" not in path]
        assert str(ours) in [file.path for file in bench.tailer.files()]

    with_bench(tmp_path, work)


@pytest.mark.parametrize("name", ["app.log", "app.log.1"])
def test_s11_a_file_that_becomes_a_symlink_before_it_is_opened_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Between the look at a directory and the opening of what lies there its writer may act."""
    secret = tmp_path / "shadow"
    secret.write_text("root:ERROR\n")
    opened: list[str] = []

    def swapped(paths: list[str], **how: bool) -> list[Content | OSError | None]:
        for path in paths:
            if path.endswith(f"/{name}"):
                opened.append(path)
                os.unlink(path)  # noqa: PTH108 - str paths throughout
                os.symlink(secret, path)  # noqa: PTH211
        return open_all(paths, **how)

    monkeypatch.setattr("alertd.tail.newcomers.open_all", swapped)
    monkeypatch.setattr("alertd.tail.unseen.open_all", swapped)

    async def work(bench: Bench) -> None:
        log = bench.directory / "app.log"
        if name == "app.log.1":
            append(log, "one")
            await bench.after(1)
            # A second generation that came and went between two looks, to be read as a whole.
            log.rename(bench.directory / "app.log.2")
            append(bench.directory / "app.log.1", "two")
        append(log, "three")
        await bench.after(1)
        followed = [file.size for file in bench.tailer.files()]

        assert [f"{bench.directory}/{name}"] == opened[:1]
        assert secret.stat().st_size not in followed

    with_bench(tmp_path, work, "app.log")


def test_lines_lost_in_a_truncation_are_said_with_their_number(tmp_path: Path) -> None:
    """R9: up to so many bytes, and how to rotate without losing any."""

    async def work(bench: Bench) -> None:
        log = bench.directory / "a.log"
        append(log, "read")
        await bench.after(1)
        bench.is_stuck = True
        append(log, "x" * 99)
        await bench.after(1)
        log.write_bytes(b"")
        [(rule, line)] = await bench.after(1)

        assert "alertd/lines-lost" == rule
        assert "up to 100 bytes lost" in line

    with_bench(tmp_path, work)


def test_a_source_that_falls_behind_is_said(tmp_path: Path) -> None:
    """Bytes that have waited for more than five minutes; one that merely is busy never has."""

    async def work(bench: Bench) -> None:
        busy, stuck = bench.directory / "busy.log", bench.directory / "stuck.log"
        append(busy, "x")
        append(stuck, "x")
        said, lags = [], []
        for _ in range(11):
            append(busy, "x")
            said += await bench.after(30)
            lags.append(bench.health.lag())

        assert [
            (
                "alertd/falls-behind",
                f"{stuck}: bytes have waited for more than 5 minutes to be read",
            )
        ] == said
        assert [1.0 + 31 * number for number in range(11)] == [lag["app"] for lag in lags]
        bench.is_unstuck = True
        await bench.after(30)
        assert {} == bench.health.lag()

    with_bench(tmp_path, work)


def test_a_jump_is_far_more_than_usual() -> None:
    """A few are a matter of course, and so are many that have always been there."""
    jump = Jump(100)

    assert [0, 0, 0, 200, 0] == [jump.see(number) for number in (5, 10, 60, 260, 300)]


def test_lines_that_cannot_be_parsed_are_said_when_they_jump(tmp_path: Path) -> None:
    """Real lines of a program that has begun to write something else; a few are no news."""
    rule = replace(RULE, match=(Conjunction((Condition("level", "equals", "error"),)),))

    async def work(bench: Bench) -> None:
        log = bench.directory / "a.log"
        append(log, *['{"level": "error", "text": "fine"}'] * 500, *['{"level": "error"'] * 99)
        said = await bench.after(60)
        append(log, *['level="error" text="changed"'] * 150)
        said += await bench.after(60)
        again = await bench.after(3700)

        assert [
            ("alertd/unparsable-lines", "150 lines within a minute could not be parsed")
        ] == said
        assert [] == again

    with_bench(tmp_path, work, rule=rule, format="json", timestamp="none")


def test_t5_lines_from_the_future_are_said(tmp_path: Path) -> None:
    """T5: brought back to the time of reading, and somebody asks whether the zone is right."""

    async def work(bench: Bench) -> None:
        log = bench.directory / "a.log"
        ahead = datetime.fromtimestamp(1_000_000.0 + 365 * 86_400, UTC).isoformat()
        append(log, *[f"{ahead} ERROR"] * 12)
        said = await bench.after(60)
        [queued] = await bench.state.outbox.queued()
        [notice] = await bench.state.outbox.notices([queued.number])

        assert [("alertd/clock-skew", "12 lines within a minute were later than now")] == said
        assert "timezone" in notice.description

    with_bench(tmp_path, work)


def test_g5_a_regex_that_was_stopped_is_said(tmp_path: Path) -> None:
    """G5: the timer ends it on a hostile line; the line after it is judged as ever."""
    rule = replace(RULE, match=(Pattern(r"ERROR (\w+\s?)+$"),))

    async def work(bench: Bench) -> None:
        append(bench.directory / "a.log", "ERROR " + "a" * 60 + "!", "ERROR fine")
        said = await bench.after(1)

        assert [("alertd/undecided-lines", "a regex was stopped")] == said
        assert 1 == bench.pipeline.counters.undecided
        assert {"app": 1} == bench.pipeline.engine.keys()
        assert [] == await bench.after(7200)

    with_bench(tmp_path, work, rule=rule)


def test_f2_keys_that_were_forgotten_are_said(tmp_path: Path) -> None:
    """F2: a flood of keys is told once, with the number of those that had to go."""
    rule = replace(
        RULE, match=(Pattern(r"ERROR (?P<key>\d+)"),), group_by=("key",), max_keys=10, more_than=5
    )

    async def work(bench: Bench) -> None:
        await bench.after(1)
        append(bench.directory / "a.log", *(f"ERROR {number}" for number in range(50)))
        said = await bench.after(1)
        queued = (await bench.state.outbox.queued())[-1]
        [notice] = await bench.state.outbox.notices([queued.number])

        assert ["alertd/keys-forgotten"] == [rule for rule, _ in said]
        assert 40 == notice.alert.count

    with_bench(tmp_path, work, rule=rule)


@pytest.mark.parametrize("told", [[ADMIN], [BOB, ADMIN], [BOB]])
def test_m12_a_mailbox_that_refuses_is_said_to_others(tmp_path: Path, told: list[str]) -> None:
    """Never to that mailbox itself; with nobody else the log and the outbox must do."""

    async def work(bench: Bench) -> None:
        bench.told = told
        await bench.state.commit(Change(notices=[some_notice(1, recipients=(BOB,))]))
        frozen = Frozen("<x@y>", b"mail", "alert", (1,), (BOB,), 1.0)
        refused = Copy(BOB, status="failed", detail="550 no such user")
        await bench.state.outbox.write([frozen, Judged("<x@y>", (refused,), 2.0)])
        bench.mailboxes.failures += 1
        said = await bench.after(1)
        queued = await bench.state.outbox.queued()
        bench.mailboxes.failures += 1
        again = await bench.after(7200)

        if told == [BOB]:
            assert ([], []) == (said, queued)
        else:
            assert [("alertd/mailbox-refuses", "550 no such user (<x@y>)")] == said
            assert [(ADMIN,)] == [each.addresses for each in queued]
        assert [] == again

    with_bench(tmp_path, work)


def test_c8_a_state_that_cannot_be_written_is_announced_and_then_said(tmp_path: Path) -> None:
    """While it lasts one mail goes out that is kept nowhere; afterwards it is said for good."""

    async def work(bench: Bench) -> None:
        bench.health.state_is_unwritable("database or disk is full")
        await bench.after(50)
        assert [] == bench.mailboxes.announced
        bench.health.state_is_unwritable("database or disk is full")
        await bench.after(10)
        await bench.after(600)
        bench.health.state_is_unwritable(None)
        [(rule, line)] = await bench.after(1)

        [announced] = bench.mailboxes.announced
        assert "alertd/state-unwritable" == announced.alert.rule == rule
        assert "database or disk is full" == announced.alert.line
        assert "paused for 663 seconds" in line

    with_bench(tmp_path, work)


def test_what_cannot_be_written_now_is_said_later(tmp_path: Path) -> None:
    """A full disk swallows no complaint."""

    async def work(bench: Bench) -> None:
        os.mkfifo(bench.directory / "pipe.log")
        with sqlite3.connect(tmp_path / "state" / "state.db", isolation_level=None) as other:
            connection = bench.state._database._connection
            assert connection is not None
            connection.execute("PRAGMA busy_timeout = 1")
            other.execute("BEGIN IMMEDIATE")
            assert [] == await bench.after(1)
            other.execute("ROLLBACK")
        other.close()
        said = await bench.after(1)

        assert ["alertd/not-a-file"] == [rule for rule, _ in said]

    with_bench(tmp_path, work)


# Live: a real daemon, and what comes by mail.


SETTINGS = """
[source.app]
paths = ["{logs}/*.log"]
start_at = "beginning"

[rule.every]
match = 'ERROR'
more_than = 0
within = "1s"
cooldown = "0s"
recipients = ["{told}"]
"""


@pytest.fixture
def daemon(tmp_path: Path, logs: Path, box: Mailbox) -> Iterator[Alertd]:
    """A daemon that mails about every error, to somebody who is not the administrator."""
    settings = SETTINGS.format(logs=logs, told="dev@example.com")
    with alertd(tmp_path, settings, box.port) as daemon:
        yield daemon


def test_c4_a_lost_state_is_said_by_mail_with_what_was_skipped(
    daemon: Alertd, box: Mailbox, logs: Path
) -> None:
    """To the administrator, whoever the rules tell; also after a kill -9 right at the start."""
    log = logs / "a.log"
    daemon.configure(
        SETTINGS.format(logs=logs, told="dev@example.com").replace('"beginning"', '"end"')
    )
    append(log, "fine", "fine")
    daemon.start()
    daemon.wait_until_read(log)
    daemon.kill()
    (daemon.state / "state.db").write_bytes(b"\0" * 4096)
    daemon.start()
    daemon.kill()
    daemon.start()

    [mail] = box.wait_for(1)
    daemon.wait_until("mailed", lambda status: status["outbox"]["pending"] == 0)
    assert "alertd/state-lost: what it remembered is lost" in str(mail["Subject"])
    assert f"{log}: bytes 0 to 10 skipped" in text_of(mail)
    assert [["ops@example.com"]] == box.recipients
    assert 1 == len({mail["Message-ID"] for mail in box.mails})
    assert 1 == len(list(daemon.state.glob("state.db.corrupt-*Z")))


def test_c14_a_state_that_is_removed_ends_an_idle_daemon(daemon: Alertd, logs: Path) -> None:
    """Nothing happens in the log, and it notices all the same; a supervisor starts it anew."""
    append(logs / "a.log", "fine")
    daemon.start()
    shutil.rmtree(daemon.state)
    assert daemon._process is not None

    assert os.EX_IOERR == daemon._process.wait(timeout=20)
    assert "state removed while in use" in daemon.log


def test_f11_its_own_output_is_not_watched(
    daemon: Alertd, box: Mailbox, tmp_path: Path, logs: Path
) -> None:
    """Neither the file that its log goes to nor what lies in its state directory."""
    settings = SETTINGS.format(logs=logs, told="dev@example.com")
    globs = f'paths = ["{logs}/*.log", "{tmp_path}/*.log", "{tmp_path}/state/*"]'
    daemon.configure(settings.replace(f'paths = ["{logs}/*.log"]', globs).replace("ERROR", "."))
    log = logs / "a.log"
    append(log, "one")
    daemon.start()
    status = daemon.wait_until_read(log)
    box.wait_for(1)

    files = [file["path"] for file in status["sources"]["app"]["files"]]
    assert [str(log)] == files
    refused = {p["detail"] for p in status["problems"] if p["kind"] == "would watch own output"}
    assert any(detail.startswith(f"{tmp_path}/alertd.log:") for detail in refused)
    assert any(detail.startswith(f"{daemon.state}/state.db:") for detail in refused)
    assert 1 == len(box.mails)
    checked = subprocess.run(
        [sys.executable, "-m", "alertd", "check", "-c", str(daemon.config)],
        capture_output=True,
        text=True,
        check=True,
    )
    warned = re.findall(r"warning: source app: would watch own output: (\S+),", checked.stdout)
    assert {f"{tmp_path}/alertd.log", f"{daemon.state}/state.db"} <= set(warned)
    assert str(log) not in warned


def test_a_mail_loop_through_a_system_log_and_a_mail_log_cannot_happen(
    daemon: Alertd, box: Mailbox, logs: Path
) -> None:
    """What alertd logs and what the mail server logs about its mails rings no more."""
    log = logs / "a.log"
    append(log, "ERROR one")
    daemon.start()
    [mail] = box.wait_for(1)
    stamp = "2026-03-01T12:00:00+00:00 mx"
    append(
        log,
        f"{stamp} alertd[{daemon.pid}]: ERROR delivery failing",
        f"{stamp} postfix/cleanup[1]: ERROR message-id={mail['Message-ID']}",
        f"{stamp} sshd[1]: ERROR two",
    )
    status = daemon.wait_until_read(log)
    box.wait_for(2)

    assert 2 == status["own_lines"]
    assert 2 == len(box.mails)
    assert "ERROR two" in text_of(box.mails[1]).replace("»", "").replace("«", "")


def test_m12_m13_a_refused_mail_is_said_listed_retried_and_dropped(
    tmp_path: Path, logs: Path
) -> None:
    """`alertd outbox` is for people and for programs; the daemon does what it is asked."""

    async def run() -> None:
        async with ScriptedServer([("rcpt[0]", reply(550, "no such user"))] * 2) as server:
            settings = SETTINGS.format(logs=logs, told="dev@example.com")
            with alertd(tmp_path, settings, server.port) as daemon:
                await asyncio.to_thread(scenario, daemon, server)

    def scenario(daemon: Alertd, server: ScriptedServer) -> None:
        def outbox(*arguments: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "alertd", "outbox", "-c", str(daemon.config), *arguments],
                capture_output=True,
                text=True,
                check=False,
            )
            codes.append(done.returncode)
            return done.stdout + done.stderr

        codes: list[int] = []
        append(logs / "a.log", "ERROR one", "ERROR two")
        daemon.start()
        daemon.wait_until(
            "both refused, and said",
            lambda status: status["outbox"]["failed"] == 2 and len(server.copies) == 1,
        )
        assert ("ops@example.com",) == server.copies[0].recipients
        assert b"mailbox-refuses" in server.copies[0].payload
        listed = json.loads(outbox("--json"))
        first, second = (entry["id"] for entry in listed["entries"])
        shown = outbox()
        assert "nothing undelivered is called nobody" in outbox("--retry", "nobody")
        retried = outbox("--retry", first.strip("<>").partition("@")[0])
        daemon.wait_until("arrived", lambda status: status["outbox"]["failed"] == 1)
        assert "1 undelivered: given up" in outbox("--drop", second)

        assert [0, 0, os.EX_DATAERR, 0, 0] == codes
        assert 2 == listed["failed"] == len(listed["entries"])
        for text in (first, second, "dev@example.com", "550", "no such user", "failed for good"):
            assert text in shown
        assert "1 undelivered: tried again" in retried
        assert "everything has been delivered" in outbox()
        assert ("dev@example.com",) == server.copies[1].recipients
        assert first.encode() in server.copies[1].payload
        assert 2 == len(server.copies)

    asyncio.run(run())


def test_a_status_for_people_says_all_of_it(tmp_path: Path, logs: Path, box: Mailbox) -> None:
    """Files, rules, own lines, what waits to share a mail, and the last alerts."""
    settings = SETTINGS.format(logs=logs, told="dev@example.com")
    email = 'max_per_hour = 1\njoin_older_than = "0s"'
    with alertd(tmp_path, settings, box.port, email) as daemon:
        log = logs / "a.log"
        append(log, "ERROR one", "ERROR two", "ERROR three")
        append(log, "2026-03-01T12:00:00+00:00 mx alertd[1]: ERROR own")
        os.mkfifo(logs / "pipe.log")
        daemon.start()
        box.wait_for(1)
        daemon.wait_until("held", lambda status: status["outbox"]["held"] == 2)
        done = subprocess.run(
            [sys.executable, "-m", "alertd", "status", "-c", str(daemon.config)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert (0, "") == (done.returncode, done.stderr)
    for said in (
        f"pid {daemon.pid}, {daemon.config}",
        f"PROBLEM: {logs}/pipe.log: not a regular file",
        "source app: 1 file\n",
        f"  {log}  at its end",
        "rule every: remembers 1 key\n",
        "1 line of alertd's own left out",
        "2 of them wait to share a mail",
        "last alerts:",
    ):
        assert said in done.stdout


def test_no_rule_can_have_the_name_of_an_alert_of_ours(tmp_path: Path) -> None:
    """The slash keeps them apart, also for those who sort their mail by X-Alertd-Rule."""
    config = tmp_path / "alertd.toml"
    config.write_text(
        '[email]\nhost = "h"\nsender = "a@b.c"\nrecipients = ["a@b.c"]\n'
        '[source.app]\npaths = ["/x"]\n'
        '[rule."alertd/state-lost"]\nmatch = "x"\nmore_than = 1\nwithin = "1m"\n'
    )
    with pytest.raises(ConfigError, match="cannot be a name"):
        load(config, {})
