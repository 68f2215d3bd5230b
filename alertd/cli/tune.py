"""``alertd tune``: which limit would have been the right one for old logs?"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
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
    from alertd.core.rules import Rule
    from alertd.core.tuning import Recorder, Tuning

DESCRIPTION = """\
Say how often a rule would have mailed over files that exist already, plain, .gz, .bz2 or .xz, with
other limits and windows, and which limit gives about one mail a day.  The numbers are those that
`alertd replay` gives for a configuration that is changed so.  Nothing is sent or changed.

Without PATH, all files are read that the globs of the rule's sources match.  Of more than 200,000
matching lines, the first 200,000 are judged, and what is behind them is not read.
"""

DAY = 86_400.0
FEWEST_COLUMNS = 40


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "tune", run, summary="find a rule's limit by old files", description=DESCRIPTION
    )
    add_config(command)
    add_source(command)
    command.add_argument("rule", metavar="RULE", help="the rule's name")
    add_paths(command)


def run(arguments: argparse.Namespace) -> int:
    """Read the files, and say what other settings would have given."""
    settings = load(arguments)
    if isinstance(settings, int):
        return settings
    from alertd.config.kinds import MOST_EVENTS  # noqa: PLC0415 - not for --help
    from alertd.core.tuning import Tuning  # noqa: PLC0415 - likewise
    from alertd.replay import UnreadableError  # noqa: PLC0415 - likewise

    try:
        rule = _rule(settings, arguments.rule)
        recorder, span = _recorded(settings, rule, arguments)
    except ValueError as error:
        complain([str(error)])
        return os.EX_USAGE
    except UnreadableError as error:
        complain([str(error)])
        return error.exit_code
    if span is None:
        complain(
            ["no lines match that are some time apart, so there is nothing to tune: alertd replay"]
        )
        return os.EX_DATAERR
    tuning = Tuning(rule, recorder, largest=MOST_EVENTS)
    for line in (*told(rule, tuning, span[1] - span[0]), *_what_was_read(recorder, span)):
        say(line)
    return os.EX_OK


def _rule(settings: Config, name: str) -> Rule:
    """
    Find the rule.

    Raises:
        ValueError: There is none, or it has nothing to tune.
    """
    from alertd.core.tuning import TUNABLE  # noqa: PLC0415 - not for --help

    rule = next((rule for rule in settings.rules if rule.name == name), None)
    if rule is None:
        names = ", ".join(rule.name for rule in settings.rules)
        raise ValueError(f"there is no rule {visible(name)}; there are {names}")
    if rule.kind not in TUNABLE:
        raise ValueError(
            f'rule {name} is of kind "{rule.kind}", which does not count up to a limit within a '
            f"window; only these do: {', '.join(TUNABLE)}"
        )
    return rule


def _recorded(
    settings: Config, rule: Rule, arguments: argparse.Namespace
) -> tuple[Recorder, tuple[float, float] | None]:
    """
    Read the files; return what the rule was looking for, and from when to when they are.

    Raises:
        ValueError: It cannot be told what to read.
        UnreadableError: It cannot be read.
    """
    from alertd import memory  # noqa: PLC0415 - not for --help
    from alertd.core import tuning  # noqa: PLC0415 - likewise
    from alertd.matchers import compile_matchers  # noqa: PLC0415 - takes a while
    from alertd.replay import Replay, recordings  # noqa: PLC0415 - likewise

    found = recordings(settings.sources, [rule], arguments.source, arguments.paths)
    memory.collect_seldom()
    matchers = compile_matchers(settings.sources, [rule])
    replay = Replay(settings.sources, [rule], matchers, found, year=arguments.year)
    recorder = replay.pipeline.engine = tuning.Recorder(rule, tuning.MOST_MATCHES)
    with closing(with_progress(replay)) as pieces:
        for _ in pieces:
            if recorder.is_full:
                break
    begin, end = replay.begin, recorder.times[-1] if recorder.is_full else replay.end
    if not recorder.times or begin is None or end is None or begin == end:
        return recorder, None
    return recorder, (begin, end)


def _what_was_read(recorder: Recorder, span: tuple[float, float]) -> Iterator[str]:
    first, last = (local(time, "seconds") for time in span)
    yield f"{len(recorder.times):,} matching lines, in logs from {first} to {last}"
    if recorder.is_full:
        yield "note: there are more, which were not read; name fewer files to see other times"
    if span[1] - span[0] < DAY:
        yield "note: that is less than a day, so what would come in a day is a guess"


def told(rule: Rule, tuning: Tuning, seconds: float) -> Iterator[str]:
    """Tell what other settings would have given in that time: a table, a plot and a proposal."""
    from alertd.core.tuning import MORE_SHARES, SHARES  # noqa: PLC0415 - not for --help
    from alertd.core.wording import exactly  # noqa: PLC0415 - likewise

    days = seconds / DAY
    proposed = tuning.limit_for(max(1, round(days)))
    more = [] if proposed is None else [proposed]
    quiet = f"cooldown {exactly(rule.cooldown)}" if rule.cooldown else "no cooldown"
    yield f"{rule.name}: alerts a day, by within and more_than, {quiet}; * is what it has now"
    yield ""
    yield from _table(rule, tuning, sorted({*tuning.limits(SHARES), *more}), days)
    yield ""
    yield f"alerts in all, by more_than, within {exactly(rule.within)}"
    yield ""
    limits = sorted({*tuning.limits((*SHARES, *MORE_SHARES)), *more})
    yield from _plot(rule, tuning, limits)
    yield ""
    yield _proposal(rule, tuning, proposed, seconds)


def _proposal(rule: Rule, tuning: Tuning, limit: int | None, seconds: float) -> str:
    from alertd.core.wording import duration, plural  # noqa: PLC0415 - not for --help

    if limit is None:
        return "no limit gives so few as one mail a day"
    alerts = tuning.alerts(limit, rule.within)
    text = f"about one mail a day: more_than = {limit}, {plural(alerts, 'alert')}"
    text += f" in {duration(seconds)}"
    return f"{text}; one less gives {tuning.alerts(limit - 1, rule.within):,}" if limit else text


def _table(rule: Rule, tuning: Tuning, limits: Sequence[int], days: float) -> Iterator[str]:
    from alertd.core.wording import exactly  # noqa: PLC0415 - not for --help

    rows = [["", *(f"{_mark(limit == rule.more_than)}{limit:,}" for limit in limits)]]
    for within in tuning.windows():
        per_day = [_rate(tuning.alerts(limit, within) / days) for limit in limits]
        rows.append([f"{_mark(within == rule.within)}{exactly(within)}", *per_day])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))


def _plot(rule: Rule, tuning: Tuning, limits: Sequence[int]) -> Iterator[str]:
    counts = [tuning.alerts(limit, rule.within) for limit in limits]
    names = [f"{_mark(limit == rule.more_than)}{limit:,}" for limit in limits]
    left, right = max(map(len, names)), max(len(f"{count:,}") for count in counts)
    columns = max(shutil.get_terminal_size().columns, FEWEST_COLUMNS)
    width = columns - left - right - len(" | ")
    for name, count in zip(names, counts, strict=True):
        # One alert is seen, and only the highest number is as long as there is room.
        bar = "#" * -(-count * width // max(counts[0], 1))
        yield f"{name:>{left}} |{bar} {count:,}"


def _mark(is_own: bool) -> str:  # noqa: FBT001 - a claim, not a flag
    return "*" if is_own else ""


def _rate(per_day: float) -> str:
    return f"{per_day:,.0f}" if per_day >= 100 else f"{per_day:.3g}"  # noqa: PLR2004 - three digits
