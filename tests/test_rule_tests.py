"""Tests of rules that stand in the configuration: who runs them, and what a failed one prevents."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from living import alertd, append
from writing import Question, brute_force, events, line
from writing import settings as tables

from alertd import config
from alertd.cli import main
from alertd.control import ControlError
from alertd.core.rule_tests import run_tests
from alertd.matchers import compile_matchers

if TYPE_CHECKING:
    from living import Mailbox

SETTINGS = """
[source.auth]
paths = ["{logs}/auth.log"]

[rule.ssh]
match = 'Failed for (?P<ip>\\S+)$'
group_by = "ip"
more_than = 1
within = "10m"

[[rule.ssh.test]]
lines = ["Failed for 203.0.113.9", "Failed for 203.0.113.8", "Failed for 203.0.113.9"]
alerts = 1
keys = [{{ ip = "203.0.113.9" }}]
counts = [2]

[[rule.ssh.test]]
lines = ["Failed for 203.0.113.9", "Accepted for 203.0.113.9"]
alerts = {alerts}

[rule.other]
match = 'other'
more_than = 0
within = "1m"

[[rule.other.test]]
lines = "another line"
alerts = 1
"""
EMAIL = """
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd@example.com"
recipients = ["ops@example.com"]
"""
PROBLEM = (
    'rule "ssh": test 2: expected 1 alert, got 0: 1 of 2 lines counted; line 2 does not: '
    "'Failed for (?P<ip>\\S+)$' is not in it"
)


def written(directory: Path, *, alerts: int) -> str:
    """Write a configuration of which the second test expects so many alerts; 0 is right."""
    path = directory / "alertd.toml"
    state = f'[state]\ndirectory = "{directory}/state"\n'
    path.write_text(EMAIL + state + SETTINGS.format(logs=directory, alerts=alerts))
    return str(path)


def test_test_says_of_each_whether_it_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line each, and a sum."""
    assert 0 == main(["test", "--config", written(tmp_path, alerts=0)])

    assert [
        'ok    rule "ssh": test 1',
        'ok    rule "ssh": test 2',
        'ok    rule "other": test 1',
        "3 passed, 0 failed",
    ] == capsys.readouterr().out.splitlines()


def test_test_says_what_a_rule_makes_of_each_line_of_a_failed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like ``explain``."""
    assert os.EX_CONFIG == main(["test", "--config", written(tmp_path, alerts=1), "ssh"])

    assert [
        'ok    rule "ssh": test 1',
        f"FAIL  {PROBLEM}",
        "        1  Failed for 203.0.113.9",
        "           counts for ip = 203.0.113.9",
        "        2  Accepted for 203.0.113.9",
        "           does not count: 'Failed for (?P<ip>\\S+)$' is not in it",
        "1 passed, 1 failed",
    ] == capsys.readouterr().out.splitlines()


def test_test_says_where_it_rang_and_when(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the line that raised an alert nobody expects."""
    path = tmp_path / "alertd.toml"
    path.write_text(
        EMAIL
        + SETTINGS.format(logs=tmp_path, alerts=0).replace(
            '"another line"\nalerts = 1', '"2026-03-01T12:00:00Z another line"\nalerts = 0'
        )
    )

    assert os.EX_CONFIG == main(["test", "--config", str(path), "other"])

    assert (
        "           counts; rings at 2026-03-01 12:00:00 UTC with a count of 1"
        in capsys.readouterr().out.splitlines()
    )


def test_test_takes_the_rules_that_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And knows those that there are."""
    path = written(tmp_path, alerts=1)

    assert 0 == main(["test", "--config", path, "other"])
    assert "1 passed, 0 failed" in capsys.readouterr().out
    assert os.EX_USAGE == main(["test", "--config", path, "shh"])
    assert "there is no rule shh; there are ssh, other" in capsys.readouterr().err


def test_test_without_tests_says_how_to_write_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no error."""
    path = tmp_path / "alertd.toml"
    path.write_text(EMAIL + SETTINGS.format(logs=tmp_path, alerts=0).partition("[[")[0])

    assert 0 == main(["test", "--config", str(path)])
    assert "[[rule.NAME.test]]" in capsys.readouterr().out


