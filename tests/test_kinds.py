"""Rules of every kind, in the daemon and in a replay."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from core.detectors.oracles import ORACLES, Event, Found, with_cooldown
from living import alertd, mailbox

from alertd import config
from alertd.cli import main

if TYPE_CHECKING:
    from pathlib import Path

START = round(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
RULES = """
[source.app]
paths = ["{log}"]
format = "json"
start_at = "beginning"

[rule.match]
kind = "match"
match = {{ level = "error" }}
group_by = "key"
cooldown = "30s"

[rule.distinct]
kind = "distinct"
distinct = "value"
match = {{ level = "error" }}
group_by = "key"
more_than = 4
within = "40s"
cooldown = "10s"

[rule.new_value]
kind = "new_value"
value = "value"
match = {{ level = "error" }}
group_by = "key"
learn = "5m"

[rule.change]
kind = "change"
value = "value"
match = {{ level = "error" }}
group_by = "key"
cooldown = "20s"
"""


def made(chance: random.Random, count: int) -> list[tuple[Event, str]]:
    """Make events, some of which no rule looks for, each with its level."""
    events, time = [], START
    for _ in range(count):
        time += chance.choice((0, 0, 1, 3, 9))
        # Most values are common, some come once.
        value = str(chance.choice((*"aaabbc", *"abcdefg", chance.randrange(1000))))
        events.append((Event(time, chance.choice("xyz"), value), chance.choice(("error", "info"))))
    return events


def line(event: Event, level: str) -> str:
    """Write an event down."""
    when = f"{datetime.fromtimestamp(event.time, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({"ts": when, "level": level, "key": event.key, "value": event.value}) + "\n"


@pytest.mark.timeout(120)
def test_live_with_kills_and_replayed_they_find_what_brute_force_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Appended in pieces of random size, kill -9 in between: the same alerts, the same ids."""
    chance = random.Random(5)
    happened = made(chance, 500)
    content = "".join(line(event, level) for event, level in happened).encode()
    log = tmp_path / "app.log"
    log.touch()
    rules = RULES.format(log=log)
    with (
        mailbox() as box,
        alertd(tmp_path, rules, box.port, 'join_older_than = "0s"\nmax_per_hour = 0') as daemon,
    ):
        daemon.start()
        position, kills = 0, 0
        while position < len(content):
            size = chance.choice((10, 100, 1000, 10_000))
            with log.open("ab") as file:
                file.write(content[position : position + size])
            position += size
            if position > (kills + 1) * len(content) // 4:
                kills += 1
                daemon.kill()
                daemon.start()
        daemon.wait_until_read(log)
        live = box.alerts()
        daemon.stop()
    capsys.readouterr()
    assert 0 == main(["replay", "--config", str(daemon.config), "--json"])
    replayed = [json.loads(one) for one in capsys.readouterr().out.splitlines()]

    assert kills >= 3
    assert live == {alert["id"] for alert in replayed}
    errors = [event for event, level in happened if level == "error"]
    for rule in config.load(daemon.config, {}).rules:
        found = [
            Found(
                datetime.fromisoformat(alert["time"]).timestamp(),
                alert["key"]["key"],
                alert["count"],
                tuple(alert.get("values", ())),
            )
            for alert in replayed
            if alert["rule"] == rule.name
        ]
        assert len(found) > 5
        assert with_cooldown(rule.cooldown, ORACLES[rule.kind](rule, errors)) == found
