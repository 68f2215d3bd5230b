"""Which expressions stand for which rules, and which rules need every line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alertd.core.patterns import Encoding
from alertd.core.prefilters import Prefilters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.rules import Rule, Source


class Strategy(msgspec.Struct, frozen=True):
    """
    How a rule's lines are found.

    Attributes:
        rule: The rule's name.
        description: For a person.
        is_slow: Each line is tested.
        share: Of the lines in a sample, the part that is tested exactly; None without a sample.
    """

    rule: str
    description: str
    is_slow: bool
    share: float | None = None


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """
    Which expressions stand for which rules.

    Attributes:
        expressions: Each once.
        rules_of: For each expression, the numbers of the rules that it makes a line a candidate of.
        always: The numbers of the rules that are tested on every line.
        summaries: For each rule, what is looked for.
        reasons: For each rule that is tested on every line, why.
        needs: A text without which an expression cannot match, by the expression's number.
        odd: The number of the expression for lines that may begin or end a csv record of several,
            if those matter; else -1.
    """

    expressions: list[bytes]
    rules_of: list[list[int]]
    always: list[int]
    summaries: list[str | None]
    reasons: dict[int, str]
    needs: dict[int, bytes]
    odd: int

    def strategy(self, number: int, name: str, *, has_lane: bool, share: float | None) -> Strategy:
        """Say how a rule's lines are found, and what would make a slow one fast."""
        summary = self.summaries[number]
        if summary is not None:
            return Strategy(name, summary, is_slow=False, share=share)
        test = "the fields of every line are looked at" if has_lane else "every line is tested"
        return Strategy(name, f"slow, {test}: {self.reasons[number]}", is_slow=True)


def planned(
    source: Source, rules: Sequence[Rule], refused: frozenset[bytes], sample: bytes
) -> Plan:
    """
    Find out what to look for.

    Args:
        source: Where the lines come from.
        rules: Which lines are looked for.
        refused: Expressions that cannot be used.
        sample: Some of the source's lines, to see which texts are rare; perhaps none.
    """
    prefilters = Prefilters(source, sample)
    found: dict[bytes, list[int]] = {}
    always: list[int] = []
    summaries: list[str | None] = []
    reasons: dict[int, str] = {}
    for number, rule in enumerate(rules):
        if not rule.seen:
            always.append(number)
            summaries.append(None)
            reasons[number] = "it asks for a share of them all; write `of` if some are meant"
            continue
        superset = prefilters.selector(rule.seen)
        if superset is None or refused.intersection(superset.expressions):
            always.append(number)
            summaries.append(None)
            reasons[number] = _reason(source, is_refused=superset is not None)
            continue
        summaries.append(superset.summary)
        for expression in superset.expressions:
            found.setdefault(expression, []).append(number)
    is_multiline = source.format == "csv" and source.multiline
    if is_multiline:
        found.setdefault(prefilters.odd_quoting, [])
    # So most expressions have the number of their rule: what few lines have stands behind.
    found = dict(sorted(found.items(), key=lambda item: item[0] in prefilters.needs))
    return Plan(
        expressions=[*found],
        rules_of=[*found.values()],
        always=always,
        summaries=summaries,
        reasons=reasons,
        needs={
            number: prefilters.needs[expression]
            for number, expression in enumerate(found)
            if expression in prefilters.needs
        },
        odd=[*found].index(prefilters.odd_quoting) if is_multiline else -1,
    )


def _reason(source: Source, *, is_refused: bool) -> str:
    if is_refused:
        return "its regex is too large to be searched for; make it shorter, or several rules"
    if not Encoding(source.encoding).is_transparent:
        return f"in {source.encoding} no text can be searched for; log in utf-8 if you can"
    return (
        "no text is in all matching lines; add a condition that asks for one"
        " (equals, contains, or a regex with some fixed text)"
    )
