"""
What a rule looks for, as an exact test of one record.

Most records are never tested: what any matching line must contain is looked for first (see
``prefilters``).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import msgspec

from alertd.core.patterns import compiled
from alertd.core.records import WHOLE_LINE, Record, number
from alertd.core.rules import Condition, Conjunction, Pattern

if TYPE_CHECKING:
    from alertd.core.rules import Alternative, Selector

Groups: TypeAlias = dict[str, str | None]


class Fields(Protocol):
    """What tests look at: a record, or a view of one."""

    @property
    def text(self) -> str:
        """The whole line."""

    def get(self, name: str) -> str | None:
        """Give a field's text."""

    def number(self, name: str) -> float | None:
        """Give a field as a number."""


Test: TypeAlias = Callable[[Fields], Groups | None]
"""Gives the named groups of an alternative that holds (often none), or None if it does not."""


class View:
    """A record together with the named groups that hide some of its fields."""

    __slots__ = ("groups", "record")

    def __init__(self, record: Record, groups: Groups) -> None:
        self.record = record
        self.groups = groups

    @property
    def text(self) -> str:
        """The whole line."""
        return self.record.text

    def get(self, name: str) -> str | None:
        """Give a field's text; a group that took no part hides the field, too."""
        return self.groups[name] if name in self.groups else self.record.get(name)

    def number(self, name: str) -> float | None:
        """Give a field as a number."""
        if name not in self.groups:
            return self.record.number(name)
        text = self.groups[name]
        return None if text is None else number(text)


def alternative_test(alternative: Alternative) -> Test:
    """Make the exact test of one alternative."""
    if isinstance(alternative, Conjunction):
        return _conjunction_test([condition_test(c) for c in alternative.conditions])
    pattern = compiled(alternative.regex)
    search = pattern.search
    if not pattern.groupindex:
        return lambda view: {} if search(view.text) else None

    def named(view: Fields) -> Groups | None:
        found = search(view.text)
        return found.groupdict() if found else None

    return named


def _conjunction_test(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def all_of(view: Fields) -> Groups | None:
        together: Groups = {}
        for test in tests:
            groups = test(view)
            if groups is None:
                return None
            together.update(groups)
        return together

    return all_of


def condition_test(condition: Condition) -> Test:
    """Make the exact test of one condition."""
    field, operand = condition.field, condition.operand
    if condition.operator in {"equals", "any_of"}:
        return _equality_test(field, values(condition))
    if condition.operator == "regex":
        return _regex_test(field, str(operand))
    if condition.operator == "contains":
        part = str(operand)
        return _text_test(field, lambda text: part in text)
    if condition.operator == "exists":
        return lambda view: {} if (view.get(field) is not None) is operand else None
    if condition.operator == "not":
        inner = _conjunction_test([condition_test(one) for one in _inner(condition)])
        return lambda view: {} if inner(view) is None else None
    compare, limit = _COMPARISONS[condition.operator], cast("float", operand)
    return _number_test(field, lambda value: compare(value, limit))


_COMPARISONS = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "more_than": operator.gt,
    "less_than": operator.lt,
}


def values(condition: Condition) -> tuple[str | float | bool, ...]:
    """Give what a field may equal, if that is what a condition asks."""
    operand = condition.operand if isinstance(condition.operand, tuple) else (condition.operand,)
    return tuple(one for one in operand if not isinstance(one, Condition))


def _inner(condition: Condition) -> tuple[Condition, ...]:
    return cast("tuple[Condition, ...]", condition.operand)


def _text_test(field: str, holds: Callable[[str], bool]) -> Test:
    def test(view: Fields) -> Groups | None:
        text = view.get(field)
        return {} if text is not None and holds(text) else None

    return test


def _number_test(field: str, holds: Callable[[float], bool]) -> Test:
    def test(view: Fields) -> Groups | None:
        value = view.number(field)
        return {} if value is not None and holds(value) else None

    return test


def _equality_test(field: str, operands: tuple[str | float | bool, ...]) -> Test:
    texts = frozenset(text for one in operands if (text := text_operand(one)) is not None)
    numbers = frozenset(float(one) for one in operands if text_operand(one) is None)

    def test(view: Fields) -> Groups | None:
        text = view.get(field)
        if text is None:
            return None
        return {} if text in texts or (numbers and view.number(field) in numbers) else None

    return test


def text_operand(operand: str | float | bool) -> str | None:  # noqa: FBT001 - an operand, no flag
    """Give the text that a field must have to equal an operand, or None if that is a number."""
    if isinstance(operand, bool):
        return "true" if operand else "false"
    return operand if isinstance(operand, str) else None


def _regex_test(field: str, regex: str) -> Test:
    pattern = compiled(regex)

    def test(view: Fields) -> Groups | None:
        text = view.get(field)
        found = None if text is None else pattern.search(text)
        return found.groupdict() if found else None

    return test


def shortfall(selector: Selector, record: Record) -> str:
    """Say for a person why a record is not what a selector looks for."""
    return "; ".join(_shortfall(alternative, record) for alternative in selector)


def _shortfall(alternative: Alternative, record: Record) -> str:
    view = View(record, {})
    if isinstance(alternative, Pattern):
        return f"'{alternative.regex}' is not in it"
    failed = next(one for one in alternative.conditions if condition_test(one)(view) is None)
    value = view.get(failed.field)
    if value is None:
        return f"field {failed.field} is missing"
    found = "its whole text" if failed.field == WHOLE_LINE else f'"{value}"'
    return f"field {failed.field} is {found}, which is not what is asked for"


def shown_in(alternative: Alternative, record: Record) -> tuple[int, int]:
    """
    Find the part of a record's text that an alternative is about.

    Returns:
        A slice; (0, 0) if it cannot be told.
    """
    if isinstance(alternative, Pattern):
        found = compiled(alternative.regex).search(record.text)
        return found.span() if found else (0, 0)
    for condition in alternative.conditions:
        value = record.get(condition.field)
        if not value or condition_test(condition)(View(record, {})) is None:
            continue
        if condition.operator == "contains":
            value = str(condition.operand)
        elif condition.operator == "regex":
            held = compiled(str(condition.operand)).search(value)
            value = held[0] if held else value
        for spelling in (value, value.replace('"', '""'), _json_spelling(value)):
            # Rather as a word of its own than as part of another.
            literal = re.escape(spelling)
            found = re.search(rf"(?<!\w){literal}(?!\w)|{literal}", record.text)
            if found:
                return found.span()
    return 0, 0


def _json_spelling(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]
