"""
The exact test of a rule, which has the last word on a line that Hyperscan points at.

Trap: this runs once for every hit.  Most rules are one regex whose groups are the whole key, so
those have a test of their own that makes nothing but the key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from alertd.core.patterns import compiled
from alertd.core.records import number
from alertd.core.rules import (
    HIT,
    LONGEST_KEY,
    MISS,
    STEPS,
    Condition,
    Conjunction,
    Pattern,
    key_value,
)
from alertd.core.selectors import View, alternative_test

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator

    from alertd.core.records import Record
    from alertd.core.rules import Rule
    from alertd.core.selectors import Test

    Confirmation: TypeAlias = Callable[[Record], tuple[str, ...] | None]

GREATEST = 1e200
"""Sums of as many numbers as there can be lines must be numbers; beyond it, none is one."""


class LacksKey(Exception):  # noqa: N818 - an answer, not an error
    """A line matches but lacks a field that the rule is keyed by."""


def fields_asked_for(rules: Iterable[Rule]) -> set[str]:
    """Give the names of the fields, named groups among them, that rules test or group by."""
    return {name for rule in rules for name in _fields_of(rule)}


def _fields_of(rule: Rule) -> Iterator[str]:
    yield from rule.keyed_by
    unless = [alternative for step in rule.steps for alternative in step.unless]
    for alternative in (*rule.match, *rule.unless, *rule.of, *unless):
        if isinstance(alternative, Conjunction):
            yield from _fields_in(alternative.conditions)


def _fields_in(conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        yield condition.field
        if condition.operator == "not" and isinstance(condition.operand, tuple):
            yield from _fields_in(one for one in condition.operand if isinstance(one, Condition))


def confirmation(rule: Rule) -> Confirmation:
    """
    Make the exact test of a rule, which gives the key of a line that matches.

    The test raises ``LacksKey`` for a line that matches without having all of its key.  A line
    that has another key for each of some steps of a sequence gives those one after another (see
    ``keys_in``).
    """
    if rule.kind == "ratio":
        return _share_confirmation(rule)
    if rule.kind == "metric":
        return _number_confirmation(_selecting_confirmation(rule), rule.value)
    if rule.kind == "sequence":
        return _steps_confirmation(rule)
    return _selecting_confirmation(rule)


def _selecting_confirmation(rule: Rule) -> Confirmation:
    """Make the test of a rule that asks for nothing but lines and their fields."""
    if len(rule.match) == 1 and isinstance(rule.match[0], Pattern) and not rule.unless:
        pattern = compiled(rule.match[0].regex)
        if set(rule.keyed_by) <= pattern.groupindex.keys():
            return _pattern_confirmation(pattern, rule.keyed_by)
    if len(rule.match) == 1 and not rule.unless:
        return _alternative_confirmation(alternative_test(rule.match[0]), rule.keyed_by)
    return _general_confirmation(rule)


def _number_confirmation(confirm: Confirmation, name: str) -> Confirmation:
    """Make the test of a rule whose judged value must be a number that can be added up."""

    def confirm_number(line: Record) -> tuple[str, ...] | None:
        key = confirm(line)
        if key is not None:
            value = number(key[-1])
            if value is None or abs(value) > GREATEST:
                raise LacksKey(name)
        return key

    return confirm_number


def _share_confirmation(rule: Rule) -> Confirmation:
    """Make the test of a rule that asks for a share: what is a hit, and of what it is one."""
    hit = _selecting_confirmation(replace(rule, kind="match", group_by=(), value=""))
    if not rule.of and not rule.group_by:
        # As often: a share of all lines.
        hit_key, miss_key = (HIT,), (MISS,)
        search = _search_of(rule)
        if search is not None:
            return lambda line: hit_key if search(line.text) else miss_key
        return lambda line: miss_key if hit(line) is None else hit_key
    if rule.of:
        seen = _selecting_confirmation(
            replace(rule, kind="match", match=rule.of, unless=(), value="")
        )
    else:
        seen = _alternative_confirmation(lambda _: {}, rule.group_by)

    def confirm(line: Record) -> tuple[str, ...] | None:
        key = seen(line)
        if key is None:
            return None
        return (*key, MISS if hit(line) is None else HIT)

    return confirm


def _steps_confirmation(rule: Rule) -> Confirmation:
    """Make the test of a sequence: for which steps a line will do, the latest first, by key."""
    tests = [
        (
            digit,
            _selecting_confirmation(
                replace(rule, match=step.match, unless=(*step.unless, *rule.unless))
            ),
        )
        for digit, step in zip(STEPS, rule.steps, strict=False)
    ]
    tests.reverse()

    def confirm(line: Record) -> tuple[str, ...] | None:
        steps: dict[tuple[str, ...], str] = {}
        lacking = None
        for digit, test in tests:
            try:
                key = test(line)
            except LacksKey as error:
                lacking = error
                continue
            if key is not None:
                steps[key] = steps.get(key, "") + digit
        if len(steps) == 1:
            ((key, digits),) = steps.items()
            return (*key, digits)
        if not steps and lacking is not None:
            raise lacking
        return tuple(part for key, its in steps.items() for part in (*key, its)) or None

    return confirm


def keys_in(confirmed: tuple[str, ...], width: int) -> Iterator[tuple[str, ...]]:
    """
    Take apart what the test of a sequence gave.

    Args:
        confirmed: A key with the steps behind it, or several.
        width: Of each of them.
    """
    for start in range(0, len(confirmed), width):
        yield confirmed[start : start + width]


def _search_of(rule: Rule) -> Callable[[str], re.Match[str] | None] | None:
    """Give what finds a rule's lines, if that is one regex."""
    if len(rule.match) == 1 and isinstance(rule.match[0], Pattern) and not rule.unless:
        return compiled(rule.match[0].regex).search
    return None


