"""The main job, live: a real daemon, real files, real mails."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from living import Alertd, Mailbox, alertd, append, text_of

from alertd.control import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage
    from pathlib import Path

HEADER = "date,severity,bundle_id,message"
RULES = """
[source.mobile]
paths = ["{logs}/*.csv"]
format = "csv"
timestamp = "date"

[rule.fatal-burst]
match = {{ severity = "Fatal" }}
group_by = "bundle_id"
more_than = 10
within = "1m"
recipients = ["mobile-team@example.com"]
description = "Look at the last release first."
"""

ERRORS = """
[source.app]
paths = ["{logs}/*.log"]

[rule.error]
match = 'ERROR'
more_than = 0
within = "1m"
cooldown = "15m"
"""


@pytest.fixture
def daemon(tmp_path: Path, logs: Path, box: Mailbox) -> Iterator[Alertd]:
    """A daemon with the rule of the mobile application, not started yet."""
    with alertd(tmp_path, RULES.format(logs=logs), box.port) as daemon:
        yield daemon


class Fatal:
    """Writes records of one minute's turn, a while ago."""

    def __init__(self) -> None:
        self._turn = time.time() // 60 * 60 - 60

    def __call__(
        self, second: float, bundle: str = "com.example.shop", severity: str = "Fatal"
    ) -> str:
        """Write a record so many seconds after the turn."""
        when = datetime.fromtimestamp(self._turn + second, UTC).isoformat()
        return f'{when},{severity},{bundle},"Crash, at last"'


@pytest.fixture
def fatal() -> Fatal:
    """A writer of fatal errors."""
    return Fatal()


def shown(mail: EmailMessage) -> str:
    """Return a mail's text without the marks around what matched."""
    return text_of(mail).replace("»", "").replace("«", "")


def by_nothing(path: Path) -> None:
    """Leave the file as it is."""


def by_rename(path: Path) -> None:
    """Rotate as most do: the writer opens a new file."""
    path.rename(path.with_suffix(".csv.1"))
    path.write_text(f"{HEADER}\n")


def by_copytruncate(path: Path) -> None:
    """Rotate for writers that keep their file open."""
    path.with_suffix(".csv.1").write_bytes(path.read_bytes())
    with path.open("r+") as file:
        file.truncate(0)


@pytest.mark.parametrize("rotate", [by_nothing, by_rename, by_copytruncate])
def test_the_eleventh_in_a_minute_rings_once(
    daemon: Alertd, box: Mailbox, logs: Path, rotate: Callable[[Path], None], fatal: Fatal
) -> None:
    """
    Ten fatal errors within a minute, over the turn of a minute, send nothing; the 11th one mail.

    Rotating the file between them changes nothing.
    """
    log = logs / "app.csv"
    append(log, HEADER)
    daemon.start()
    append(log, *(fatal(second) for second in (-30, -25, -20, -15, -10)))
    daemon.wait_until_read(log)
    rotate(log)
    append(log, fatal(1, severity="Error"), *(fatal(second) for second in (2, 4, 6, 8, 10)))
    append(log, *(fatal(second, "com.example.maps") for second in range(10)))
    daemon.wait_until_read(log)
    assert [] == box.mails

    append(log, fatal(12))
    [mail] = box.wait_for(1)
    append(log, *(fatal(second) for second in (14, 16, 18)))
    daemon.wait_until_read(log)

    assert 1 == len(box.mails)
    assert [["mobile-team@example.com"]] == box.recipients
    assert str(mail["Subject"]).startswith("fatal-burst")
    assert "com.example.shop" in str(mail["Subject"])
    assert "fatal-burst" == mail["X-Alertd-Rule"]
    text = shown(mail)
    assert "11 events" in text
    assert "Look at the last release first." in text
    assert fatal(-30) in text
    assert fatal(12) in text


def test_a_restart_is_invisible(daemon: Alertd, box: Mailbox, logs: Path, fatal: Fatal) -> None:
    """Torture C17, C18: six before a kill -9 and five after are eleven; the cooldown holds too."""
    log = logs / "app.csv"
    append(log, HEADER)
    daemon.start()
    append(log, *(fatal(second) for second in range(6)))
    daemon.wait_until_committed(log)
    daemon.kill()
    append(log, *(fatal(second) for second in range(6, 10)))
    daemon.start()
    daemon.wait_until_read(log)
    assert [] == box.mails

    append(log, fatal(10))
    [mail] = box.wait_for(1)
    assert fatal(0) in shown(mail)
    daemon.wait_until_read(log)
    daemon.wait_until_committed(log)
    daemon.kill()
    daemon.start()
    append(log, *(fatal(second) for second in range(11, 20)))
    daemon.wait_until_read(log)
    assert 1 == len(box.mails)


