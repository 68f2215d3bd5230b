"""A log, the rules for it, and how alertd and a regex are told of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from benchmarks import logs
from benchmarks.reference import Job, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MORE_THAN, WITHIN, COOLDOWN = 10, 60, 600
# Of each of many rules: with the default a thousand might take more memory than there is.
FEW_KEYS = 100

Alert: TypeAlias = tuple[str, str, str, int]
"""A rule, a key, and the file and offset of the line that was one too many."""


@dataclass(frozen=True)
class Answer:
    """
    What a tool found; nothing, if it was asked another question.

    Attributes:
        lines: How many lines match, if it counts lines.
        alerts: What it raised, if it raises alerts: full ones, or only rules and keys.
    """

    lines: int | None = None
    alerts: Counter[Alert] | Counter[tuple[str, str]] | None = None


@dataclass(frozen=True)
class Case:
    """
    Something to be measured.

    Attributes:
        name: As the table shows it.
        log: A file, or a directory of files.
        lines: How many there are in it.
        format: "plain", "json" or "csv".
        rules: What is looked for.
        key: The field that is counted by.
        time: Where a record has its time; how a plain line begins.
        max_keys: Of each rule.
    """

    name: str
    log: Path
    lines: int
    format: str
    rules: tuple[Rule, ...]
    key: str
    time: str
    max_keys: int = 10_000

    @property
    def files(self) -> list[Path]:
        """The log's files."""
        return sorted(self.log.iterdir()) if self.log.is_dir() else [self.log]

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def patterns(self) -> list[str]:
        """What a tool that knows only lines looks for, one a rule."""
        if self.format == "json":
            return [f'"{rule.field}":"{rule.word}"' for rule in self.rules]
        if self.format == "csv":
            return [f",{rule.word}," for rule in self.rules]
        return [rule.regex for rule in self.rules]

    def beginning(self, lines: int) -> Case:
        """Return the same with fewer lines, all of them in one file."""
        if lines >= self.lines:
            return self
        return replace(self, log=logs.head(self.log, lines), lines=lines)

    def emptied(self) -> Case:
        """Return the same with nothing to read: what is measured of it is the start."""
        return replace(self, log=logs.empty(self.log.parent), lines=0)

    def configuration(self) -> str:
        """Return alertd's, without ``[email]`` and ``[state]``."""
        paths = self.log / "*" if self.log.is_dir() else self.log
        lines = ["[source.log]", f'paths = ["{paths}"]', f'format = "{self.format}"']
        lines += ['timezone = "UTC"', 'start_at = "beginning"']
        if self.format != "plain":
            lines.append(f'timestamp = "{self.time}"')
        for rule in self.rules:
            match = f"{{ {rule.field} = '{rule.word}' }}" if rule.field else f"'{rule.regex}'"
            lines += [
                f"[rule.{rule.name}]",
                f"match = {match}",
                f'group_by = "{self.key}"',
                f"more_than = {MORE_THAN}",
                f'within = "{WITHIN}s"',
                f'cooldown = "{COOLDOWN}s"',
                f"max_keys = {self.max_keys}",
            ]
        return "\n".join(lines)

    def job(self) -> str:
        """Return what the reference is told."""
        rules = list(self.rules)
        return json.dumps(
            Job(str(self.log), self.format, rules, self.key, self.time, MORE_THAN, WITHIN, COOLDOWN)
        )

    def expected(self) -> Answer:
        """Return the right answer."""
        return _expected(self.job())


@cache
def _expected(job: str) -> Answer:
    program = Path(__file__).with_name("reference.py")
    done = subprocess.run(
        [sys.executable, program, "index"], input=job.encode(), stdout=subprocess.PIPE, check=True
    )
    return answer_of_reference(done.stdout)


def answer_of_reference(output: bytes) -> Answer:
    """Read what the reference printed."""
    found = json.loads(output)
    return Answer(found["lines"], Counter(tuple(alert) for alert in found["alerts"]))


def is_right(answer: Answer, expected: Answer) -> bool:
    """Hold an answer against the right one, as far as it goes."""
    if answer.alerts is None:
        return answer.lines in {None, expected.lines}
    return _as_exact(answer.alerts, expected) == answer.alerts


def _as_exact(
    alerts: Counter[Alert] | Counter[tuple[str, str]], expected: Answer
) -> Counter[Alert] | Counter[tuple[str, str]]:
    """Give the right alerts, in as much detail as others have."""
    assert expected.alerts is not None
    if all(len(alert) > 2 for alert in alerts):
        return expected.alerts
    return Counter((alert[0], alert[1]) for alert in expected.alerts.elements())


