"""
Rules that no text can find (``duration_ms at_least 500``): one cheap look at the fields they name.

Such a rule must see every line, but its exact test need not: a row of nothing but those fields is
read many lines at a time, and what is surely not enough is left out.

Trap: this may let through too much, never too little.  Whatever is not an ordinary number or text
(huge integers, numbers in strings, lists, lines that cannot be read) goes to the exact test.
"""

from __future__ import annotations

import csv
import operator
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias, cast

import msgspec

from alertd.core.patterns import Encoding
from alertd.core.records import WHOLE_LINE, number
from alertd.core.rules import Condition, Conjunction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alertd.core.rules import Alternative, Rule, Source

# Lines that are looked at in one go, for one rule.
MOST_LINES = 16384
# Beyond it, an integer and the float that stands for it are not compared alike.
EXACT = 2**53
REMEMBERED = 4096

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "at_least": operator.ge,
    "at_most": operator.le,
    "more_than": operator.gt,
    "less_than": operator.lt,
}

Value: TypeAlias = object
Row: TypeAlias = "Sequence[str] | msgspec.Struct"
Check: TypeAlias = "Callable[[Row], bool]"
Reader: TypeAlias = "Callable[[str], Callable[[Row], Value]]"
"""Makes what takes a field from a row: a number, a text, ``UNSET``, or None if it cannot tell."""


class Lane:
    """
    Looks at every line for some rules.

    Attributes:
        rules: Their numbers.
    """

    def __init__(self, source: Source, rules: Sequence[Rule], numbers: Sequence[int]) -> None:
        """
        Prepare.

        Args:
            source: Where the lines come from.
            rules: All rules of the source.
            numbers: Of the rules that need every line; those that can be told by a field are taken.
        """
        self._delimiter = source.delimiter
        self._encoding = source.encoding
        self._is_csv = source.format == "csv"
        self._columns: dict[str, int] = {}
        is_able = source.format in {"csv", "json"} and Encoding(source.encoding).is_transparent
        self.rules = [n for n in numbers if is_able and _is_telling(rules[n])]
        fields = {
            condition.field
            for n in self.rules
            for alternative in rules[n].seen
            for condition in _telling(alternative)
        }
        self._decoder = msgspec.json.Decoder(
            row_type(fields, {(*field.split("."),) for field in fields})
        )
        reader = self._csv_reader if self._is_csv else self._json_reader
        self._checks = [(n, _rule_check(rules[n], reader)) for n in self.rules]

    def name(self, header: tuple[str, ...] | None) -> None:
        """Take the names of a csv's fields; of equal ones the first counts."""
        columns = [*enumerate(header or ())]
        self._columns = {name: column for column, name in reversed(columns) if name}

    def candidates(self, data: bytes, start: int, end: int, shift: int) -> set[int]:
        """
        Look at whole lines.

        Args:
            data: The lines, among others.
            start: Where they begin.
            end: Where they end.
            shift: Bits by which ends are shifted in the result.

        Returns:
            ``end << shift | rule`` for each line that a rule may match.
        """
        raw = data[start:end]
        lines = raw.removesuffix(b"\n").split(b"\n")
        rows = self._csv_rows(raw, len(lines)) if self._is_csv else self._json_rows(lines)
        ends = [*accumulate((len(line) + 1 for line in lines), initial=start - 1)]
        found: set[int] = set()
        for n, check in self._checks:
            found.update(
                [
                    ends[at] << shift | n
                    for at, row in enumerate(rows, 1)
                    if row is None or check(row)
                ]
            )
        return found

    def _json_rows(self, lines: list[bytes]) -> list[Row | None]:
        decode = self._decoder.decode
        try:
            return [decode(line) for line in lines]
        except ValueError:
            return [self._json_row(line) for line in lines]

    def _json_row(self, line: bytes) -> Row | None:
        try:
            return self._decoder.decode(line)
        except ValueError:
            return None

    def _csv_rows(self, raw: bytes, count: int) -> Sequence[Row | None]:
        """Split lines; where a quote makes one of several, or one is strange, give nothing."""
        text = raw.decode(self._encoding, "replace").removesuffix("\n").replace("\r\n", "\n")
        if "\0" in text:
            # At the start of a line they are no text.
            return [None] * count
        lines, delimiter = text.split("\n"), self._delimiter
        quoted = [line for line in lines if '"' in line]
        try:
            rows = list(csv.reader(quoted, delimiter=delimiter))
        except csv.Error:
            return [None] * count
        if len(rows) != len(quoted):
            return [None] * count
        split = iter(rows)
        # Without quotes nothing but the delimiter matters, which is found three times as fast.
        return [next(split) if '"' in line else line.split(delimiter) for line in lines]

    def _csv_reader(self, field: str) -> Callable[[Row], Value]:
        numbers: dict[str, float | None] = {}

        def read(row: Row) -> Value:
            column = self._columns.get(field)
            if column is None or column >= len(row):  # type: ignore[arg-type]
                return msgspec.UNSET
            text: str = row[column]  # type: ignore[index]
            try:
                value = numbers[text]
            except KeyError:
                if len(numbers) > REMEMBERED:
                    numbers.clear()
                value = numbers[text] = number(text)
            return text if value is None else value

        return read

    @staticmethod
    def _json_reader(field: str) -> Callable[[Row], Value]:
        own = operator.attrgetter(slot(field))
        if "." not in field:
            return own
        follow = operator.attrgetter(".".join(map(slot, field.split("."))))

        def read(row: Row) -> Value:
            if own(row) is not msgspec.UNSET:
                return None
            try:
                return follow(row)
            except AttributeError:
                # The path leads through something that has no fields.
                return msgspec.UNSET

        return read


