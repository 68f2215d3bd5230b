"""``alertd tune``: what other limits and windows would have given, over old logs."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alertd.cli import main
from alertd.core import tuning

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd@example.com"
recipients = ["ops@example.com"]

[source.auth]
paths = ["{directory}/auth.log*"]
timezone = "UTC"

[source.app]
paths = ["{directory}/app.log"]
timestamp = "none"

[rule.ssh]
source = "auth"
match = 'Failed (?P<user>\\S+) from (?P<ip>\\S+)$'
group_by = "ip"
more_than = {more_than}
within = "{within}"

[rule.spraying]
source = "auth"
kind = "distinct"
distinct = "user"
match = 'Failed (?P<user>\\S+) from (?P<ip>\\S+)$'
group_by = "ip"
more_than = 3
within = "10m"

[rule.new]
kind = "new_value"
source = "auth"
value = "user"
match = 'Failed (?P<user>\\S+) from (?P<ip>\\S+)$'

[rule.timeless]
source = "app"
match = 'Failed'
more_than = 3
within = "10m"
"""
DAYS = 6


def configured(directory: Path, *, more_than: int = 3, within: str = "10m") -> str:
    """Write a configuration; return its path."""
    path = directory / "alertd.toml"
    text = SETTINGS.format(directory=directory, more_than=more_than, within=within)
    path.write_text(text)
    return str(path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Six days of a log, of which the first are compressed; the last line matches nothing."""
    chance = random.Random(9)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    seconds = sorted(chance.uniform(0, DAYS * 86_400) for _ in range(4000))
    lines = [
        f"{(start + timedelta(seconds=at)).isoformat()} Failed u{chance.randrange(9)} "
        f"from 203.0.113.{chance.randrange(3)}\n"
        for at in seconds
    ]
    lines = [f"{start.isoformat()} begin\n", *lines]
    lines.append(f"{(start + timedelta(days=DAYS)).isoformat()} end\n")
    (tmp_path / "auth.log.1.gz").write_bytes(gzip.compress("".join(lines[:2000]).encode()))
    (tmp_path / "auth.log").write_text("".join(lines[2000:]))
    (tmp_path / "app.log").write_text("Failed\n" * 9)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that succeeds; return what it says."""
    capsys.readouterr()
    assert 0 == main([*words])
    return capsys.readouterr().out


def replayed(capsys: pytest.CaptureFixture[str], config: str, rule: str) -> int:
    """Count the alerts of a rule in a replay."""
    output = said(capsys, "replay", "--json", "--config", config)
    return sum(json.loads(line)["rule"] == rule for line in output.splitlines())


def bars(output: str) -> dict[str, int]:
    """Return the numbers of the plot, by limit."""
    found = re.findall(r"(?m)^ *(\*?[\d,]+) \|#* ([\d,]+)$", output)
    return {limit: int(count.replace(",", "")) for limit, count in found}


def table(output: str) -> list[list[str]]:
    """Return the cells of the table."""
    rows = output.split("\n\n")[1].splitlines()
    return [re.split(r" {2,}", row.strip()) for row in rows]


@pytest.mark.parametrize("rule", ["ssh", "spraying"])
def test_the_rule_s_own_setting_gives_what_a_replay_gives(
    rule: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the plot the number itself, in the table that number a day."""
    config = configured(directory)
    alerts = replayed(capsys, config, rule)

    output = said(capsys, "tune", rule, "--config", config)

    assert alerts > 10
    assert alerts == bars(output)["*3"]
    limits, *rows = table(output)
    [own] = [row for row in rows if row[0] == "*10 minutes"]
    assert f"{alerts / DAYS:.3g}" == own[1 + limits.index("*3")]


@pytest.mark.parametrize("within", ["5m", "20m"])
def test_another_setting_gives_what_a_replay_of_it_gives(
    within: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell of the table is a promise about a changed configuration with the same cooldown."""
    limits, *rows = table(said(capsys, "tune", "ssh", "--config", configured(directory)))
    [row] = [row for row in rows if row[0] == f"{within[:-1]} minutes"]

    for limit in (1, 4, 8):
        config = directory / "alertd.toml"
        changed = configured(directory, more_than=limit, within=within)
        config.write_text(
            config.read_text().replace("more_than =", 'cooldown = "15m"\nmore_than =', 1)
        )
        alerts = replayed(capsys, changed, "ssh")

        assert f"{alerts / DAYS:.3g}" == row[1 + limits.index(f"{limit}")]


def test_the_proposed_limit_gives_about_one_mail_a_day(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a replay with it shows, and with one less there are more."""
    output = said(capsys, "tune", "ssh", "--config", configured(directory))
    found = re.search(
        r"one mail a day: more_than = (\d+), (\d+) alerts? in 6 days; one less gives (\d+)$",
        output,
        re.MULTILINE,
    )
    assert found is not None
    limit, alerts, more = map(int, found.groups())

    assert alerts <= DAYS < more
    assert alerts == replayed(capsys, configured(directory, more_than=limit), "ssh")
    assert more == replayed(capsys, configured(directory, more_than=limit - 1), "ssh")
    assert alerts == bars(output)[str(limit)]


def test_it_says_what_was_read(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many lines, and from when to when the logs are, whatever matches in them."""
    config = configured(directory)

    output = said(capsys, "tune", "ssh", "--config", config)
    part = said(capsys, "tune", "ssh", str(directory / "auth.log"), "--config", config)

    when = datetime(2026, 3, 1, tzinfo=UTC).astimezone().isoformat(" ", "seconds")
    assert f"4,000 matching lines, in logs from {when} to " in output
    assert "2,001 matching lines" in part
    assert "note:" not in output


def test_bars_are_as_long_as_the_terminal_is_wide(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest of them; one alert is seen."""
    config = configured(directory)
    for columns in (60, 140):
        monkeypatch.setenv("COLUMNS", str(columns))
        output = said(capsys, "tune", "ssh", "--config", config)
        lines = [line for line in output.splitlines() if "|#" in line]
        assert columns == max(map(len, lines))
        assert min(line.count("#") for line in lines) >= 1


def test_what_is_too_much_is_not_read(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first matches are judged, and days are counted up to the last of them."""
    monkeypatch.setattr(tuning, "MOST_MATCHES", 300)

    output = said(capsys, "tune", "ssh", "--config", configured(directory))

    assert "300 matching lines" in output
    assert "note: there are more, which were not read" in output
    assert "note: that is less than a day" in output


def test_a_limit_of_none_may_be_right(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every single line may ring without ringing often."""
    log = directory / "few.log"
    log.write_text(
        "2026-03-01T12:00:00Z Failed a from 1.1.1.1\n2026-03-03T12:00:00Z Failed a from 1.1.1.1\n"
    )
    config = configured(directory)

    output = said(capsys, "tune", "--source", "auth", "ssh", str(log), "--config", config)

    assert "about one mail a day: more_than = 0, 2 alerts in 2 days\n" in output


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["shh"], os.EX_USAGE, "there is no rule shh; there are ssh, spraying, new, timeless"),
        (["new"], os.EX_USAGE, 'rule new is of kind "new_value", which does not count up to a '),
        (["ssh", "--source", "app"], os.EX_USAGE, "no rule watches this source"),
        (["--source", "auth", "ssh", "/nowhere"], os.EX_NOINPUT, "there is no such file"),
        (["--source", "auth", "ssh", "{directory}/app.log"], os.EX_DATAERR, "nothing to tune"),
        (["timeless"], os.EX_DATAERR, "no lines match that are some time apart"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    words: list[str], code: int, told: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a reason."""
    typed = [word.format(directory=directory) for word in words]

    assert code == main(["tune", *typed, "--config", configured(directory)])

    assert told in capsys.readouterr().err
