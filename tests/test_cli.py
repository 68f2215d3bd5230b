"""The command line: what a person types, and what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from living import Mailbox, text_of

from alertd import __version__
from alertd.cli import main

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    "run",
    "check",
    "test",
    "reload",
    "status",
    "outbox",
    "replay",
    "tune",
    "explain",
    "send-test",
    "demo",
    "completion",
)
RULES = """
[email]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "alertd@example.com"
recipients = ["ops@example.com", "dev@example.com"]

[state]
directory = "{directory}/state"

[source.mobile]
paths = ["{directory}/*.csv"]
format = "csv"
timestamp = "date"
timezone = "UTC"

[source.auth]
paths = ["{directory}/auth.log*"]
timezone = "UTC"

[rule.fatal]
source = "mobile"
match = {{ severity = "Fatal" }}
group_by = "bundle_id"
more_than = 1
within = "1m"

[rule.ssh]
source = "auth"
match = 'Failed password for (?P<user>.*) from (?P<ip>\\S+) port \\d+ ssh2$'
unless = {{ ip = {{ regex = '^10\\.' }} }}
group_by = "ip"
more_than = 0
within = "10m"
"""
CSV = """date,severity,bundle_id
2026-03-01T12:00:00Z,Fatal,shop
2026-03-01T12:00:30Z,Fatal,maps
2026-03-01T12:00:59Z,Fatal,shop
"""
AUTH = "Mar  1 12:00:01 db-1 sshd[7]: Failed password for root from 203.0.113.9 port 22 ssh2"


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a configuration and two logs."""
    (tmp_path / "alertd.toml").write_text(RULES.format(directory=tmp_path, port=1))
    (tmp_path / "app.csv").write_text(CSV)
    (tmp_path / "auth.log").write_text(f"{AUTH}\n")
    return tmp_path


