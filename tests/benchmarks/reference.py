"""
The rules in plain Python, line by line: what everything else is compared with.

    python reference.py loop|index < JOB > ANSWER

``loop`` is what one would write first: every regex on every line.  ``index`` gives the same answer
and looks up which regexes a line could match by its words, since the first takes minutes for a
thousand.  Neither shares a line of code with alertd.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Found: TypeAlias = tuple[str, str]
"""A rule and the key of a line that matches it."""


class Event(NamedTuple):
    """A line that a rule was looking for; events sort in the order in which they count."""

    time: float
    file: str
    offset: int
    rule: str
    key: str


class Rule(NamedTuple):
    """
    What to look for.

    Attributes:
        name: The rule's name.
        word: A word that all its lines have, for ``index``.
        regex: Searched in a plain line; its only group is the key.
        field: In records, the field that must equal ``word``.
    """

    name: str
    word: str
    regex: str
    field: str


class Job(NamedTuple):
    """
    What to do.

    Attributes:
        path: A log, or a directory of them.
        format: "plain", "json" or "csv".
        rules: What to look for.
        key: The field that is counted by, in records.
        time: The field of a record's time; of a plain line, how it is written.
        more_than: Events that are still fine.
        within: Seconds.
        cooldown: Seconds.
    """

    path: str
    format: str
    rules: list[Rule]
    key: str
    time: str
    more_than: int
    within: float
    cooldown: float


@cache
def syslog_time(text: str) -> float:
    """Read a time without a year; any leap year will do, since only distances count."""
    return datetime.strptime(f"2024 {text}", "%Y %b %d %H:%M:%S").replace(tzinfo=UTC).timestamp()


def iso_time(text: str) -> float:
    """Read a time."""
    return datetime.fromisoformat(text).timestamp()


def plain_loop(rules: list[Rule]) -> Callable[[bytes], list[Found]]:
    """Search every regex in a line."""
    searches = [(rule.name, re.compile(rule.regex.encode()).search) for rule in rules]

    def found(line: bytes) -> list[Found]:
        return [(name, match[1].decode()) for name, search in searches if (match := search(line))]

    return found


def plain_index(rules: list[Rule]) -> Callable[[bytes], list[Found]]:
    """Search the regexes in a line whose word it has."""
    if len(rules) == 1:
        return plain_loop(rules)
    by_word = {rule.word.encode(): plain_loop([rule]) for rule in rules}

    def found(line: bytes) -> list[Found]:
        words = by_word.keys() & line.split()
        return [pair for word in words for pair in by_word[word](line)]

    return found


def plain_events(job: Job, path: Path, *, by_index: bool) -> Iterator[Event]:
    """Find what matches in lines."""
    found = (plain_index if by_index else plain_loop)(job.rules)
    offset = 0
    with path.open("rb") as file:
        for line in file:
            for name, key in found(line):
                is_syslog = job.time == "syslog"
                time = (
                    syslog_time(line[:15].decode()) if is_syslog else iso_time(line[:24].decode())
                )
                yield Event(time, path.name, offset, name, key)
            offset += len(line)


def record_events(job: Job, path: Path, *, by_index: bool) -> Iterator[Event]:
    """Find what matches in records."""
    field = job.rules[0].field
    by_value = {rule.word: [rule] for rule in job.rules}
    offset = 0
    names: list[str] = []
    with path.open("rb") as file:
        for raw in file:
            line = raw.decode()
            if job.format == "json":
                record = json.loads(line)
            elif names:
                record = dict(zip(names, next(csv.reader([line])), strict=True))
            else:
                names, record = line.rstrip("\n").split(","), {}
            value = record.get(field)
            for rule in by_value.get(value, ()) if by_index else job.rules:
                if value == rule.word:
                    time = iso_time(record[job.time])
                    yield Event(time, path.name, offset, rule.name, record[job.key])
            offset += len(raw)


def alerts(job: Job, events: list[Event]) -> Iterator[Event]:
    """Count every event's window by looking at all events that are still in it."""
    windows: dict[Found, list[float]] = defaultdict(list)
    quiet_until: dict[Found, float] = {}
    for event in events:
        group = (event.rule, event.key)
        window = windows[group]
        window.append(event.time)
        while window[0] <= event.time - job.within:
            del window[0]
        if len(window) > job.more_than and event.time >= quiet_until.get(group, 0):
            quiet_until[group] = event.time + job.cooldown
            yield event


def main() -> None:
    """Do a job."""
    job = Job(*json.load(sys.stdin))
    job = job._replace(rules=[Rule(*rule) for rule in job.rules])
    events_of = plain_events if job.format == "plain" else record_events
    path = Path(job.path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    events = [
        event for file in files for event in events_of(job, file, by_index=sys.argv[1] == "index")
    ]
    events.sort()
    raised = Counter(
        (event.rule, event.key, event.file, event.offset) for event in alerts(job, events)
    )
    lines = len({(event.file, event.offset) for event in events})
    json.dump(
        {"events": len(events), "lines": lines, "alerts": sorted(raised.elements())}, sys.stdout
    )


if __name__ == "__main__":
    main()