def row_type(names: set[str], paths: set[tuple[str, ...]]) -> type[msgspec.Struct]:
    """
    Make the type of what is read of an object: nothing but some fields, and those on some paths.

    What a path leads through has fields or is a simple value; a list cannot be read, so the exact
    test looks into it.

    Args:
        names: Of fields, perhaps with dots in them.
        paths: To fields.
    """
    leaves = names | {path[0] for path in paths if len(path) == 1}
    deeper: dict[str, set[tuple[str, ...]]] = {}
    for first, *rest in paths:
        if rest:
            deeper.setdefault(first, set()).add(tuple(rest))
    members: list[tuple[str, object, object]] = []
    for name in sorted(leaves | deeper.keys()):
        kind: object = object
        default: object = msgspec.UNSET
        if name in deeper:
            inner = row_type(set(), deeper[name])
            kind = inner | None | bool | int | float | str
            default = msgspec.UNSET if name in leaves else inner()
        members.append((slot(name), kind, msgspec.field(default=default, name=name)))
    return msgspec.defstruct("Row", members, gc=False, frozen=True)


def slot(name: str) -> str:
    """Give the attribute of a row that a field is; any text can be a field's name."""
    return "f" + name.encode().hex()


def _is_telling(rule: Rule) -> bool:
    return bool(rule.seen) and all(_telling(alternative) for alternative in rule.seen)


def _telling(alternative: Alternative) -> list[Condition]:
    """Give the conditions of an alternative that a look at a field may find wanting."""
    if not isinstance(alternative, Conjunction):
        return []
    return [
        one
        for one in alternative.conditions
        if (one.operator in COMPARISONS or (one.operator == "exists" and one.operand is True))
        and one.field != WHOLE_LINE
        # Other names cannot be asked for.
        and one.field.isprintable()
        and not {*one.field} & {*'"\\'}
    ]


def _rule_check(rule: Rule, reader: Reader) -> Check:
    checks = [
        [_check(condition, reader) for condition in _telling(alternative)]
        for alternative in rule.seen
    ]
    if len(checks) == 1 and len(checks[0]) == 1:
        return checks[0][0]
    return lambda row: any(all(check(row) for check in together) for together in checks)


def _check(condition: Condition, reader: Reader) -> Check:
    read = reader(condition.field)
    if condition.operator == "exists":
        return lambda row: read(row) is not msgspec.UNSET
    compare = COMPARISONS[condition.operator]
    limit = cast("float", condition.operand)

    def check(row: Row) -> bool:
        value = read(row)
        if value.__class__ is float or value.__class__ is int:
            return compare(value, limit) or not -EXACT < value < EXACT
        return value is not msgspec.UNSET

    return check