@pytest.fixture
def say(directory: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Type a command, with the configuration of the directory."""
    return Say(directory / "alertd.toml", capsys)


class Say:
    """Types commands."""

    def __init__(self, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = config
        self._capsys = capsys

    def __call__(self, command: str, *words: str) -> Said:
        """Type one command."""
        code = main([command, "--config", str(self.config), *words])
        return Said(code, *self._capsys.readouterr())


def test_a_stranger_finds_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` lists every command, and every command has help of its own."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    listed = capsys.readouterr().out
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert command in listed
        assert len(capsys.readouterr().out) > 200


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """It is that of the package."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert f"alertd {__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["chekc"],
        ["check", "--confgi", "x"],
        ["check", "x"],
        ["replay", "x", "--yaer", "1"],
        ["completion", "elvish"],
    ],
)
def test_wrong_usage_is_64_and_says_where_to_look(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """As sysexits has it, not argparse's 2."""
    with pytest.raises(SystemExit, match=str(os.EX_USAGE)):
        main(words)
    assert "--help" in capsys.readouterr().err


def test_files_and_options_stand_in_any_order(say: Say, directory: Path) -> None:
    """Also options between files, and files behind the rule that `tune` wants first."""
    other = directory / "other.csv"
    other.write_text(CSV)

    said = say("replay", str(directory / "app.csv"), "--source", "mobile", str(other))
    tuned = main(["tune", "fatal", "--config", str(say.config), str(other)])

    assert "bytes in 2 files" in said.out
    assert 0 == tuned


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script for each shell."""
    assert 0 == main(["completion", shell])
    script = capsys.readouterr().out
    assert all(command in script for command in COMMANDS)


def test_bash_accepts_its_completion(capsys: pytest.CaptureFixture[str]) -> None:
    """The script is one that bash can read."""
    main(["completion", "bash"])
    script = capsys.readouterr().out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_check_says_what_each_rule_means(say: Say) -> None:
    """One sentence a rule, how its lines are found, what it may hold, which files there are."""
    said = say("check")

    assert 0 == said.code
    assert "fatal: mails ops@example.com" in said.out
    assert "on the 2nd line" in said.out
    assert "source mobile: 1 file\n" in said.out
    assert "holds at most" in said.out
    assert "no errors" in said.out
    assert "" == said.err


@pytest.mark.parametrize(("fatal", "is_slow"), [(200, True), (90, False)])
def test_check_names_a_rule_that_much_of_a_file_is_tested_for(
    say: Say, directory: Path, fatal: int, *, is_slow: bool
) -> None:
    """What is looked for is rare as a rule; a few lines say nothing of that."""
    header, *records = CSV.splitlines(keepends=True)
    (directory / "app.csv").write_text(header + records[0] * fatal)

    said = say("check")

    assert is_slow == ("100% of the lines that are there have it" in said.out)


def test_check_says_that_a_glob_matches_nothing_yet(say: Say, directory: Path) -> None:
    """A typo in a path is no error, for the file may come; but nobody should wonder."""
    (directory / "app.csv").unlink()

    assert "matches no file yet" in say("check").out


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_configuration_is_refused_with_all_its_errors(
    command: str, directory: Path
) -> None:
    """By ``check`` and by ``run`` alike, without a traceback, each with place, value and remedy."""
    config = directory / "alertd.toml"
    text = config.read_text()
    config.write_text(
        text.replace('within = "1m"', 'within = "1 fortnight"').replace(
            "more_than = 0", "more_then = 0"
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "alertd", command, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert os.EX_CONFIG == done.returncode
    assert 'unknown key "more_then"; did you mean "more_than"?' in done.stderr
    assert "1 fortnight" in done.stderr
    assert all(line.startswith("alertd: error: ") for line in done.stderr.splitlines())


def test_a_missing_configuration_is_66(say: Say, directory: Path) -> None:
    """And the message says which file was looked for."""
    say.config = directory / "nowhere.toml"
    said = say("check")

    assert os.EX_NOINPUT == said.code
    assert "nowhere.toml" in said.err


def test_the_environment_names_the_configuration(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``ALERTD_CONFIG`` stands in for ``--config``."""
    monkeypatch.setenv("ALERTD_CONFIG", str(directory / "alertd.toml"))

    assert 0 == main(["check"])
    assert "no errors" in capsys.readouterr().out


def test_explain_says_how_a_line_is_understood(say: Say) -> None:
    """Fields by the header of a file that is there, the time, and what every rule makes of it."""
    said = say("explain", "--source", "mobile", "2026-03-01T12:00:00Z,Fatal,shop")

    assert 0 == said.code
    assert "severity  = Fatal" in said.out
    assert "2026-03-01 12:00:00+00:00" in said.out
    assert "rule fatal: counts for bundle_id = shop" in said.out


def test_explain_says_why_a_line_does_not_count(say: Say) -> None:
    """Which condition failed, or which exception held."""
    other = say("explain", "--source", "mobile", "2026-03-01T12:00:00Z,Error,shop").out
    excepted = say("explain", "--source", "auth", AUTH.replace("203.0.113.9", "10.0.0.1")).out

    assert "rule fatal: does not count" in other
    assert "severity" in other.split("does not count")[1]
    assert "rule ssh: does not count" in excepted
    assert "unless" in excepted


def test_explain_without_source_asks_every_source(say: Say) -> None:
    """Who does not know whose line it is finds out."""
    said = say("explain", AUTH)

    assert "source mobile (csv)" in said.out
    assert "source auth (plain)" in said.out
    assert "rule ssh: counts for ip = 203.0.113.9" in said.out


def test_explain_knows_a_line_of_alertd_s_own(say: Say) -> None:
    """It rings about nothing that it wrote itself, so nobody need wonder why."""
    line = AUTH.replace("sshd[", "alertd[")
    own, other = say("explain", "--source", "auth", line), say("explain", "--source", "auth", AUTH)

    assert "left out: alertd wrote it" in own.out
    assert "rule ssh: does not count" in own.out
    assert "left out" not in other.out
    assert "rule ssh: counts" in other.out


def test_explain_refuses_a_source_that_is_not_there(say: Say) -> None:
    """And lists those that are."""
    said = say("explain", "--source", "moblie", "x")

    assert os.EX_USAGE == said.code
    assert "mobile, auth" in said.err


def test_replay_reads_what_the_globs_match(say: Say) -> None:
    """Alerts in time order, as text for people and as JSON for programs."""
    text = say("replay", "--year", "2026")
    objects = [
        json.loads(line) for line in say("replay", "--json", "--year", "2026").out.splitlines()
    ]

    assert "2 alerts" in text.out
    assert [("fatal", {"bundle_id": "shop"}, 2), ("ssh", {"ip": "203.0.113.9"}, 1)] == [
        (alert["rule"], alert["key"], alert["count"]) for alert in objects
    ]
    first = objects[0]
    assert "2026-03-01T12:00:59Z" == first["time"]
    assert str(say.config.parent / "app.csv") == first["path"]
    assert "2026-03-01T12:00:59Z,Fatal,shop" == first["line"]
    assert CSV.index("2026-03-01T12:00:59Z") == first["offset"]
    assert 20 == len(first["id"])


def test_replay_shows_when_lines_came_and_rules_rang(
    say: Say, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first line of the logs to the last, in the width of the terminal."""
    (directory / "auth.log").write_text("2026-03-01T12:00:30Z db-1 app: nothing\n")
    monkeypatch.setenv("COLUMNS", "62")

    said = say("replay", "--timeline")

    shown = said.out.split("\n\n")[1].splitlines()
    assert [
        "fatal |#                 #                !|  3 lines, 1 alert",
        "ssh   |                                    | 0 lines, 0 alerts",
    ] == shown[:2]
    assert [62, 62] == [len(line) for line in shown[:2]]
    assert "2026-03-01" in shown[2]
    assert shown[3].startswith("Each character is 1.64 seconds: ")
    assert "1 alert; " in said.out


def test_replay_shows_a_timeline_by_itself_on_a_terminal(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nowhere else; what programs read stays as it is."""
    piped = say("replay").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown, objects = say("replay"), say("replay", "--json")
    both = say("replay", "--json", "--timeline")

    assert "Each character is" not in piped
    assert "Each character is" in shown.out
    assert "Each character is" not in objects.out + objects.err
    assert objects.out == both.out
    assert "Each character is" in both.err


def test_replay_without_matching_lines_has_no_timeline(say: Say, directory: Path) -> None:
    """There is nothing to show."""
    (directory / "app.csv").write_text(CSV.replace("Fatal", "Error"))
    (directory / "auth.log").write_text("")

    assert "Each character is" not in say("replay", "--timeline").out


def test_replay_takes_a_path_to_the_source_whose_glob_matches_it(say: Say, directory: Path) -> None:
    """Or to the one that ``--source`` names, whatever its name."""
    elsewhere = directory / "elsewhere.txt"
    elsewhere.write_text(CSV)

    assert "1 alert;" in say("replay", str(directory / "app.csv")).out
    assert "1 alert;" in say("replay", "--source", "mobile", str(elsewhere)).out
    refused = say("replay", str(elsewhere))
    assert os.EX_USAGE == refused.code
    assert "--source" in refused.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--source", "moblie"], os.EX_USAGE, "there are mobile, auth"),
        (["--source", "auth", "/nowhere/auth.log"], os.EX_NOINPUT, "there is no such file"),
        (["--source", "auth", "/"], os.EX_NOINPUT, "not a regular file"),
    ],
)
def test_replay_refuses_what_it_cannot_read(
    say: Say, words: list[str], code: int, told: str
) -> None:
    """With the sysexits code that says why."""
    said = say("replay", *words)

    assert code == said.code
    assert told in said.err


