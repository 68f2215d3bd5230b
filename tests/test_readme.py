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
from alertd.config.kinds import KEYS_OF, Keys
from alertd.config.schema import RuleTable, StepTable
from alertd.core.events import Notice
from alertd.core.render import render_alert
from alertd.matchers import compile_matchers
from alertd.replay import Recording, Replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alertd.core.rules import Kind

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


PEERS = {
    *("any", "blacklist", "whitelist", "change", "frequency", "spike", "flatline", "new_term"),
    *("cardinality", "metric_aggregation", "spike_aggregation", "percentage_match"),
    *("Single", "SingleWithScript", "SingleWithSuppress", "Pair", "PairWithWindow"),
    *("SingleWithThreshold", "SingleWith2Thresholds", "EventGroup", "Suppress", "Calendar"),
    *("Jump", "Options"),
}
THEIRS = {"timeframe", "num_events", "thresh", "min_cardinality"}
"""Keys of theirs that are named beside ours."""


def test_every_rule_type_of_the_peers_is_asked_with_keys_that_there_are() -> None:
    """Behind each kind stand keys that it needs or may have, or that all kinds may have."""
    table = README.partition("| There | Here |")[2].partition("\n\n")[0]
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    named = [name for there, _ in rows for name in re.findall(r"`(\w+)`", there)]
    assert sorted(PEERS) == sorted(named)

    steps = StepTable.known.keys()
    common = RuleTable.known.keys() - {key for keys in KEYS_OF.values() for key in of_kind(keys)}
    for there, here in rows:
        kind: Kind = "threshold"
        for key, value in re.findall(r"`(\w+)(?: = ([^`]*))?`", here):
            if key == "kind":
                kind = next(each for each in KEYS_OF if value == f'"{each}"')
                continue
            known = common | of_kind(KEYS_OF[kind]) | (steps if "`step`" in here else set())
            assert key in known | THEIRS, (there, key)


def of_kind(keys: Keys) -> set[str]:
    """The keys that not every kind has."""
    return {*keys.needs, *keys.may}


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
