"""
What a matcher makes of one line, said to a person.

Nothing here is fast, and nothing here decides anything: the tests are those that matching uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.core.deadline import Overdue
from alertd.core.linetimes import resolved
from alertd.core.matching.confirming import LacksKey, keys_in
from alertd.core.phrases import listed
from alertd.core.records import CsvRecord, Record, record
from alertd.core.rules import HIT
from alertd.core.selectors import View, alternative_test, shortfall, shown_in
from alertd.core.timestamps import Stamp

if TYPE_CHECKING:
    from alertd.core.framing import Framing
    from alertd.core.matching.matcher import Matcher
    from alertd.core.rules import Rule, Selector


class Verdict(msgspec.Struct, frozen=True):
    """
    What one rule makes of a line.

    Attributes:
        rule: The rule's name.
        is_match: The line counts for it.
        key: Names and values of the fields that it groups by, if it counts.
        reason: Why it counts or does not, for a person.
    """

    rule: str
    is_match: bool
    key: tuple[tuple[str, str], ...]
    reason: str


class Explanation(msgspec.Struct, frozen=True):
    """
    How a line is understood.

    Attributes:
        text: The line.
        fields: Its fields, by name.
        is_unparsable: It is not in its source's format.
        time: Unix seconds, or None if it has none of its own.
        verdicts: One for each rule, in their order.
    """

    text: str
    fields: dict[str, str]
    is_unparsable: bool
    time: float | None
    verdicts: tuple[Verdict, ...]


def explain(matcher: Matcher, line: str | bytes, framing: Framing, reference: float) -> Explanation:
    """
    Say how a line is understood.

    Args:
        matcher: Of its source.
        line: Without or with its line end.
        framing: Of its file.
        reference: Unix seconds, for dates without a year.
    """
    text = matcher.text_of(line.removesuffix(b"\n")) if isinstance(line, bytes) else line
    one = record(matcher.source)
    if isinstance(one, CsvRecord):
        one.name(matcher.source.columns or framing.header)
    one.take(text)
    fields = one.fields()
    time = matcher.time_of(one, reference)
    return Explanation(
        text=text,
        fields=fields,
        is_unparsable=one.is_unparsable,
        time=resolved(time, framing.last_time) if isinstance(time, Stamp) else time,
        verdicts=tuple(_verdict(matcher, number, one) for number in range(len(matcher.rules))),
    )


def _verdict(matcher: Matcher, number: int, line: Record) -> Verdict:
    rule = matcher.rules[number]
    with matcher.deadline:
        try:
            matcher.deadline.step = number
            key = matcher.confirmations[number](line)
            if key is not None:
                # Behind a ratio's key stands whether the line is a hit.
                pairs = tuple(zip(rule.keyed_by, key, strict=False))
                reason = ""
                if rule.kind == "ratio":
                    reason = "as one of all; "
                    reason += "a hit" if key[-1] == HIT else f"no hit: {_objection(rule, line)}"
                elif rule.kind == "sequence":
                    reason = _steps(rule, key)
                return Verdict(rule.name, is_match=True, key=pairs, reason=reason)
            if rule.kind == "ratio":
                reason = shortfall(rule.of, line)
                return Verdict(rule.name, is_match=False, key=(), reason=reason)
            return Verdict(rule.name, is_match=False, key=(), reason=_objection(rule, line))
        except Overdue:
            reason = "undecided: its regex takes too long on this line"
        except LacksKey as lacking:
            what = "a number in the field" if rule.metric else "the field"
            reason = f'it matches, but lacks {what} "{lacking}"'
        finally:
            matcher.deadline.step = None
    return Verdict(rule.name, is_match=False, key=(), reason=reason)


def _steps(rule: Rule, confirmed: tuple[str, ...]) -> str:
    """Say for which steps a line will do."""
    first, *others = keys_in(confirmed, len(rule.group_by) + 1)
    said = f"as step {listed(first[-1], 'or')}"
    for key in others:
        pairs = zip(rule.group_by, key, strict=False)
        about = ", ".join(f"{name} = {value}" for name, value in pairs)
        said += f"; also for {about} as step {listed(key[-1], 'or')}"
    return said


def _objection(rule: Rule, line: Record) -> str:
    """Say why a rule does not count a line."""
    if rule.steps:
        steps = enumerate(rule.steps, start=1)
        return "; ".join(f"step {n}: {_shortfall(step.match, line)}" for n, step in steps)
    return _shortfall(rule.match, line)


def _shortfall(match: Selector, line: Record) -> str:
    view = View(line, {})
    if any(alternative_test(alternative)(view) is not None for alternative in match):
        return "it matches, but unless leaves it out"
    return shortfall(match, line)


def highlight(matcher: Matcher, rule: str, line: str) -> tuple[int, int]:
    """
    Find the part of a line that a rule was looking for.

    For a csv without ``columns``, its fields are taken to be those of the file last read.

    Returns:
        A slice of the line, (0, 0) if it cannot be told.
    """
    one = matcher.other
    one.take(line)
    with matcher.deadline:
        try:
            matcher.deadline.step = 0
            spans = [shown_in(alternative, one) for alternative in matcher.match_of[rule]]
            return next((span for span in spans if span != (0, 0)), (0, 0))
        except Overdue:
            return 0, 0
        finally:
            matcher.deadline.step = None
