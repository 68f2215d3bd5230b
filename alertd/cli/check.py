"""``alertd check``: is the configuration right, and what does it mean?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, add_config, complain, load, say
from alertd.core.escape import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from alertd.core.matching import Strategy
    from alertd.core.rules import Source

# The part of all lines that a rule should not test exactly, and how many must be known to tell.
MUCH = 0.2
ENOUGH = 100

DESCRIPTION = """\
Validate everything that the daemon would refuse, all errors at once, run the rules' tests, and say
in one sentence what each rule means, how its lines are found, and how much memory it may hold.

Nothing is changed, and nothing is sent.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "check",
        run,
        summary="validate the configuration and say what it means",
        description=DESCRIPTION,
    )
    add_config(command)


def run(arguments: argparse.Namespace) -> int:
    """Check the configuration."""
    settings = load(arguments, with_password=True)
    if isinstance(settings, int):
        return settings
    from alertd.config.units import spell_size  # noqa: PLC0415
    from alertd.core.engine import EVIDENCE_BYTES, worst_case_bytes  # noqa: PLC0415
    from alertd.core.rule_tests import run_tests  # noqa: PLC0415
    from alertd.core.sentences import sentence  # noqa: PLC0415
    from alertd.matchers import compile_matchers, sample_of  # noqa: PLC0415

    matchers = compile_matchers(settings.sources, settings.rules)
    results = run_tests(settings.tests, settings.rules, settings.sources, matchers)
    failed = [result.refusal for result in results if result.problem]
    if failed:
        complain(f"{visible(str(settings.path))}: {refusal}" for refusal in failed)
        return os.EX_CONFIG
    ways: dict[str, list[str]] = {rule.name: [] for rule in settings.rules}
    for name, matcher in matchers.items():
        sample = sample_of(matcher.source)
        is_telling = sample.count(b"\n") >= ENOUGH
        for strategy in matcher.strategies(sample if is_telling else b""):
            ways[strategy.rule].append(f"{name}: {strategy.description}{_in_sample(strategy)}")
    for rule in settings.rules:
        say(sentence(rule))
        for way in dict.fromkeys(ways[rule.name]):
            say(f"    in {way}")
        keys = f", {rule.max_keys:,} keys" if rule.group_by else ""
        say(f"    holds at most {spell_size(worst_case_bytes(rule))}{keys}")
    total = sum(worst_case_bytes(rule) for rule in settings.rules) + EVIDENCE_BYTES
    say()
    for source in settings.sources:
        say(_files(source))
    warnings = [
        *settings.warnings,
        *_would_watch_itself(settings.sources, settings.state.directory),
    ]
    say(
        f"all rules together hold at most {spell_size(total)} "
        f"of the {spell_size(settings.memory_max)} that memory_max allows"
    )
    tests = len(settings.tests)
    if tests:
        say("the rules pass their test" if tests == 1 else f"the rules pass all {tests:,} tests")
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"{settings.path}: no errors")
    return os.EX_OK


def _in_sample(strategy: Strategy) -> str:
    """Say it if much of what is in the files now would be tested exactly, which takes time."""
    if strategy.share is None or strategy.share < MUCH:
        return ""
    return f"; {strategy.share:.0%} of the lines that are there have it, so this rule is slow"


def _would_watch_itself(sources: Sequence[Source], state: Path) -> Iterator[str]:
    """Warn of files that the daemon will leave out because it writes them itself."""
    from alertd.files import files_of  # noqa: PLC0415 - after the configuration is right

    output = _output_of_daemon(state)
    for source in sources:
        for path in files_of(source):
            if state.resolve() in path.resolve().parents or any(map(path.samefile, output)):
                yield (
                    f"source {source.name}: would watch own output: {path}, which alertd writes"
                    " itself, is left out; narrow the glob or exclude it"
                )


def _output_of_daemon(state: Path) -> list[Path]:
    """Return the files that the daemon on this state logs to, if one runs."""
    try:
        process = Path("/proc") / (state / "state.lock").read_text().strip()
        if b"alertd" not in (process / "cmdline").read_bytes():
            return []
        output = [process / "fd" / descriptor for descriptor in ("1", "2")]
        return [path for path in output if path.is_file()]
    except OSError:
        return []  # none runs, or it is not ours to look at


def _files(source: Source) -> str:
    """Say what a source's globs match now."""
    from alertd.files import files_of  # noqa: PLC0415 - after the configuration is right

    name = source.name
    found = files_of(source)
    if not found:
        globs = ", ".join(source.paths)
        return f"source {name}: {globs} matches no file yet; alertd will wait for one"
    unreadable = [path for path in found if not os.access(path, os.R_OK)]
    told = f"source {name}: {len(found)} file{'s' if len(found) != 1 else ''}"
    if unreadable:
        told += f", of which you may not read {len(unreadable)} ({unreadable[0]}, …)"
    return told