def test_check_runs_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that they pass, or what is wrong, where other errors are said."""
    assert 0 == main(["check", "--config", written(tmp_path, alerts=0)])
    assert "the rules pass all 3 tests" in capsys.readouterr().out

    path = written(tmp_path, alerts=1)
    assert os.EX_CONFIG == main(["check", "--config", path])
    assert (
        f"alertd: error: {path}: {PROBLEM}; see what it makes of each line: alertd test\n"
        == capsys.readouterr().err
    )


def test_run_does_not_start_with_a_rule_that_fails_its_own_test(tmp_path: Path) -> None:
    """It exits like ``check``, and says the same."""
    path = written(tmp_path, alerts=1)

    done = subprocess.run(
        [sys.executable, "-m", "alertd", "run", "--config", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert os.EX_CONFIG == done.returncode
    assert f"alertd: error: {path}: {PROBLEM}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reload_is_refused_whose_rule_fails_its_own_test(
    tmp_path: Path, logs: Path, box: Mailbox
) -> None:
    """What ran before still runs, tests and all; with the test put right the reload succeeds."""
    log = logs / "auth.log"
    log.touch()
    with alertd(tmp_path, SETTINGS.format(logs=logs, alerts=0), box.port) as daemon:
        daemon.start()
        assert [2, 1] == [rule["tests"] for rule in daemon.status()["rules"].values()]

        failing = SETTINGS.format(logs=logs, alerts=1)
        daemon.configure(
            failing.replace("more_than = 1\n", 'more_than = 1\nrecipients = ["new@example.com"]\n')
        )
        with pytest.raises(ControlError, match="test 2: expected 1 alert, got 0") as refused:
            daemon.reload()
        assert os.EX_CONFIG == refused.value.exit_code
        append(log, "Failed for 203.0.113.9", "Failed for 203.0.113.9")
        box.wait_for(1)
        assert [["ops@example.com"]] == box.recipients

        daemon.configure(SETTINGS.format(logs=logs, alerts=0))
        assert 2 == daemon.reload()["rules"]


def test_a_rule_means_the_same_whatever_its_tests(tmp_path: Path) -> None:
    """Its windows outlive a reload that only changes those."""
    few, many = (
        config.load(tmp_path / "alertd.toml", {}).rules
        for alerts in (0, 1)
        if written(tmp_path, alerts=alerts)
    )

    assert few == many
    assert [rule.identity for rule in few] == [rule.identity for rule in many]


@pytest.mark.parametrize("format_", ["csv", "json", "syslog", "plain"])
@given(
    st.builds(
        Question,
        more_than=st.integers(0, 12),
        within_ms=st.sampled_from((1000, 60_000)),
        cooldown_ms=st.sampled_from((0, 1000, 900_000)),
        is_grouped=st.booleans(),
    ),
    st.integers(0, 2**32),
)
@hypothesis.settings(max_examples=20)
def test_what_brute_force_finds_is_what_a_test_must_expect(
    format_: str, question: Question, seed: int
) -> None:
    """Any lines, any rule: the same alerts about the same keys; one more or less is a failure."""
    chance = random.Random(seed)
    happened = events(chance, 100, format_)
    alerts = brute_force(happened, question)
    expected = {
        "lines": [line(event, format_, chance) for event in happened],
        "alerts": len(alerts),
        "counts": [count for _, _, count in alerts],
    }
    if question.is_grouped:
        expected["keys"] = [{"key": key} for key, _, _ in alerts]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "alertd.toml"
        rule = tables(question, format_, "/var/log/app.log")
        [name] = re.findall(r"\[rule\.(\w+)\]", rule)
        for difference in (0, 1):
            changed = {**expected, "alerts": len(alerts) + difference}
            if difference:
                changed = {key: changed[key] for key in ("lines", "alerts")}
            case = "".join(f"{key} = {toml(value)}\n" for key, value in changed.items())
            path.write_text(f"{EMAIL}{rule}\n[[rule.{name}.test]]\n{case}")
            loaded = config.load(path, {})
            matchers = compile_matchers(loaded.sources, loaded.rules)

            [result] = run_tests(loaded.tests, loaded.rules, loaded.sources, matchers)

            assert bool(difference) == bool(result.problem), result.problem


def toml(value: object) -> str:
    """Write a value as TOML does."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {toml(below)}' for key, below in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


SEQUENCE = """
[source.auth]
paths = ["/var/log/auth.log"]
timestamp = "none"
[rule.break-in]
kind = "sequence"
group_by = "ip"
within = "10m"
step = [
  {{ match = 'Failed for (?P<ip>\\S+)$', count = 2 }},
  {{ match = 'Accepted for (?P<ip>\\S+)$'{absent} }},
]
[[rule.break-in.test]]
every = "{every}"
lines = ["Failed for a", "Failed for b", "Failed for a", "other", "Accepted for {whom}", "other"]
"""


@pytest.mark.parametrize(
    ("absent", "every", "whom", "problem"),
    [
        ("", "60s", "a", "expected 0 alerts, got 1: rang at line 5"),
        ("", "150s", "a", "line 4 does not"),
        ("", "60s", "b", "line 4 does not"),
        (", absent = true", "60s", "a", "line 4 does not"),
        # The last line comes at the deadline, and then after it.
        (", absent = true", "200s", "b", "line 4 does not"),
        (", absent = true", "201s", "b", "expected 0 alerts, got 1: rang at line 3"),
    ],
)
def test_a_sequence_is_tested_like_any_rule(
    tmp_path: Path, absent: str, every: str, whom: str, problem: str
) -> None:
    """Also for what does not come: as far as the last line."""
    path = tmp_path / "alertd.toml"
    text = EMAIL + SEQUENCE.format(absent=absent, every=every, whom=whom)
    rang = int("rang" in problem)
    problems = []
    for expected in (rang, 1 - rang):
        path.write_text(f"{text}alerts = {expected}\n")
        loaded = config.load(path, {})
        matchers = compile_matchers(loaded.sources, loaded.rules)
        [result] = run_tests(loaded.tests, loaded.rules, loaded.sources, matchers)
        problems.append(result.problem)

    assert not problems[0]
    assert problem in problems[1]
