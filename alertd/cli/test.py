"""``alertd test``: do the rules do what their tests expect?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, add_config, complain, load, say
from alertd.core.escape import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from alertd.core.rule_tests import Line, Result

DESCRIPTION = """\
Run the tests that the rules have in the configuration, [[rule.NAME.test]], and say of each whether
it passes.  For one that fails, say what came instead, and what the rule makes of each line.

The daemon does the same when it starts and when it reloads, and refuses a rule that fails.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "test", run, summary="run the rules' own tests", description=DESCRIPTION
    )
    add_config(command)
    command.add_argument(
        "rules", nargs="*", metavar="RULE", help="a rule's name (default: all that have tests)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the tests."""
    settings = load(arguments)
    if isinstance(settings, int):
        return settings
    from alertd.core.rule_tests import run_tests  # noqa: PLC0415 - not for --help
    from alertd.matchers import compile_matchers  # noqa: PLC0415 - takes a while

    names = [rule.name for rule in settings.rules]
    unknown = [name for name in arguments.rules if name not in names]
    if unknown:
        complain(
            f"there is no rule {visible(name)}; there are {', '.join(names)}" for name in unknown
        )
        return os.EX_USAGE
    tests = [test for test in settings.tests if test.rule in (arguments.rules or names)]
    if not tests:
        say("no tests; write one as a table [[rule.NAME.test]] with lines and alerts")
        return os.EX_OK
    failed = 0
    matchers = compile_matchers(settings.sources, settings.rules)
    for result in run_tests(tests, settings.rules, settings.sources, matchers):
        failed += bool(result.problem)
        for told in _told(result):
            say(told)
    say(f"{len(tests) - failed:,} passed, {failed:,} failed")
    return os.EX_CONFIG if failed else os.EX_OK


def _told(result: Result) -> Iterator[str]:
    if not result.problem:
        yield f"ok    {result.name}"
        return
    yield f"FAIL  {result.name}: {result.problem}"
    for line in result.lines:
        yield f"        {line.number}  {visible(line.text)}"
        yield f"           {_verdict(line)}"


def _verdict(line: Line) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - for what fails only

    from alertd.core.rule_tests import told  # noqa: PLC0415 - likewise

    if line.key is None:
        return f"does not count: {visible(line.reason)}"
    verdict = f"counts for {told(line.key)}" if line.key else "counts"
    for alert in line.alerts:
        when = datetime.fromtimestamp(alert.time, UTC)
        verdict += f"; rings at {when:%Y-%m-%d %H:%M:%S} UTC with a count of {alert.count:,}"
    return verdict
