from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def run_demo(
    tmp_path: Path, prelude: str = "", **arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run the demo as a program of its own, without a terminal, with its directory in tmp_path."""
    program = f"{prelude}\nimport sys; from alertd.demo import run_demo\n"
    program += f"sys.exit(run_demo(**{arguments | {'pace': 0.0}!r}))"
    return subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TMPDIR": str(tmp_path), "ALERTD_EMAIL__HOST": "elsewhere.example"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo prints when all goes well, whatever the environment says to another alertd."""
    directory = tmp_path_factory.mktemp("demo")
    demo = run_demo(directory)

    assert (0, "") == (demo.returncode, demo.stderr), demo.stdout
    assert [] == list(directory.iterdir())
    return demo.stdout


def test_demo_shows_log_and_mails(shown: str) -> None:
    """Every line as it is written, and the mails with their headers and the time they took."""
    before, after = re.split("─ the minute turns ─", shown)
    numbered = r"(?m)^ *(\d+)\. \d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d,Fatal,"
    assert ["1", "2", "3", "4", "5"] == re.findall(numbered, before)
    assert [str(number) for number in range(6, 15)] == re.findall(numbered, after)
    burst, bundle = re.findall(r"(?s)╭─+ a mail, \d+ ms after the line was appended.*?╰", after)
    assert "To: ops@example.com" in burst
    assert "X-Alertd-Rule: fatal-burst" in burst
    assert "To: mobile-team@example.com" in bundle
    assert "X-Alertd-Rule: fatal-per-bundle" in bundle
    assert "com.example.shop" in bundle
    assert "5 and then 6" in after


def test_mails_follow_the_eleventh_line(shown: str) -> None:
    """Ten are no reason for a mail, neither within a minute nor for one app within an hour."""
    events = re.findall(r"(?m)^ *\d+\. \S+ \S+,Fatal,com\.example\.(\w+)|╭─+ (a mail)", shown)
    order = [app or mail for app, mail in events]
    first, second = (index for index, what in enumerate(order) if what == "a mail")
    assert 11 == first
    assert 11 == order[:second].count("shop")


def test_directory_is_kept_on_request(tmp_path: Path) -> None:
    demo = run_demo(tmp_path, keep=True)

    (directory,) = tmp_path.iterdir()
    assert f"Configuration, log and state are in {directory}" in demo.stdout
    assert "Fatal" in (directory / "mobile.csv").read_text()
    assert (directory / "alertd.toml").is_file()
    assert (directory / "state").is_dir()


def test_missing_mail_server_is_said(tmp_path: Path) -> None:
    """Without the extra, the answer is the command that installs it."""
    refused = run_demo(tmp_path, prelude="import sys; sys.modules['aiosmtpd'] = None")

    assert os.EX_UNAVAILABLE == refused.returncode
    assert refused.stderr.endswith("install it with: pip install 'alertd[demo]'\n")
    assert "" == refused.stdout


def test_daemon_that_does_not_start_is_shown(tmp_path: Path) -> None:
    """The demo fails with what the daemon said, and leaves nothing behind either."""
    prelude = "import alertd.demo; alertd.demo._CONFIG += 'nonsense = 1\\n'"

    failed = run_demo(tmp_path, prelude=prelude)

    assert os.EX_SOFTWARE == failed.returncode
    assert f"The demo failed: alertd ended with exit code {os.EX_CONFIG}" in failed.stdout
    assert 'unknown key "nonsense"' in failed.stdout
    assert [] == list(tmp_path.iterdir())


def test_missing_mail_fails_the_demo(tmp_path: Path) -> None:
    """It reports success only for what it has seen."""
    prelude = (
        "import alertd.demo; alertd.demo._MAIL_SECONDS = 0.5\n"
        "alertd.demo._CONFIG = alertd.demo._CONFIG.replace('more_than = 10 ', 'more_than = 11 ')"
    )

    failed = run_demo(tmp_path, prelude=prelude)

    assert os.EX_SOFTWARE == failed.returncode
    assert "The demo failed: no mail within 0.5 s of this line" in failed.stdout


def test_closed_terminal_leaves_nothing_running(tmp_path: Path) -> None:
    """Whoever closes the window ends the demo, its daemon included, and its directory goes."""
    with subprocess.Popen(
        [sys.executable, "-c", "from alertd.demo import run_demo; exit(run_demo(pace=60))"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        while "Session started" not in demo.stdout.readline():
            pass
        (lock,) = tmp_path.glob("alertd-demo-*/state/state.lock")
        daemon = int(lock.read_text())

        demo.send_signal(signal.SIGHUP)
        demo.stdout.read()

    assert 128 + signal.SIGTERM == demo.returncode
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)
    assert [] == list(tmp_path.iterdir())


def test_surplus_mail_fails_the_demo(tmp_path: Path) -> None:
    """A mail that nobody expected is as bad as one that is missing."""
    prelude = (
        "import alertd.demo\n"
        "alertd.demo._CONFIG += '''[rule.surplus]\\nmatch = {{ severity = \"Fatal\" }}\\n"
        "more_than = 13\\nwithin = \"1h\"\\n'''"
    )

    failed = run_demo(tmp_path, prelude=prelude)

    assert os.EX_SOFTWARE == failed.returncode
    assert "The demo failed: expected the mails" in failed.stdout
    assert "surplus" in failed.stdout
