"""``alertd explain``: how one line is understood, and what each rule makes of it."""

from __future__ import annotations

import os
import socket
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, add_config, add_source, complain, load, say
from alertd.core.escape import visible

if TYPE_CHECKING:
    import argparse

    from alertd.core.framing import Framing
    from alertd.core.matching import Explanation
    from alertd.core.rules import Source

DESCRIPTION = """\
Say how a line is split into fields, which time it gives, and for every rule whether it counts, and
if not, why.  Without --source, every source is asked.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "explain", run, summary="say what becomes of one line", description=DESCRIPTION
    )
    add_config(command)
    add_source(command)
    command.add_argument("line", metavar="LINE", help="the line; - reads it from standard input")


def run(arguments: argparse.Namespace) -> int:
    """Explain the line."""
    settings = load(arguments)
    if isinstance(settings, int):
        return settings
    from alertd.core.own import LOOKED_INTO, OwnLines  # noqa: PLC0415 - not for --help
    from alertd.matchers import compile_matchers, watched  # noqa: PLC0415 - takes a while

    sources = watched(settings.sources, settings.rules)
    if arguments.source is not None:
        sources = [source for source in sources if source.name == arguments.source]
        if not sources:
            names = ", ".join(source.name for source in settings.sources)
            complain([f"--source {arguments.source}: no rule watches it; there are {names}"])
            return os.EX_USAGE
    line = sys.stdin.buffer.readline() if arguments.line == "-" else os.fsencode(arguments.line)
    matchers = compile_matchers(settings.sources, settings.rules)
    own_lines = OwnLines(socket.gethostname())
    for source in sources:
        explanation = matchers[source.name].explain(line, framing_of(source), time.time())
        is_own = source.format in LOOKED_INTO and explanation.text in own_lines
        for told in _told(source, explanation, is_own=is_own):
            say(told)
    return os.EX_OK


def framing_of(source: Source) -> Framing:
    """Learn what a line of a source needs to be understood: for csv, a file's first line."""
    from alertd.core.framing import Framing  # noqa: PLC0415 - after the configuration is right
    from alertd.core.records import learn_header  # noqa: PLC0415 - likewise
    from alertd.files import files_of  # noqa: PLC0415 - likewise

    framing = Framing()
    if source.format == "csv" and not source.columns:
        for path in files_of(source):
            try:
                with path.open("rb") as file:
                    first = file.readline(source.max_line)
            except OSError:
                continue
            if first:
                learn_header(source, framing, first)
                break
    return framing


def _told(source: Source, explanation: Explanation, *, is_own: bool) -> list[str]:

    lines = [f"source {source.name} ({source.format})"]
    if explanation.is_unparsable:
        lines.append(f"  is not {source.format}: it has no fields but its text")
    if source.format == "csv" and not explanation.fields:
        lines.append("  has no fields: no file is there yet whose first line names them")
    width = max((len(name) for name in explanation.fields), default=0)
    lines += [
        f"  {visible(name):<{width}} = {visible(value)}"
        for name, value in explanation.fields.items()
    ]
    if explanation.time is not None:
        when = datetime.fromtimestamp(explanation.time, source.timezone)
        lines.append(f"  time: {when.isoformat(sep=' ')}")
    elif source.timestamp == "none":
        lines.append("  time: that of reading, as the source has it")
    else:
        lines.append("  time: none found; it would take that of the line before")
    if is_own:
        lines.append("  left out: alertd wrote it, or a mail server about a mail of alertd's")
    for verdict in explanation.verdicts:
        key = ", ".join(f"{name} = {visible(value)}" for name, value in verdict.key)
        mark = "counts" if verdict.is_match and not is_own else "does not count"
        lines.append(f"  rule {verdict.rule}: {mark}{f' for {key}' if key else ''}")
        if verdict.reason:
            lines.append(f"    {visible(verdict.reason)}")
    return lines
