"""
What a rule means, in one English sentence.

The sentence is how a person finds out that they wrote something else than they meant, so it is
exact: the eleventh line, not "more than ten"; ``1 hour 30 minutes``, not "about an hour".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.detectors import DETECTORS
from alertd.core.escape import quoted, visible
from alertd.core.rules import Condition, Pattern
from alertd.core.wording import exactly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.rules import Alternative, Rule, Selector

_COMPARISONS = {
    "at_least": "at least",
    "at_most": "at most",
    "more_than": "more than",
    "less_than": "less than",
    "contains": "containing",
}


def sentence(rule: Rule) -> str:
    """
    Say what ``rule`` does, for somebody who has never seen a configuration of alertd.

    Returns:
        One line, beginning with the rule's name and ended by a full stop.
    """
    fields = tuple(visible(field) for field in rule.group_by)
    lines = _any(rule.match)
    if rule.unless:
        lines += f" (leaving out lines {_any(rule.unless)})"
    per = f" per {_list(fields, 'and')}" if fields else ""
    asked = DETECTORS[rule.kind].asked(rule, lines, per)
    parts = [f"{rule.name}: mails {_list(rule.recipients, 'and')} {asked}"]
    if rule.cooldown:
        parts.append(f"; then stays quiet{_about(fields)} for {exactly(rule.cooldown)}")
    elif rule.more_than:
        parts.append("; then again on every further line past that limit")
    return "".join(parts) + "."


def _list(items: Sequence[str], conjunction: str) -> str:
    *others, last = items
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def _about(fields: tuple[str, ...]) -> str:
    match fields:
        case ():
            return ""
        case (field,):
            return f" about that {field}"
        case _:
            return f" about that combination of {_list(fields, 'and')}"


def _any(selector: Selector) -> str:
    return _list([_alternative(alternative) for alternative in selector], "or")


def _alternative(alternative: Alternative) -> str:
    if isinstance(alternative, Pattern):
        return f"matching '{visible(alternative.regex)}'"
    return f"with {_all(alternative.conditions)}"


def _all(conditions: Sequence[Condition]) -> str:
    return _list([_condition(condition) for condition in conditions], "and")


def _condition(condition: Condition) -> str:
    operator, operand = condition.operator, condition.operand
    field = "its whole text" if condition.field == "line" else visible(condition.field)
    if isinstance(operand, tuple):
        inner = [item for item in operand if isinstance(item, Condition)]
        if inner:
            return f"not ({_all(inner)})"
        values = [_value(item) for item in operand if not isinstance(item, Condition)]
        return f"{field} = {_list(values, 'or')}"
    if operator == "equals":
        return f"{field} = {_value(operand)}"
    if operator == "regex":
        return f"{field} matching '{visible(str(operand))}'"
    if operator == "exists":
        return f"{field} present" if operand else f"{field} missing"
    return f"{field} {_COMPARISONS[operator]} {_value(operand)}"


def _value(value: str | float | bool) -> str:  # noqa: FBT001 - an operand, not a flag
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if float(value).is_integer() else repr(value)
