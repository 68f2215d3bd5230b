"""What a selector looks for, in words that stand behind "lines"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.escape import quoted, visible
from alertd.core.rules import Condition, Pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.rules import Alternative, Selector, Step

_COMPARISONS = {
    "at_least": "at least",
    "at_most": "at most",
    "more_than": "more than",
    "less_than": "less than",
    "contains": "containing",
}


def listed(items: Sequence[str], conjunction: str) -> str:
    """``a, b and c``."""
    *others, last = items
    return f"{', '.join(others)} {conjunction} {last}" if others else last


def lines_of(selector: Selector) -> str:
    """Say which lines a selector finds: ``matching 'x' or with y = 5``."""
    return listed([_alternative(alternative) for alternative in selector], "or")


def step_of(step: Step, unless: Selector = ()) -> str:
    """
    Say what a step of a sequence asks for: ``5 lines matching 'x'``, ``no line matching 'y'``.

    Args:
        step: The step.
        unless: What all steps leave out.
    """
    number = "no line" if step.is_absent else "a line"
    if step.count > 1:
        number = f"{step.count:,} lines"
    left_out = (*step.unless, *unless)
    return f"{number} {lines_of(step.match)}" + (
        f" (leaving out lines {lines_of(left_out)})" if left_out else ""
    )


def _alternative(alternative: Alternative) -> str:
    if isinstance(alternative, Pattern):
        return f"matching '{visible(alternative.regex)}'"
    return f"with {_all(alternative.conditions)}"


def _all(conditions: Sequence[Condition]) -> str:
    return listed([_condition(condition) for condition in conditions], "and")


def _condition(condition: Condition) -> str:
    operator, operand = condition.operator, condition.operand
    field = "its whole text" if condition.field == "line" else visible(condition.field)
    if isinstance(operand, tuple):
        inner = [item for item in operand if isinstance(item, Condition)]
        if inner:
            return f"not ({_all(inner)})"
        values = [_value(item) for item in operand if not isinstance(item, Condition)]
        return f"{field} = {listed(values, 'or')}"
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