def _general_confirmation(rule: Rule) -> Callable[[Record], tuple[str, ...] | None]:
    """Make the test of any rule."""
    match = [alternative_test(alternative) for alternative in rule.match]
    unless = [alternative_test(alternative) for alternative in rule.unless]
    names = rule.keyed_by

    def confirm(line: Record) -> tuple[str, ...] | None:
        view = View(line, {})
        for test in match:
            groups = test(view)
            if groups is not None:
                break
        else:
            return None
        view.groups = groups
        for test in unless:
            if test(view) is not None:
                return None
        key = []
        for name in names:
            value = view.get(name)
            if value is None:
                raise LacksKey(name)
            key.append(key_value(value))
        return tuple(key)

    return confirm


def _alternative_confirmation(
    test: Test, names: tuple[str, ...]
) -> Callable[[Record], tuple[str, ...] | None]:
    """Make the test of a rule that looks for one thing and leaves nothing out."""

    def confirm(line: Record) -> tuple[str, ...] | None:
        groups = test(line)
        if groups is None:
            return None
        key = []
        for name in names:
            value = groups[name] if groups and name in groups else line.get(name)
            if value is None:
                raise LacksKey(name)
            key.append(value if len(value) <= LONGEST_KEY else key_value(value))
        return tuple(key)

    return confirm


def _pattern_confirmation(
    pattern: re.Pattern[str], names: tuple[str, ...]
) -> Callable[[Record], tuple[str, ...] | None]:
    """Make the test of a rule that is one regex with all of its key."""
    search = pattern.search
    numbers = tuple(pattern.groupindex[name] for name in names)
    if not numbers:
        return lambda line: () if search(line.text) else None
    if len(numbers) == 1:
        (number,) = numbers

        def confirm_one(line: Record) -> tuple[str, ...] | None:
            found = search(line.text)
            if not found:
                return None
            value = found[number]
            if value is None:
                raise LacksKey(names[0])
            return (value if len(value) <= LONGEST_KEY else key_value(value),)

        return confirm_one

    def confirm_many(line: Record) -> tuple[str, ...] | None:
        found = search(line.text)
        if not found:
            return None
        values = found.group(*numbers)
        if None in values:
            raise LacksKey(names[values.index(None)])
        return tuple(map(key_value, values))

    return confirm_many
