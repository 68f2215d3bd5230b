"""Rules of every kind, in the daemon and in a replay."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from core.detectors.oracles import (
    ORACLES,
    Event,
    Found,
    Resolved,
    different,
    resolutions,
    spikes,
    too_many,
    with_cooldown,
)
from living import alertd, mailbox

from alertd import config
from alertd.cli import main
from alertd.core.rules import Conjunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from alertd.core.rules import Rule, Selector

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

[rule.ratio]
kind = "ratio"
match = {{ level = "error" }}
group_by = "key"
more_than = "60%"
min_total = 5
within = "3m"
cooldown = "20s"

[rule.ratio-of]
kind = "ratio"
match = {{ level = "error" }}
of = {{ value = "a" }}
group_by = "key"
more_than = "40%"
within = "2m"
cooldown = "20s"

[rule.metric]
kind = "metric"
metric = "p90"
value = "number"
match = {{ level = "error" }}
group_by = "key"
more_than = 700.5
within = "2m"
cooldown = "10s"

[rule.metric-below]
kind = "metric"
metric = "avg"
value = "number"
match = {{ level = "error" }}
group_by = "key"
less_than = 640.25
min_total = 3
within = "2m"
cooldown = "10s"

[rule.sequence]
kind = "sequence"
step = [
  {{ match = {{ level = "error" }}, count = 3 }},
  {{ match = {{ value = "a" }}, unless = {{ level = "info" }} }},
  {{ match = {{ level = "info" }} }},
]
group_by = "key"
within = "1m"
cooldown = "50s"

[rule.sequence-absent]
kind = "sequence"
step = [
  {{ match = {{ level = "error" }}, count = 2 }},
  {{ match = {{ level = "info", value = ["a", "b"] }}, absent = true }},
]
group_by = "key"
within = "25s"
cooldown = "30s"

[rule.spike]
kind = "spike"
match = {{ level = "error" }}
group_by = "key"
times = 1.5
min_count = 3
within = "40s"
cooldown = "20s"

[rule.spike-of-the-day]
kind = "spike"
match = {{ level = "error" }}
group_by = "key"
times = 1.1
min_count = 3
within = "1m"
cooldown = "20s"
baseline = "3d"
"""


RULES += """
[rule.alerts]
kind = "alerts"
of = ["match", "change"]
group_by = "key"
more_than = 3
within = "40s"
cooldown = "10s"
resolve = true

[rule.alerts-of-rules]
kind = "alerts"
of = ["*"]
distinct = "rule"
more_than = 5
within = "30s"
cooldown = "10s"
"""


def made(chance: random.Random, count: int) -> list[tuple[Event, str]]:
    """Make events of two days, some of which no rule looks for, each with its level."""
    events, time = [], START
    for number in range(count):
        time += chance.choice((0, 0, 1, 3, 9))
        if number == count // 2:
            time = START + 86_400
        # Most values are common, some come once.
        value = str(chance.choice((*"aaabbc", *"abcdefg", chance.randrange(1000))))
        events.append((Event(time, chance.choice("xyz"), value), chance.choice(("error", "info"))))
    return events


def number(event: Event) -> str:
    """Give an event a number, which its value decides."""
    return f"{sum(map(ord, event.value)) * 37 % 1000}.5"


def judged(rule: Rule, happened: Sequence[tuple[Event, str]]) -> list[Event]:
    """Give the events that a rule judges, with the value that it judges."""
    if rule.kind == "ratio":
        return [
            event._replace(value="x" if level == "error" else "y")
            for event, level in happened
            if not rule.of or event.value == "a"
        ]
    if rule.kind == "sequence":
        return [
            event._replace(value=steps)
            for event, level in happened
            if (steps := fitting(rule, {"level": level, "value": event.value}))
        ]
    errors = [event for event, level in happened if level == "error"]
    if rule.kind == "metric":
        return [event._replace(value=number(event)) for event in errors]
    return errors


