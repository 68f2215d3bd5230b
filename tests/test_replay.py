"""
One set of alerts: counted by brute force, replayed from one file or many, live and crashed.

This is alertd's defining property; see also ``core/test_ordering.py`` and
``tail/test_programs.py``.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from living import alertd, mailbox
from writing import Question, brute_force, events, found, line, write
from writing import settings as tables

from alertd.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from writing import Event

FORMATS = ("csv", "json", "syslog", "plain")
EMAIL = """
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd@example.com"
recipients = ["ops@example.com"]
"""

QUESTIONS = st.builds(
    Question,
    more_than=st.integers(0, 12),
    within_ms=st.sampled_from((1, 1000, 5000, 60_000, 600_000)),
    cooldown_ms=st.sampled_from((0, 1, 1000, 30_000, 900_000)),
    is_grouped=st.booleans(),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Somewhere to write."""
    return tmp_path


@contextlib.contextmanager
def fresh_directory() -> Iterator[Path]:
    """Make a directory for one example."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def replay(directory: Path, text: str, *arguments: str) -> list[dict[str, Any]]:
    """Run ``alertd replay --json``; return its objects."""
    config = directory / "alertd.toml"
    config.write_text(EMAIL + f'[state]\ndirectory = "{directory}/state"\n' + text)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
        assert 0 == main(["replay", "--config", str(config), "--json", *arguments])
    return [json.loads(printed) for printed in output.getvalue().splitlines()]


def spread(
    directory: Path, made: Sequence[Event], format_: str, files: int, chance: random.Random
) -> list[Event]:
    """Write events into several files; return them in the order in which they count."""
    lines: list[list[str]] = [[] for _ in range(files)]
    placed = []
    for event in made:
        number = chance.randrange(files)
        lines[number].append(line(event, format_, chance))
        placed.append((event.micros, number, event))
    for number, content in enumerate(lines):
        write(directory / f"app-{number}.log", content)
    return [event for _, _, event in sorted(placed, key=lambda entry: entry[:2])]


@pytest.mark.parametrize("format_", FORMATS)
@given(QUESTIONS, st.integers(1, 4), st.integers(0, 2**32))
@settings(max_examples=30)
def test_replay_finds_what_brute_force_finds(
    format_: str, question: Question, files: int, seed: int
) -> None:
    """In one file and spread over several: the same keys, times and counts, and no id twice."""
    with fresh_directory() as directory:
        chance = random.Random(seed)
        in_order = spread(directory, events(chance, 300, format_), format_, files, chance)
        text = tables(question, format_, f"{directory}/*.log")

        alerts = replay(directory, text, "--year", "2026")

        assert brute_force(in_order, question) == [found(alert) for alert in alerts]
        assert len(alerts) == len({alert["id"] for alert in alerts})


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("files", [1, 3])
def test_twenty_thousand_lines(directory: Path, format_: str, files: int) -> None:
    """As above, with more lines than any buffer holds."""
    chance = random.Random(20_000)
    question = Question(more_than=3, within_ms=600_000, cooldown_ms=90_000, is_grouped=True)
    in_order = spread(directory, events(chance, 20_000, format_), format_, files, chance)
    text = tables(question, format_, f"{directory}/*.log")

    alerts = replay(directory, text, "--year", "2026")

    assert len(alerts) > 100
    assert brute_force(in_order, question) == [found(alert) for alert in alerts]


def test_an_alert_says_where_its_line_stands(directory: Path) -> None:
    """``path`` and ``offset`` lead to ``line``, also in a compressed file."""
    chance = random.Random(1)
    question = Question(more_than=1, within_ms=600_000, cooldown_ms=1000, is_grouped=False)
    made = events(chance, 500, "json")
    content = "".join(line(event, "json", chance) + "\n" for event in made).encode()
    (directory / "app.log").write_bytes(content)
    (directory / "app.log.gz").write_bytes(gzip.compress(content))
    text = tables(question, "json", f"{directory}/*.log")

    plain = replay(directory, text)
    packed = replay(directory, text, "--source", "app", f"{directory}/app.log.gz")

    assert len(plain) > 10
    for alert in plain:
        offset, written = int(alert["offset"]), str(alert["line"]).encode()
        assert str(directory / "app.log") == alert["path"]
        assert written + b"\n" == content[offset : offset + len(written) + 1]
    assert [{**alert, "path": ""} for alert in plain] == [{**alert, "path": ""} for alert in packed]


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.timeout(120)
def test_live_with_a_crash_gives_the_alerts_of_a_replay(directory: Path, format_: str) -> None:
    """Appended in pieces of random size, a kill -9 in the middle: the same alerts, the same ids."""
    chance = random.Random(format_)
    question = Question(more_than=2, within_ms=600_000, cooldown_ms=30_000, is_grouped=True)
    # A year before, because a date without one is not in the future.
    content = "".join(
        line(event, format_, chance) + "\n" for event in events(chance, 3000, format_)
    ).encode()
    log = directory / "app.log"
    text = tables(question, format_, str(log))
    log.touch()
    with (
        mailbox() as box,
        alertd(directory, text, box.port, 'join_older_than = "0s"\nmax_per_hour = 0') as daemon,
    ):
        daemon.start()
        position, pieces = 0, 0
        while position < len(content):
            size = chance.choice((1, 10, 100, 1000, 30_000))
            with log.open("ab") as file:
                file.write(content[position : position + size])
            position += size
            pieces += 1
            if pieces % 40 == 0:
                daemon.kill()
                daemon.start()
        daemon.wait_until_read(log)
        live = box.alerts()
        daemon.stop()
        replayed = {alert["id"] for alert in replay(directory, text)}

    assert len(replayed) > 50
    assert replayed == live


EACH = """
[source.app]
paths = ["{directory}/*.log"]
timezone = "UTC"
{more}