def test_replay_says_that_a_source_has_no_timestamps(say: Say, directory: Path) -> None:
    """All its lines happened at one instant, which is no surprise once it is said."""
    config = directory / "alertd.toml"
    config.write_text(
        config.read_text().replace(
            'timezone = "UTC"\n\n[rule.fatal]', 'timestamp = "none"\n\n[rule.fatal]'
        )
    )

    assert "source auth has no timestamps" in say("replay").out


@pytest.mark.parametrize("command", ["status", "reload"])
def test_without_a_daemon_there_is_nobody_to_ask(say: Say, command: str) -> None:
    """Exit code 69, and how to start it."""
    said = say(command)

    assert os.EX_UNAVAILABLE == said.code
    assert "alertd is not running" in said.err


def test_send_test_sends_one_mail_to_everybody(say: Say, directory: Path, box: Mailbox) -> None:
    """Through the configured server; what it said is told for each."""
    say.config.write_text(RULES.format(directory=directory, port=box.port))
    said = say("send-test")

    assert 0 == said.code
    [mail] = box.wait_for(1)
    assert [["ops@example.com", "dev@example.com"]] == box.recipients
    assert "This is a test" in text_of(mail)
    assert "ops@example.com: sent" in said.out


def test_send_test_says_why_there_is_no_mail(say: Say) -> None:
    """Nothing listens on port 1."""
    said = say("send-test")

    assert os.EX_UNAVAILABLE == said.code
    assert "127.0.0.1:1" in said.err
