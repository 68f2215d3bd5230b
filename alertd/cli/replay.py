"""``alertd replay``: what would it have said about old logs?"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import chain
from typing import TYPE_CHECKING

from alertd.cli.common import (
    Commands,
    add_command,
    add_config,
    add_paths,
    add_source,
    complain,
    load,
    local,
    say,
    with_progress,
)
from alertd.core.escape import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from alertd.config import Config
    from alertd.core.events import Alert
    from alertd.core.pipeline import Pipeline
    from alertd.core.timeline import Timeline
    from alertd.replay import Recording, Replay

FEWEST_COLUMNS = 60
FEWEST_CHARACTERS = 10

DESCRIPTION = """\
Run the rules over files that exist already, plain, .gz, .bz2 or .xz, in the order of their events,
and print the alerts.  Nothing is sent, and the daemon's state is left alone.

On a terminal, or with --timeline, a row for each rule shows when its lines came and when it rang.

Without PATH, all files are read that the sources' globs match.  A PATH without --source belongs to
the source whose glob matches it, or to the only one.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "replay", run, summary="run the rules over old files", description=DESCRIPTION
    )
    add_config(command)
    add_source(command)
    command.add_argument(
        "--json", action="store_true", help="one JSON object a line, an alert each"
    )
    command.add_argument(
        "--timeline",
        action="store_true",
        help="end with a row a rule that shows when its lines came (default: on a terminal)",
    )
    add_paths(command)


def run(arguments: argparse.Namespace) -> int:
    """Replay the files."""
    settings = load(arguments)
    if isinstance(settings, int):
        return settings
    from alertd import memory  # noqa: PLC0415 - likewise
    from alertd.matchers import compile_matchers  # noqa: PLC0415 - takes a while
    from alertd.replay import Replay, UnreadableError, recordings  # noqa: PLC0415 - likewise

    try:
        found = recordings(settings.sources, settings.rules, arguments.source, arguments.paths)
    except ValueError as error:
        complain([str(error)])
        return os.EX_USAGE
    memory.collect_seldom()
    try:
        replay = Replay(
            settings.sources,
            settings.rules,
            compile_matchers(settings.sources, settings.rules),
            found,
            year=arguments.year,
        )
        timeline = None
        if arguments.timeline or (sys.stdout.isatty() and not arguments.json):
            timeline = watch(replay, settings, found)
        return _report(replay, settings, found, timeline, as_json=arguments.json)
    except UnreadableError as error:
        complain([str(error)])
        return error.exit_code


def watch(replay: Replay, settings: Config, found: Sequence[Recording]) -> Timeline:
    """Let a timeline count what a replay is about to judge, for the rules that see its files."""
    from alertd.core.timeline import Timeline, Watched  # noqa: PLC0415 - for people only

    read = {recording.source for recording in found}
    timeline = Timeline(rule.name for rule in settings.rules if read & {*rule.sources})
    replay.pipeline.engine = Watched(settings.rules, timeline)
    return timeline


def _report(
    replay: Replay,
    settings: Config,
    found: Sequence[Recording],
    timeline: Timeline | None,
    *,
    as_json: bool,
) -> int:
    from alertd.core.render import alert_as_json  # noqa: PLC0415 - brings what mails are made of

    alerts = 0
    for alert in chain.from_iterable(with_progress(replay)):
        alerts += alert.end is None
        say(alert_as_json(alert) if as_json else _told(alert))
    note = sys.stderr if as_json else sys.stdout
    drawn = _drawn(timeline, replay) if timeline else []
    for line in (*drawn, *_summary(replay, settings, found, alerts)):
        print(line, file=note)
    return os.EX_OK


def _told(alert: Alert) -> str:
    from alertd.core.detectors import DETECTORS  # noqa: PLC0415 - for people only

    when = local(alert.time)
    key = "".join(f"  {name}={visible(value)}" for name, value in alert.key)
    if alert.end is not None:
        began = local(alert.end.began)
        return f"{when}  {alert.rule}{key}\n    resolved: {alert.end.what}, since {began}"
    told = (
        f"{when}  {alert.rule}{key}\n"
        f"    {DETECTORS[alert.kind].measure(alert)} {alert.since_last:,} since the alert before"
    )
    if alert.silence is None:
        return f"{told}; at {visible(alert.path)}:{alert.offset}\n    {visible(alert.line)}"
    last = alert.last[-1]
    if not last.path:
        return f"{told}; none is known"
    return f"{told}; the last one at {visible(last.path)}:{last.offset}\n    {visible(last.line)}"


def _drawn(timeline: Timeline, replay: Replay) -> Iterator[str]:
    """Draw a timeline as wide as the terminal, from the first line that was read to the last."""
    from alertd.core.wording import duration, plural  # noqa: PLC0415 - for people only

    span = timeline.span()
    if span is None:
        return
    begin, end = span
    begin, end = min(begin, replay.begin or begin), max(end, replay.end or end)
    columns = max(shutil.get_terminal_size().columns, FEWEST_COLUMNS)
    rows = timeline.rows(begin, end, 1)
    names = [visible(row.rule) for row in rows]
    sums = [f"{plural(row.lines, 'line')}, {plural(row.alerts, 'alert')}" for row in rows]
    left, right = max(map(len, names)), max(map(len, sums))
    width = max(columns - left - right - len(" || "), FEWEST_CHARACTERS)
    yield ""
    for name, row, total in zip(names, timeline.rows(begin, end, width), sums, strict=True):
        yield f"{name:<{left}} |{row.drawn}| {total:>{right}}"
    first, last = (local(time, "seconds") for time in (begin, end))
    yield f"{'':<{left}}  {first}{last:>{max(width - len(first), len(last) + 1)}}"
    yield f"Each character is {duration((end - begin) / width)}: . few lines, # most, ! an alert."
    yield ""


def _summary(
    replay: Replay, settings: Config, found: Sequence[Recording], alerts: int
) -> list[str]:
    """Say what was read, and what did not go as well as it might."""
    files = f"{len(found)} file{'s' if len(found) != 1 else ''}"
    lines = [
        f"{alerts:,} alert{'s' if alerts != 1 else ''}; {replay.total_bytes:,} bytes in {files}"
    ]
    used = {recording.source for recording in found}
    lines += [
        f"note: source {source.name} has no timestamps, so all its lines happened at one instant"
        for source in settings.sources
        if source.timestamp == "none" and source.name in used
    ]
    pipeline: Pipeline = replay.pipeline
    counters = pipeline.counters
    facts = {
        "lines came later than a newer one by more than lateness allows": pipeline.late,
        "lines had no time, nor had any before them": counters.untimed,
        "lines took a regex too long, and were left undecided": counters.undecided,
        "lines were longer than max_line": counters.cut,
        "candidate lines were not in the source's format": counters.unparsable,
        **{
            f"matches of rule {rule} lack a field that it needs": lines_without
            for rule, lines_without in counters.without_key.items()
        },
        **{
            f"keys of rule {rule} were forgotten at its max_keys": evicted
            for rule, evicted in pipeline.engine.evictions().items()
        },
    }
    lines += [f"note: {number:,} {fact}" for fact, number in facts.items() if number]
    return lines
