"""
A question about a log, and its answer in the log's margin.

A log is written with a clock time before each line, and ``!`` before the lines that ring.  A line
that begins with ``*`` is not in the log: there time alone rings, for the key behind it.
``answered`` lets alertd read the log (a real configuration, a real file, a replay) and gives it
back as alertd marks it.  So ``assert log == answered(rules, log)``.
"""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from alertd import config
from alertd.matchers import compile_matchers
from alertd.replay import Recording, Replay

if TYPE_CHECKING:
    from collections.abc import Collection

    from alertd.config import Config
    from alertd.core.events import Alert

EMAIL = """
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd@example.com"
recipients = ["ops@example.com"]
"""
SOURCE = """
[source.log]
paths = ["/var/log/app.log"]
format = "{}"
"""
DAY = "2026-03-01"
"""That of clock times without one."""

_LINE = re.compile(r"(?P<indent> *)(?P<mark>[! ]) (?P<time>(?:[\d-]+T)?\d\d:[\d:.]+) (?P<text>.*)")


def load(directory: Path, rules: str, format_: str = "logfmt", source: str = "") -> Config:
    """Load a configuration of these rules, and of a source with these further keys."""
    path = directory / "alertd.toml"
    path.write_text(f"{EMAIL}{SOURCE.format(format_)}{source}\n{rules}")
    return config.load(path, {})


def ask(rules: str, content: str, format_: str = "logfmt", source: str = "") -> list[Alert]:
    """Replay a log as it is; return the alerts, without what says that they are over."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        settings = load(directory, rules, format_, source)
        log_file = directory / "app.log"
        log_file.write_text(content)
        matchers = compile_matchers(settings.sources, settings.rules)
        recordings = [Recording("log", log_file)]
        replay = Replay(settings.sources, settings.rules, matchers, recordings)
        return [alert for alerts in replay.run() for alert in alerts if alert.end is None]


def answered(
    rules: str, log: str, *, format_: str = "logfmt", source: str = "", rule: str | None = None
) -> str:
    """
    Give a log back with marks where alertd rings.

    Args:
        rules: The rules, as they stand in a configuration.
        log: The log with the marks that are expected, which change no answer.
        format_: The format of its lines.
        source: Further keys of its source.
        rule: Whose alerts to mark; without it those of all rules.
    """
    answer: list[list[str]] = []
    content, begins = "", {}
    for written in log.split("\n"):
        line = _LINE.fullmatch(written)
        if line is None:
            assert not written.strip(), f"neither empty nor a line of a log: {written!r}"
            answer.append([written])
        elif not line["text"].startswith("*"):
            begins[len(content.encode())] = (len(answer), _seconds(line["time"]))
            content += _stamped(line["time"], line["text"], format_)
            answer.append([line["indent"], " ", f" {line['time']} {line['text']}"])
    indent = next(line[0] for line in answer if len(line) > 1)
    alone = []
    for alert in ask(rules, content, format_, source):
        if rule not in {None, alert.rule}:
            continue
        number, time = begins.get(alert.offset, (0, None))
        if time is not None and time in {alert.time, alert.event_time}:
            # A line that rings twice is marked as no log is.
            answer[number][1] = "!" if answer[number][1] == " " else "?"
        else:
            alone.append(alert)
    for alert in reversed(alone):
        later = (number for number, time in begins.values() if time > alert.time)
        key = "".join(f" {name}={value}" for name, value in alert.key)
        answer.insert(
            min(later, default=len(answer)), [indent, "!", f" {_clock(alert.time)} *{key}"]
        )
    return "\n".join("".join(line) for line in answer)


def burst(
    begin: str, count: int, text: str, *, every: float = 1.0, rings: Collection[int] = ()
) -> str:
    """
    Write lines of a log.

    Args:
        begin: The time of the first one.
        count: How many.
        text: What each of them says.
        every: Seconds between two.
        rings: Which of them ring, from 1.
    """
    first = _seconds(begin)
    return "\n".join(
        f"{'!' if number in rings else ' '} {_clock(first + (number - 1) * every)} {text}"
        for number in range(1, count + 1)
    )


def _stamped(time: str, text: str, format_: str) -> str:
    """Write a line with its time, as its format has it."""
    time = f"{_full(time)}Z"
    if format_ == "json":
        return text.replace("{", f'{{"time": "{time}", ', 1) + "\n"
    return f"{time} {text}\n"


def _full(time: str) -> str:
    return time if "T" in time else f"{DAY}T{time}"


def _seconds(time: str) -> float:
    return datetime.fromisoformat(f"{_full(time)}+00:00").timestamp()


def _clock(time: float) -> str:
    """Write Unix seconds as a clock time, with its day if that is another."""
    moment = datetime.fromtimestamp(time, UTC)
    written = moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return written.removeprefix(f"{DAY}T").removesuffix("+00:00")
