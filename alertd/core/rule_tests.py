"""
What a rule makes of the lines of its tests, and whether that is what their writer expects.

A test is a replay of a few lines as one file of the rule's source: the matcher, the order and the
engine are those of the daemon, so what holds here holds at work.

Lines have the times that stand in them.  Where none has one, they are ``every`` apart, the first at
``START``; and a date without a year is one of the twelve months before it, so that a test may cross
New Year.  Nothing depends on the clock.

Refuses to judge a test itself: lines that its source cannot have are the configuration's business.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from alertd.core.escape import visible
from alertd.core.events import Alert, Batch
from alertd.core.framing import Framing
from alertd.core.own import LOOKED_INTO, OwnLines
from alertd.core.pipeline import Pipeline
from alertd.core.records import learn_header
from alertd.core.wording import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from alertd.core.matching import Matcher
    from alertd.core.rules import Rule, RuleTest, Source

START = datetime(2024, 7, 1, tzinfo=UTC).timestamp()
"""The months before it have a 29 February."""

NAMED_LINES = 5


class Line(msgspec.Struct, frozen=True):
    """
    What the rule made of one line.

    Attributes:
        number: From 1.
        text: The line.
        key: What it counts for: pairs of name and value; None if it does not count.
        reason: Why it does not count.
        alerts: Those that it raised.
    """

    number: int
    text: str
    key: tuple[tuple[str, str], ...] | None
    reason: str
    alerts: tuple[Alert, ...]


class Result(msgspec.Struct, frozen=True):
    """
    How a test ended.

    Attributes:
        test: The test.
        problem: What is not as expected, in one line; empty if all is.
        lines: What the rule made of each line, if something is not.
    """

    test: RuleTest
    problem: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def name(self) -> str:
        """The test's name, which begins with its rule's."""
        return f'rule "{self.test.rule}": test {self.test.number}'

    @property
    def refusal(self) -> str:
        """Why the rule is not put to work, with what to do about it."""
        return f"{self.name}: {self.problem}; see what it makes of each line: alertd test"


def run_tests(
    tests: Iterable[RuleTest],
    rules: Iterable[Rule],
    sources: Sequence[Source],
    matchers: Mapping[str, Matcher],
) -> Iterator[Result]:
    """
    Run tests, one by one.

    Args:
        tests: What to run.
        rules: Theirs, among others.
        sources: Where lines come from, all of them.
        matchers: One a source, by its name; those that the daemon is about to use.
    """
    by_name = {rule.name: rule for rule in rules}
    for test in tests:
        yield run_test(test, by_name[test.rule], sources, matchers)


def run_test(
    test: RuleTest, rule: Rule, sources: Sequence[Source], matchers: Mapping[str, Matcher]
) -> Result:
    """
    Give a rule the lines of one of its tests.

    Args:
        test: The test.
        rule: Its rule.
        sources: Where lines come from, all of them.
        matchers: One a source, by its name; they may know other rules, too.
    """
    sources = [source for source in sources if source.name in rule.sources]
    rang = _rang(test, rule, sources, matchers)
    expected = (
        test.alerts == len(rang)
        and all(sorted(key) == sorted(a.key) for key, (_, a) in zip(test.keys, rang, strict=False))
        and all(count == a.count for count, (_, a) in zip(test.counts, rang, strict=False))
    )
    if expected:
        return Result(test)
    lines = tuple(_explained(test, rule, matchers[test.source], rang))
    return Result(test, _problem(test, rang, lines), lines)


def _rang(
    test: RuleTest, rule: Rule, sources: Sequence[Source], matchers: Mapping[str, Matcher]
) -> list[tuple[int, Alert]]:
    """Play the lines; return the alerts, each with the number of its line (see ``_offset``)."""
    (source,) = (source for source in sources if source.name == test.source)
    raw = [f"{line}\n".encode(source.encoding) for line in test.lines]
    if test.header:
        # Nothing comes of it, and the first line of the test is the second of its file.
        raw[0] = f"{test.header}\n".encode(source.encoding) + raw[0]
    pipeline = Pipeline(sources, [rule], matchers, is_journaled=False)
    framing = Framing()
    alerts = _played(pipeline, source, framing, [b"".join(raw)], test.every)
    if source.timestamp == "none" or framing.last_time is None:
        pipeline = Pipeline(sources, [rule], matchers, is_journaled=False)
        alerts = _played(pipeline, source, Framing(), raw, test.every)
    begins = [0, *accumulate(map(len, raw))]
    return [(bisect_right(begins, _offset(alert)), alert) for alert in alerts if alert.end is None]


def _offset(alert: Alert) -> int:
    """Give the offset of the line that rang; where none did, of the last that counted, or -1."""
    return alert.offset if alert.silence is None else max(alert.last[-1].offset, -1)


def _played(
    pipeline: Pipeline, source: Source, framing: Framing, pieces: Sequence[bytes], every: float
) -> list[Alert]:
    """Read pieces of one file, one after another."""
    alerts, offset = [], 0
    for number, data in enumerate(pieces):
        batch = Batch(
            file="test",
            source=source.name,
            path="test",
            offset=offset,
            data=data,
            read_at=START + number * every,
            is_final=number == len(pieces) - 1,
        )
        offset += len(data)
        is_done = False
        while not is_done:
            matched = pipeline.take(batch, framing, now=None)
            alerts += pipeline.release()
            is_done = matched.consumed == len(batch.data)
            batch = batch.rest(matched.consumed)
    return alerts + pipeline.flush(framing.newest_time)


def _explained(
    test: RuleTest, rule: Rule, matcher: Matcher, rang: Sequence[tuple[int, Alert]]
) -> Iterator[Line]:
    """Say of each line what the rule makes of it."""
    source = matcher.source
    framing, own_lines = Framing(), OwnLines("")
    learn_header(source, framing, test.header.encode(source.encoding))
    for number, text in enumerate(test.lines, start=1):
        explanation = matcher.explain(text.encode(source.encoding), framing, START)
        (verdict,) = (each for each in explanation.verdicts if each.rule == rule.name)
        is_own = source.format in LOOKED_INTO and text in own_lines
        yield Line(
            number=number,
            text=text,
            key=verdict.key if verdict.is_match and not is_own else None,
            reason="alertd wrote it, or seems to" if is_own else verdict.reason,
            alerts=tuple(alert for line, alert in rang if line == number),
        )


def _problem(test: RuleTest, rang: Sequence[tuple[int, Alert]], lines: Sequence[Line]) -> str:
    """Say what is not as expected."""
    if test.alerts != len(rang):
        what = f"expected {plural(test.alerts, 'alert')}, got {len(rang)}"
        if rang:
            named = ", ".join(str(line) for line, _ in rang[:NAMED_LINES])
            more = ", …" if len(rang) > NAMED_LINES else ""
            return f"{what}: rang {_at(rang[0][1])} line {named}{more}"
        return f"{what}: {_counted(lines)}"
    for number, (line, alert) in enumerate(rang):
        where = f"alert {number + 1}, {_at(alert)} line {line}"
        if test.keys and sorted(test.keys[number]) != sorted(alert.key):
            return f"{where}: expected {told(test.keys[number])}, got {told(alert.key)}"
        if test.counts and test.counts[number] != alert.count:
            return f"{where}: expected a count of {test.counts[number]}, got {alert.count}"
    raise AssertionError("nothing is wrong with it")  # pragma: no cover - then nobody asks


def _at(alert: Alert) -> str:
    return "at" if alert.silence is None else "after"


def _counted(lines: Sequence[Line]) -> str:
    """Say how many lines count, and why the first one that does not does not."""
    others = [line for line in lines if line.key is None]
    total = plural(len(lines), "line")
    if not others:
        return f"{total} counted"
    number = len(lines) - len(others) or "none"
    first = others[0]
    return f"{number} of {total} counted; line {first.number} does not: {visible(first.reason)}"


def told(key: Sequence[tuple[str, str]]) -> str:
    """``ip = 203.0.113.9, user = root``."""
    return ", ".join(f"{visible(name)} = {visible(value)}" for name, value in key)