def test_what_a_cooldown_hides_is_counted_across_a_kill(
    tmp_path: Path, box: Mailbox, logs: Path
) -> None:
    """Torture C18: the mail after the cooldown says how many there were since the one before."""
    log = logs / "app.log"
    log.touch()
    start = datetime.now(UTC) - timedelta(hours=1)

    def error(minute: float) -> str:
        return f"{(start + timedelta(minutes=minute)).isoformat()} ERROR"

    with alertd(tmp_path, ERRORS.format(logs=logs), box.port) as daemon:
        daemon.start()
        for minutes in ((0, 1, 2), (3, 4), (16,)):
            append(log, *map(error, minutes))
            daemon.wait_until_read(log)
            daemon.wait_until_committed(log)
            daemon.kill()
            daemon.start()
        daemon.wait_until_read(log)
        first, second = box.wait_for(2)

    assert 2 == len(box.mails)
    assert error(0) in shown(first)
    assert "5 events since" in shown(second)


def test_a_line_counts_when_its_newline_is_there(
    daemon: Alertd, box: Mailbox, logs: Path, fatal: Fatal
) -> None:
    """Torture L2: also when alertd is killed between its halves."""
    log = logs / "app.csv"
    append(log, HEADER)
    daemon.start()
    append(log, *(fatal(second) for second in range(10)))
    line = fatal(10)
    daemon.wait_until_committed(log)
    ended = log.stat().st_size
    with log.open("a") as file:
        file.write(line[:20])
        file.flush()
        status = daemon.wait_until(
            "the half line seen",
            lambda status: status["sources"]["mobile"]["files"][0]["size"] > ended,
        )
        assert ended == status["sources"]["mobile"]["files"][0]["offset"]
        assert ended == daemon.committed()[str(log)]
        daemon.kill()
        daemon.start()
        assert [] == box.mails
        file.write(line[20:] + "\n")

    assert line in shown(box.wait_for(1)[0])


def test_sigterm_ends_it_well(daemon: Alertd, logs: Path) -> None:
    """Torture P1: what was read is committed; SIGINT does the same."""
    append(logs / "app.csv", HEADER)
    for number in (signal.SIGTERM, signal.SIGINT):
        daemon.start()
        started = time.monotonic()
        assert 0 == daemon.stop(number)
        assert time.monotonic() - started < 10
    assert "stopped" in daemon.log


def test_a_reload_puts_new_rules_to_work_and_keeps_windows(
    daemon: Alertd, box: Mailbox, logs: Path, fatal: Fatal
) -> None:
    """Ten were counted; a lower limit and a new recipient apply to the next."""
    log = logs / "app.csv"
    append(log, HEADER)
    daemon.start()
    append(log, *(fatal(second) for second in range(8)))
    daemon.wait_until_read(log)
    settings = RULES.format(logs=logs)
    daemon.configure(
        settings.replace("more_than = 10", "more_than = 8").replace("mobile-team", "new-team")
    )
    assert {"rules": 1, "warnings": []} == daemon.reload()

    append(log, fatal(9))
    box.wait_for(1)
    assert [["new-team@example.com"]] == box.recipients


def test_a_broken_reload_leaves_the_old_rules_at_work(
    daemon: Alertd, box: Mailbox, logs: Path, fatal: Fatal
) -> None:
    """Torture G6: by socket the errors are told, by SIGHUP they are logged."""
    log = logs / "app.csv"
    append(log, HEADER)
    daemon.start()
    daemon.configure(RULES.format(logs=logs).replace("more_than", "more_then"))
    with pytest.raises(ControlError, match='did you mean "more_than"'):
        daemon.reload()
    daemon.hang_up()
    daemon.wait_until("refused twice", lambda status: status["reload_failures"] == 2)
    assert "more_then" in daemon.log

    append(log, *(fatal(second) for second in range(11)))
    box.wait_for(1)


def test_a_reload_tells_systemd(daemon: Alertd, logs: Path) -> None:
    """Torture P8: RELOADING=1, then READY=1 again."""
    append(logs / "app.csv", HEADER)
    daemon.start()
    daemon.hang_up()
    daemon.notified("RELOADING=1")
    daemon.notified("READY=1")


def test_status_tells_what_the_daemon_does(
    daemon: Alertd, box: Mailbox, logs: Path, fatal: Fatal
) -> None:
    """Files with offset and size, rules, outbox, last alerts."""
    log = logs / "app.csv"
    append(log, HEADER)
    daemon.start()
    append(log, *(fatal(second) for second in range(11)))
    box.wait_for(1)
    status = daemon.wait_until_read(log)

    size = log.stat().st_size
    [file] = status["sources"]["mobile"]["files"]
    assert (True, str(log), size, size) == (
        status["running"],
        file["path"],
        file["offset"],
        file["size"],
    )
    assert 1 == status["rules"]["fatal-burst"]["keys"]
    assert 0 == status["outbox"]["pending"]
    assert ["fatal-burst"] == [alert["rule"] for alert in status["last_alerts"]]


def test_a_second_daemon_is_refused(daemon: Alertd, tmp_path: Path, logs: Path) -> None:
    """Torture C13: one state directory, one daemon; it says who is there."""
    append(logs / "app.csv", HEADER)
    daemon.start()
    first = daemon.pid
    (tmp_path / "second").mkdir()
    with alertd(tmp_path / "second", RULES.format(logs=logs), 1) as second:
        second.config.write_text(daemon.config.read_text())
        second.start(wait=False)
        assert second._process is not None
        assert 75 == second._process.wait(timeout=20)
        assert f"in use by pid {first}" in second.log