def verdict(answer: Answer, expected: Answer) -> str:
    """Say what an answer is worth."""
    found, right, what = answer.lines, expected.lines, "lines"
    if answer.alerts is not None and expected.alerts is not None:
        found, right, what = answer.alerts.total(), expected.alerts.total(), "alerts"
    if found is None:
        return "another question"
    if is_right(answer, expected):
        return f"{what}: {found:,}, right"
    if found == right:
        return f"{what}: {found:,}, WRONG ones"
    return f"{what}: {found:,}, WRONG: {right:,}"


def many(data: Path, lines: int, kinds: list[str], numbers: list[int]) -> Iterator[Case]:
    """Give the cases of some kinds of logs, each with these numbers of rules."""
    for kind in kinds:
        for number in numbers:
            yield from KINDS[kind](data, lines, number)


def _auth(data: Path, lines: int, rules: int) -> Iterator[Case]:
    log = logs.written(data / "auth.log", logs.auth, lines)
    case = partial(Case, log=log, lines=lines, format="plain", time="syslog")
    if rules == 1:
        regex = (
            r"sshd\[\d+\]: Failed password for .* from (?P<ip>\d+\.\d+\.\d+\.\d+) port \d+ ssh2$"
        )
        yield case("auth, 1 rule", rules=(Rule("ssh", "Failed", regex, ""),), key="ip")
        return
    case = partial(case, max_keys=FEW_KEYS)
    for how, name in (("one literal shared", logs.code), ("no literal shared", logs.word)):
        many_rules = tuple(
            Rule(f"r{n}", name(n), rf"{name(n)} .* from (?P<node>\S+)$", "") for n in range(rules)
        )
        yield case(f"auth, {rules:,} rules, {how}", rules=many_rules, key="node")


def _records(
    *, kind: str, first: tuple[str, str], coded: str, key: str, time: str, lines_of: logs.Writer
) -> Callable[[Path, int, int], Iterator[Case]]:
    """Return what gives the cases of a kind that has fields."""

    def cases(data: Path, lines: int, rules: int) -> Iterator[Case]:
        log = logs.written(data / f"{kind}.log", lines_of, lines)
        if rules == 1:
            rule = Rule("fatal", first[1], "", first[0])
            yield Case(f"{kind}, 1 rule", log, lines, kind, (rule,), key, time)
            return
        many_rules = tuple(Rule(f"r{n}", logs.code(n), "", coded) for n in range(rules))
        name = f"{kind}, {rules:,} rules"
        yield Case(name, log, lines, kind, many_rules, key, time, FEW_KEYS)

    return cases


KINDS: dict[str, Callable[[Path, int, int], Iterator[Case]]] = {
    "auth": _auth,
    "json": _records(
        kind="json",
        first=("level", "fatal"),
        coded="code",
        key="service",
        time="ts",
        lines_of=logs.json_lines,
    ),
    "csv": _records(
        kind="csv",
        first=("severity", "Fatal"),
        coded="error_code",
        key="bundle_id",
        time="date",
        lines_of=logs.csv,
    ),
}


def _requests(name: str, log: Path, lines: int, max_keys: int = 10_000) -> Case:
    rule = Rule("failed", "failed", r"of user (?P<user>\d+) failed$", "")
    return Case(name, log, lines, "plain", (rule,), "user", "iso", max_keys)


def hit_rates(data: Path, lines: int, percents: Sequence[int] = (0, 1, 10, 100)) -> Iterator[Case]:
    """Give cases in which ever more lines match; in the last one, every line does."""
    for percent in percents:
        log = data / f"hits-{percent}.log"
        logs.written(log, logs.requests(percent / 100, 1000), lines)
        yield _requests(f"hits, {percent} % of lines", log, lines)


def numbers_of_keys(data: Path, lines: int) -> Iterator[Case]:
    """Give cases in which every line matches, with ever more keys."""
    for keys in (1, 1000, 1_000_000):
        log = logs.written(data / f"keys-{keys}.log", logs.requests(1, keys), lines)
        yield _requests(f"hits, {keys:,} key{'s' * (keys > 1)}", log, lines, max(10_000, keys))


def numbers_of_files(data: Path, lines: int) -> Iterator[Case]:
    """Give cases in which the same lines lie in ever more files."""
    log = logs.written(data / "hits-1.log", logs.requests(0.01, 1000), lines)
    for files in (1, 10, 100, 1000):
        directory = logs.dealt(log, data / f"files-{files}", files)
        yield _requests(f"files, {files:,}", directory, lines)