def fitting(rule: Rule, fields: dict[str, str]) -> str:
    """Give the numbers of the steps for which a line will do."""

    def is_found(selector: Selector) -> bool:
        return any(
            all(
                fields[one.field]
                in (one.operand if isinstance(one.operand, tuple) else [one.operand])
                for one in alternative.conditions
            )
            for alternative in selector
            if isinstance(alternative, Conjunction)
        )

    return "".join(
        str(number)
        for number, step in enumerate(rule.steps, start=1)
        if is_found(step.match) and not is_found(step.unless)
    )


def line(event: Event, level: str) -> str:
    """Write an event down."""
    when = f"{datetime.fromtimestamp(event.time, UTC):%Y-%m-%dT%H:%M:%SZ}"
    fields = {"ts": when, "level": level, "key": event.key, "value": event.value}
    return json.dumps({**fields, "number": float(number(event))}) + "\n"


def heard(rule: Rule, replayed: Sequence[dict[str, Any]]) -> list[Event]:
    """Give the alerts that a rule sees of others, as events."""
    return [
        Event(
            datetime.fromisoformat(alert["time"]).timestamp(),
            alert["key"].get("key", "") if rule.group_by else "",
            alert["rule"],
        )
        for alert in replayed
        if alert["rule"] in rule.watches and "resolves" not in alert
    ]


def of_kind(rule: Rule) -> Callable[[Rule, Sequence[Event]], Iterator[Found]]:
    """Give what finds by brute force what a rule does."""
    if rule.watches:
        return different if rule.value else too_many
    return ORACLES[rule.kind]


def resolved(alert: dict[str, Any]) -> Resolved:
    """Give what an oracle knows of a resolution, as ``replay --json`` prints it."""
    time, began, ended = (
        datetime.fromisoformat(alert[name]).timestamp() for name in ("time", "began", "ended")
    )
    return Resolved(time, alert["key"]["key"], began, ended, alert["events"], alert["alerts"])


@pytest.mark.timeout(120)
def test_live_with_kills_and_replayed_they_find_what_brute_force_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Appended in pieces of random size, kill -9 in between: the same alerts, the same ids."""
    chance = random.Random(5)
    happened = made(chance, 500)
    # Live, time passes beyond the last line.
    end = happened[-1][0].time + 600
    happened += [(Event(end, key, "a"), "info") for key in "xyz"]
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
        daemon.wait_until_read(log, within=90)
        live, over = box.alerts(), box.resolutions()
        daemon.stop()
    capsys.readouterr()
    assert 0 == main(["replay", "--config", str(daemon.config), "--json"])
    replayed = [json.loads(one) for one in capsys.readouterr().out.splitlines()]

    assert kills >= 3
    assert live == {alert["id"] for alert in replayed if "resolves" not in alert}
    # Live, time goes on until everything is over.
    ended = {alert["resolves"]: alert["id"] for alert in replayed if "resolves" in alert}
    assert ended.items() <= over.items()
    for rule in config.load(daemon.config, {}).rules:
        found = [
            Found(
                datetime.fromisoformat(alert["time"]).timestamp(),
                alert["key"].get("key", ""),
                alert["count"],
                tuple(alert.get("values", ())),
            )
            for alert in replayed
            if alert["rule"] == rule.name and "resolves" not in alert
        ]
        assert len(found) > 5
        events = judged(rule, happened)
        if rule.watches:
            events = heard(rule, replayed)
        findings = (
            spikes(rule, events, since=happened[0][0].time)
            if rule.kind == "spike"
            else of_kind(rule)(rule, events)
        )
        passed = list(findings)
        # Of one time, keys come in the order of their lines.
        assert sorted(with_cooldown(rule.cooldown, iter(passed))) == sorted(found)
        if rule.resolve:
            its = [one for one in replayed if one["rule"] == rule.name and "resolves" in one]
            assert resolutions(rule, passed, end) == sorted(map(resolved, its))