[rule.every]
match = 'Fatal'
more_than = 0
within = "1s"
cooldown = "0s"
"""


def test_a_finished_file_ends_its_last_line(directory: Path) -> None:
    """What it ends with unterminated counts, because nobody will write on."""
    (directory / "app.log").write_text("2026-03-01T12:00:00Z Fatal\n2026-03-01T12:00:01Z Fatal")

    alerts = replay(directory, EACH.format(directory=directory, more=""))

    assert ["2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z"] == [alert["time"] for alert in alerts]


def test_an_endless_line_counts_once_by_its_beginning(directory: Path) -> None:
    """Longer than anything that is read at once; the next line's offset is right."""
    endless = "2026-03-01T12:00:00Z Fatal " + "x" * 3_000_000 + " Fatal"
    (directory / "app.log").write_text(f"{endless}\n2026-03-01T12:00:01Z Fatal\n")

    alerts = replay(directory, EACH.format(directory=directory, more=""))

    assert [0, len(endless) + 1] == [alert["offset"] for alert in alerts]
    assert 65536 == len(str(alerts[0]["line"]))


def test_an_open_record_is_closed_by_the_end_of_its_file(directory: Path) -> None:
    """One stray quote hides nothing: its lines are taken alone."""
    lines = ["ts,text", '2026-03-01T12:00:00Z,"Fatal', "2026-03-01T12:00:01Z,Fatal"]
    write(directory / "app.log", lines)
    more = 'format = "csv"\nmultiline = true\ntimestamp = "ts"'

    alerts = replay(directory, EACH.format(directory=directory, more=more))

    assert ["2026-03-01T12:00:00Z", "2026-03-01T12:00:01Z"] == [alert["time"] for alert in alerts]


def test_a_date_without_a_year_is_dated_by_the_file(directory: Path) -> None:
    """By when it was last written to, unless ``--year`` says otherwise."""
    log = directory / "app.log"
    log.write_text("Dec 31 23:59:59 db-1 app[1]: Fatal\n")
    os.utime(log, (1_767_312_000, 1_767_312_000))  # 2026-01-02
    text = EACH.format(directory=directory, more='format = "syslog"')

    assert ["2025-12-31T23:59:59Z"] == [alert["time"] for alert in replay(directory, text)]
    dated = replay(directory, text, "--year", "2019")
    assert ["2019-12-31T23:59:59Z"] == [alert["time"] for alert in dated]


def test_t10_a_log_in_utc_is_read_so_whatever_zone_the_machine_is_in(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's zone counts; only where none is set, the machine's does."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    write(directory / "a.log", ["2026-03-01 12:00:00 Fatal key"])
    log = directory / "a.log"
    question = Question(more_than=0, within_ms=1000, cooldown_ms=0, is_grouped=False)
    here = tables(question, "plain", str(log))

    [said] = replay(directory, here.replace(r"^\S+ Fatal", "Fatal"))
    [local] = replay(
        directory, here.replace(r"^\S+ Fatal", "Fatal").replace('timezone = "UTC"', "")
    )

    assert "2026-03-01T12:00:00.000000Z" == found(said)[1]
    assert "2026-03-01T06:30:00.000000Z" == found(local)[1]
