r"""
What a rule looks for, as a test of one record, and as what any matching line must contain.

The test is exact.  The prefilter is a superset of it over raw bytes, for Hyperscan: for a demand on
fields, the text that a field must have is looked for anywhere in the line, in every spelling that
the format allows.  A rule for which there is no such text is tested on every line.

Trap: each format can spell a text in ways that do not contain it: ``\u0046atal`` in JSON,
``"Fa"tal`` in csv, ``5e2`` for 500.  Each must be among the expressions.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, cast

import msgspec

from alertd.core.patterns import (
    REST_OF_LINE,
    Encoding,
    Superset,
    compiled,
    folded,
    required,
    spelled,
    superset,
)
from alertd.core.records import WHOLE_LINE, Record, number
from alertd.core.rules import Condition, Conjunction, Pattern

if TYPE_CHECKING:
    from alertd.core.rules import Alternative, Selector, Source

# A text with more characters is not looked for in two halves, but any text in halves is.
LONGEST_SPLIT = 32

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
        return _equality_test(field, _values(condition))
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


def _values(condition: Condition) -> tuple[str | float | bool, ...]:
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


class _Filter(NamedTuple):
    """
    Expressions of which each matching line has at least one.

    Attributes:
        expressions: Without what makes Hyperscan match once a line.
        weight: How rare lines with them are likely to be, for comparison.
        summary: What is looked for, for a person.
    """

    expressions: tuple[str, ...]
    weight: int
    summary: str


class Prefilters:
    """Writes what the lines of one source must contain to be worth a test."""

    def __init__(self, source: Source, *, is_large: bool = False) -> None:
        """
        Prepare to write.

        Args:
            source: Where the lines come from.
            is_large: There are so many rules that compiling them takes time.
        """
        self._is_large = is_large
        self._format = source.format
        self._delimiter = source.delimiter
        self._encoding = Encoding(source.encoding)

    def selector(self, selector: Selector) -> Superset | None:
        """Write expressions for all lines that any of the alternatives may match, or give None."""
        parts = [self._alternative(alternative) for alternative in selector]
        expressions: dict[bytes, None] = {}
        for part in parts:
            if part is None:
                return None
            expressions.update(dict.fromkeys(part.expressions))
        summaries = dict.fromkeys(part.summary for part in parts if part)
        return Superset(tuple(expressions), " or ".join(summaries))

    def _alternative(self, alternative: Alternative) -> Superset | None:
        if isinstance(alternative, Pattern):
            return superset(alternative.regex, self._encoding)
        if not self._encoding.is_transparent:
            return None
        supersets = []
        filters = []
        for condition in alternative.conditions:
            if condition.field == WHOLE_LINE and condition.operator == "regex":
                found = superset(str(condition.operand), self._encoding)
                if found is not None:
                    supersets.append(found)
            elif (one := self._condition(condition)) is not None:
                filters.append(one)
        if filters:
            best = max(filters, key=lambda one: one.weight)
            expressions = (f"(?:{text}){REST_OF_LINE}" for text in best.expressions)
            return Superset(tuple(text.encode("ascii") for text in expressions), best.summary)
        return supersets[0] if supersets else None

    def _condition(self, condition: Condition) -> _Filter | None:
        kind, field = condition.operator, condition.field
        if self._format == "plain" and field != WHOLE_LINE:
            return None
        if self._format == "syslog" and field in {"facility", "severity"}:
            # They are computed from the priority.
            return None
        if kind in {"equals", "any_of"}:
            return self._any_of(field, _values(condition))
        if kind == "contains":
            return self._contains(field, str(condition.operand))
        return self._regex(field, str(condition.operand)) if kind == "regex" else None

    def _any_of(self, field: str, operands: tuple[str | float | bool, ...]) -> _Filter | None:
        parts = [part for one in operands if (part := self._equality(field, one)) is not None]
        if len(parts) < len(operands):
            return None
        return _Filter(
            tuple(dict.fromkeys(text for part in parts for text in part.expressions)),
            min(part.weight for part in parts),
            " or ".join(part.summary for part in parts),
        )

    def _equality(self, field: str, operand: str | float | bool) -> _Filter | None:  # noqa: FBT001
        text = text_operand(operand)
        if text is None:
            return self._number(float(operand))
        if self._format != "json" or field == WHOLE_LINE:
            return self._contains(field, text)
        quoted = f'"{self._json(text)}"'.replace('"', r"\x22")
        expressions = [quoted, *self._escapes(text)]
        if _BARE_JSON.match(text):
            # Not only a string may have this text.
            expressions.append(self._json(text))
        return _Filter(tuple(expressions), len(text) + 2, f"the text '{text}'")

    def _contains(self, field: str, text: str) -> _Filter | None:
        if not text:
            return None
        if "\n" in text and (field == WHOLE_LINE or self._format in {"plain", "csv", "syslog"}):
            # Only a record of several lines can hold it, and each of those is tested.
            return _Filter((), len(text), f"the text {text!r}")
        if field == WHOLE_LINE or self._format in {"plain", "syslog"}:
            expressions: tuple[str, ...] = (spelled(text, self._encoding),)
        elif self._format == "csv":
            expressions = self._csv_spellings(text)
        else:
            expressions = (self._json(text), *self._escapes(text))
        return _Filter(expressions, len(text), f"the text '{text}'")

    def _json(self, text: str) -> str:
        """Write the spellings of a text without unicode escapes, for JSON and logfmt alike."""
        return "".join(_JSON_ESCAPES.get(c) or spelled(c, self._encoding) for c in text)

    def _escapes(self, text: str) -> tuple[str, ...]:
        return (r"\\u00",) if text.isascii() else (r"\\u",)

    def _csv(self, text: str) -> str:
        """Write the spellings of a text in csv, but for those of ``_csv_spellings``."""
        quotes = {'"': r"\x22{1,3}", self._delimiter: spelled(self._delimiter, self._encoding)}
        quotes[self._delimiter] += r"\x22?"
        return "".join(quotes.get(c) or spelled(c, self._encoding) for c in text)

    def _csv_spellings(self, text: str) -> tuple[str, ...]:
        """Write all spellings of a text in csv."""
        whole = self._csv(text)
        if self._is_large or len(text) > LONGEST_SPLIT or '"' in text or self._delimiter in text:
            return whole, self._csv_oddity()
        # A quoted field may go on behind its closing quote, which csv readers put up with.  One
        # expression for all of them is scanned faster than two.
        ends = range(1, len(text))
        spell = self._csv
        return ("|".join((whole, *(rf"{spell(text[:at])}\x22{spell(text[at:])}" for at in ends))),)

    def _csv_oddity(self) -> str:
        """Write where a field goes on behind its closing quote, which csv readers put up with."""
        delimiter = spelled(self._delimiter, self._encoding)
        return rf"[^{delimiter}\x22\n]\x22[^{delimiter}\x22\r\n]"

    def _number(self, operand: float) -> _Filter | None:
        if not abs(operand) < 2**53:
            return None
        digits = repr(abs(operand)).removesuffix(".0").removeprefix("0.")
        if "e" in digits:
            return None
        expressions = [
            spelled(digits, self._encoding),
            self._exponent(),
            # With so many digits, a number may be rounded to the operand without containing it.
            r"[0-9.]{17}",
        ]
        if self._format in {"json", "logfmt"}:
            expressions.append(r"\\u00")
        if self._format == "csv":
            expressions.append(self._csv_oddity())
        return _Filter(tuple(expressions), len(digits) - 2, f"the number {digits}")

    def _exponent(self) -> str:
        """Write the spellings of numbers with an exponent, and of little else."""
        before = "" if self._format == "csv" and self._delimiter.isalnum() else _NUMBER_START
        return before + r"[0-9.]+[eE][+\x2d]?[0-9]+" + r"[^0-9A-Za-z_\n]" * (self._format == "json")

    def _regex(self, field: str, regex: str) -> _Filter | None:
        plain = _PLAIN_IN[self._format] if field != WHOLE_LINE else _PLAIN_IN["plain"]
        run = required(regex, lambda c: c in plain and c != self._delimiter)
        if run is None:
            return None
        expressions = [spelled(run.text, self._encoding)]
        if run.is_caseless:
            either = (
                f"[{c.lower()}{c.upper()}]" if c.isalpha() else spelled(c, self._encoding)
                for c in run.text
            )
            expressions = ["".join(either), folded(self._encoding).removesuffix(REST_OF_LINE)]
        if self._format in {"json", "logfmt"}:
            expressions.extend(self._escapes(run.text))
            if run.is_caseless:
                expressions.append(r"\\u")
        if self._format == "csv":
            expressions[:1] = expressions[:1] if run.is_caseless else self._csv_spellings(run.text)
            if run.is_caseless:
                expressions.append(self._csv_oddity())
        return _Filter(tuple(expressions), len(run.text), f"the text '{run.text}'")


# Texts that a value of JSON may have that is no string.
_BARE_JSON = re.compile(r"(?:true|false|NaN|-?Infinity|-?[0-9][0-9.eE+-]*)\Z|[{\[]")
# What may stand before a number; in quotes also a tab, written as an escape.
_NUMBER_START = r"(?:^|[^0-9A-Za-z\n]|\\t)"
_PRINTABLE = frozenset(map(chr, range(0x20, 0x7F)))
_PLAIN_IN = {
    "plain": _PRINTABLE,
    "syslog": _PRINTABLE,
    "csv": _PRINTABLE - {'"'},
    "json": _PRINTABLE - {*'"\\/'},
    "logfmt": _PRINTABLE - {*'"\\/'},
}
_JSON_ESCAPES = {
    '"': r"\\?\x22",
    "\\": r"\\{1,2}",
    "/": r"\\?/",
    "\b": r"(?:\x08|\\b)",
    "\f": r"(?:\x0c|\\f)",
    "\n": r"\\n",
    "\r": r"(?:\r|\\r)",
    "\t": r"(?:\t|\\t)",
}
