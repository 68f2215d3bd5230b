"""Logs of random events, in every format, and the alerts that brute force finds in them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
SEVERITIES = ("Info", "Info", "Info", "Info", "Error", "Error", "fatal", "Fatal")
KEYS = ("com.example.shop", "com.example.maps", 'say "hi", bob', "Größe", "a\\b", "10.0.0.1")
PLAIN_KEYS = ("shop", "maps", "10.0.0.1", "Größe", "a\\b", '"q"')


@dataclass(frozen=True, slots=True)
class Event:
    """
    What one line says.

    Attributes:
        micros: Its time in microseconds since 1970.
        severity: The rule looks for ``Fatal``.
        key: What the rule groups by.
        noise: Something else.
    """

    micros: int
    severity: str
    key: str
    noise: str


@dataclass(frozen=True, slots=True)
class Question:
    """A rule: when is it too much?"""

    more_than: int
    within_ms: int
    cooldown_ms: int
    is_grouped: bool

    def table(self, match: str) -> str:
        """Write it as a rule."""
        group_by = 'group_by = "key"' if self.is_grouped else ""
        return f"""
[rule.fatal]
match = {match}
{group_by}
more_than = {self.more_than}
within = "{self.within_ms}ms"
cooldown = "{self.cooldown_ms}ms"
"""


Found = tuple[str, str, int]
"""An alert: its key, its time in RFC 3339 with microseconds, and its count."""


def events(chance: random.Random, count: int, format_: str) -> list[Event]:
    """Make random events in time order, some at the same time, with pauses of all lengths."""
    micros = round(START) * 1_000_000
    keys = KEYS if format_ in {"csv", "json", "logfmt"} else PLAIN_KEYS
    made = []
    for _ in range(count):
        if format_ == "syslog":
            micros += chance.choice((0, 0, 0, 1, 1, 2, 30)) * 1_000_000
        else:
            micros += chance.choice((0, 1, 1000, 250_000, 1_000_000, 20_000_000))
        made.append(
            Event(
                micros,
                chance.choice(SEVERITIES),
                chance.choice(keys),
                chance.choice(
                    ("", "plain", 'quo"ted', "com,ma", "ü \U0001f642", "Fatal", "\\u0046")
                ),
            )
        )
    return made


def line(event: Event, format_: str, chance: random.Random) -> str:
    """Write an event as a line, in one of the ways in which its format lets it be written."""
    when = datetime.fromtimestamp(event.micros // 1_000_000, UTC)
    fraction = f"{event.micros % 1_000_000:06}"
    iso = f"{when:%Y-%m-%dT%H:%M:%S}.{fraction}Z"
    match format_:
        case "csv":
            row = io.StringIO()
            fields = [iso, event.severity, event.key, event.noise]
            if chance.random() < 0.5:
                csv.writer(row, lineterminator="").writerow(fields)
            else:
                csv.writer(row, quoting=csv.QUOTE_ALL, lineterminator="").writerow(fields)
            return row.getvalue()
        case "json":
            members = [
                ("ts", iso),
                ("level", {"name": event.severity}),
                ("key", event.key),
                ("noise", event.noise),
            ]
            chance.shuffle(members)
            separators = chance.choice(((",", ":"), (", ", ": "), (" ,", " :")))
            text = json.dumps(
                dict(members), separators=separators, ensure_ascii=chance.random() < 0.5
            )
            return text.replace("Fatal", chance.choice(("Fatal", "\\u0046atal")))
        case "syslog":
            stamp = f"{when:%b} {when.day:2} {when:%H:%M:%S}"
            said = f"{event.severity} {event.key} {event.noise}"
            return f"{stamp} db-1 app[{chance.randrange(9999)}]: {said}"
        case _:
            return f"{iso} {event.severity} {event.key} {event.noise}"


SOURCES = {
    "csv": ('format = "csv"\ncolumns = ["ts", "severity", "key", "noise"]\ntimestamp = "ts"'),
    "json": 'format = "json"\ntimestamp = "ts"',
    "syslog": 'format = "syslog"',
    "plain": "",
}
MATCHES = {
    "csv": '{ severity = "Fatal" }',
    "json": '{ "level.name" = "Fatal" }',
    "syslog": r"'app\[\d+\]: Fatal (?P<key>\S+)'",
    "plain": r"'^\S+ Fatal (?P<key>\S+)'",
}


def settings(question: Question, format_: str, glob: str, more: str = "") -> str:
    """Write the source and the rule."""
    return f"""
[source.app]
paths = ["{glob}"]
timezone = "UTC"
{SOURCES[format_]}
{more}
{question.table(MATCHES[format_])}
"""


def brute_force(events_in_order: Sequence[Event], question: Question) -> list[Found]:
    """Count every event anew each time."""
    seen: dict[str, list[int]] = {}
    previous: dict[str, int] = {}
    found = []
    for event in events_in_order:
        if event.severity != "Fatal":
            continue
        key = event.key if question.is_grouped else ""
        times = seen.setdefault(key, [])
        times.append(event.micros)
        count = sum(event.micros - time < question.within_ms * 1000 for time in times)
        rests_until = previous.get(key, -(10**18)) + question.cooldown_ms * 1000
        if count > question.more_than and event.micros >= rests_until:
            previous[key] = event.micros
            found.append((key, rfc3339(event.micros), question.more_than + 1))
    return found


def found(alert: dict[str, object]) -> Found:
    """Return of an alert, as ``replay --json`` prints it, what brute force knows too."""
    key = alert["key"]
    count = alert["count"]
    assert isinstance(key, dict)
    assert isinstance(count, int)
    since = datetime.fromisoformat(str(alert["time"])) - datetime.fromtimestamp(0, UTC)
    micros = since // timedelta(microseconds=1)
    return str(key.get("key", "")), rfc3339(micros), count


def rfc3339(micros: int) -> str:
    """Write a time with all its microseconds."""
    when = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{micros % 1_000_000:06}Z"


def write(path: Path, lines: Sequence[str]) -> None:
    """Write a file of lines."""
    path.write_text("".join(f"{line}\n" for line in lines))
