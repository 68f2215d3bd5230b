"""
``match`` and ``unless``: from what TOML gives to the selectors that the core knows.

A string is a regex, a table is a conjunction of conditions on fields, a list means any of them.
Everything wrong in a selector is said at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.config.errors import Finding, RefusedError, show, suggestion
from alertd.config.values import comparable, regex
from alertd.core.rules import Condition, Conjunction, Pattern

if TYPE_CHECKING:
    from alertd.core.rules import Alternative, Operator, Selector

_AS_TEXT = "write it in quotes, as text"
_COMPARISONS: dict[str, Operator] = {
    "at_least": "at_least",
    "at_most": "at_most",
    "more_than": "more_than",
    "less_than": "less_than",
}
_OPERATORS = ("regex", "contains", *_COMPARISONS, "not", "exists")
_ELSEWHERE = {
    "equals": "write the value itself: {field} = …",
    "eq": "write the value itself: {field} = …",
    "is": "write the value itself: {field} = …",
    "any_of": "write the list itself: {field} = […]",
    "in": "write the list itself: {field} = […]",
    "gt": 'did you mean "more_than"?',
    "lt": 'did you mean "less_than"?',
    "gte": 'did you mean "at_least"?',
    "ge": 'did you mean "at_least"?',
    "min": 'did you mean "at_least"?',
    "lte": 'did you mean "at_most"?',
    "le": 'did you mean "at_most"?',
    "max": 'did you mean "at_most"?',
    "matches": 'did you mean "regex"?',
    "pattern": 'did you mean "regex"?',
}
_DEEPEST = 12
_Operand = str | float | bool


def selector(value: object) -> Selector:
    """
    Read a regex, a table of conditions, or a list of those.

    Raises:
        RefusedError: With every mistake in it, in places relative to ``value``.
    """
    findings: list[Finding] = []
    if isinstance(value, list):
        if not value:
            raise RefusedError(
                [Finding((), "[] is empty; write a regex or a table, like ['ERROR', 'FATAL']")]
            )
        alternatives = [
            _alternative(item, (f"item {number}",), findings)
            for number, item in enumerate(value, start=1)
        ]
    else:
        alternatives = [_alternative(value, (), findings)]
    if findings:
        raise RefusedError(findings)
    return tuple(alternative for alternative in alternatives if alternative is not None)


def _alternative(
    value: object, place: tuple[str, ...], findings: list[Finding]
) -> Alternative | None:
    match value:
        case str():
            try:
                return Pattern(regex(value))
            except ValueError as error:
                findings.append(Finding(place, str(error)))
        case dict() if value:
            return Conjunction(
                tuple(
                    condition
                    for field, demand in value.items()
                    for condition in _conditions(field, demand, (*place, field), findings)
                )
            )
        case dict():
            findings.append(
                Finding(place, '{} is empty; write a condition, like { severity = "Fatal" }')
            )
        case _:
            findings.append(
                Finding(
                    place,
                    f"expected a regex or a table of conditions, got {show(value)}; "
                    "write it like 'ERROR' or { severity = \"Fatal\" }",
                )
            )
    return None


def _conditions(
    field: str, demand: object, place: tuple[str, ...], findings: list[Finding]
) -> list[Condition]:
    """Read what is demanded of one field: a scalar, a list, or a table of operators."""
    if not field:
        findings.append(Finding(place[:-1], '"" is no field; write "line" for the whole line'))
        return []
    if len(place) > _DEEPEST:
        findings.append(Finding(place[:2], "is nested too deeply; write it as several rules"))
        return []
    if isinstance(demand, dict):
        if not demand:
            findings.append(
                Finding(place, "{} is empty; write an operator, like { at_least = 500 }")
            )
        return [
            condition
            for operator, operand in demand.items()
            for condition in _operator(field, operator, operand, (*place, operator), findings)
        ]
    try:
        if isinstance(demand, list):
            if not demand:
                raise ValueError('[] is empty; write at least one value, like ["a", "b"]')  # noqa: TRY301
            return [Condition(field, "any_of", tuple(_operand(item) for item in demand))]
        return [Condition(field, "equals", _operand(demand))]
    except ValueError as error:
        findings.append(Finding(place, str(error)))
        return []


def _operator(
    field: str, operator: str, operand: object, place: tuple[str, ...], findings: list[Finding]
) -> list[Condition]:
    if operator == "not":
        inner = _conditions(field, operand, place, findings)
        return [Condition(field, "not", tuple(inner))] if inner else []
    try:
        return [_simple(field, operator, operand)]
    except ValueError as error:
        known = operator in _OPERATORS
        findings.append(Finding(place if known else place[:-1], str(error)))
        return []


def _simple(field: str, operator: str, operand: object) -> Condition:
    if operator == "regex":
        return Condition(field, "regex", regex(operand))
    if operator == "contains":
        if not isinstance(operand, str) or not operand:
            raise ValueError(f"expected text, got {show(operand)}; write it in quotes")
        return Condition(field, "contains", operand)
    if operator == "exists":
        if not isinstance(operand, bool):
            raise ValueError(f"expected true or false, got {show(operand)}; write exists = true")
        return Condition(field, "exists", operand)
    if operator in _COMPARISONS:
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise ValueError(
                f"expected a number, got {show(operand)}; write it without quotes, like 500"
            )
        return Condition(field, _COMPARISONS[operator], comparable(operand, remedy=_AS_TEXT))
    raise ValueError(f'unknown operator "{show(operator)[1:-1]}"' + _remedy(field, operator))


def _remedy(field: str, operator: str) -> str:
    field = show(field)[1:-1]
    if operator.lower() in _ELSEWHERE:
        return "; " + _ELSEWHERE[operator.lower()].format(field=field)
    close = suggestion(operator, _OPERATORS)
    return close or (
        f'; write a nested field in quotes, "{field}.{show(operator)[1:-1]}" = …, or choose one of '
        + ", ".join(_OPERATORS)
    )


def _operand(value: object) -> _Operand:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return comparable(value, remedy=_AS_TEXT)
    raise ValueError(
        f"expected text, a number, true or false, got {show(value)}; write it in quotes"
    )
