from __future__ import annotations

import email
import email.policy
import re
import shlex
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from alertd import demo
from alertd.config import load
from alertd.core.events import Notice
from alertd.core.render import render_alert
from alertd.matchers import compile_matchers
from alertd.replay import Recording, Replay

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of that language, in their order."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", README)


def test_example_is_a_valid_configuration(tmp_path: Path) -> None:
    """What a stranger copies from the front page is accepted as it stands, but for the password."""
    (example,) = blocks("toml")
    path = tmp_path / "alertd.toml"
    path.write_text(example)

    config = load(path, {"ALERTD_EMAIL__PASSWORD": "secret"})

    assert ["mobile"] == [source.name for source in config.sources]
    (rule,) = config.rules
    assert ("fatal-burst", 10, 60.0) == (rule.name, rule.more_than, rule.within)


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_utc")
def test_mail_is_what_the_example_sends(tmp_path: Path) -> None:
    """The demo's log through the example's rule gives the mail on the front page, to the letter."""
    turn = datetime(2025, 11, 24, 10, 36, tzinfo=UTC).timestamp()
    log_file = tmp_path / "app.csv"
    log_file.write_text(demo._HEADER + "".join(event.line(turn) for event in demo._STORY))
    (example,) = blocks("toml")
    path = tmp_path / "alertd.toml"
    path.write_text(example.replace("/var/log/mobile", str(tmp_path)))
    config = load(path, {"ALERTD_EMAIL__PASSWORD": "secret"})
    (rule,) = config.rules

    replay = Replay(
        config.sources,
        config.rules,
        compile_matchers(config.sources, config.rules),
        [Recording("mobile", log_file)],
    )
    (alert,) = (alert for alerts in replay.run() for alert in alerts)
    mail = render_alert(
        Notice(alert, rule.recipients, rule.severity, rule.description, alert.time),
        host="web1",
        sender=config.email.sender,
        timezone=UTC,
        sent_at=alert.time + 0.03,
    )

    message = email.message_from_bytes(mail.payload, policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    headers = "".join(f"{name}: {message[name]}\n" for name in ("From", "To", "Subject"))
    text = str(body.get_content()).replace("\r\n", "\n").partition("\n-- \n")[0]
    shown = f"{headers}\n{text}".replace(str(tmp_path), "/var/log/mobile")
    assert f"```\n{shown}```\n" in README, shown


def test_extras_that_the_commands_install_exist() -> None:
    """`pip install '.[typo]'` would only warn, and what follows would fail."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.findall(r"'\.\[(\w+)\]'", README)

    assert {"demo", "test", "dev"} == set(extras)
    assert set(extras) <= set(project["optional-dependencies"])


def test_files_that_the_commands_name_exist() -> None:
    """The steps of an installation start from what is in the clone."""
    words = {word for block in blocks("sh") for word in shlex.split(block, comments=True)}

    assert {"config.example.toml", "systemd/alertd.service"} <= words
    assert (ROOT / "config.example.toml").is_file()
    assert (ROOT / "systemd" / "alertd.service").is_file()
