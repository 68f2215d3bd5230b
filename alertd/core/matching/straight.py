"""
The straight way for the commonest rules of csv and JSON: fields equal to texts, grouped by others.

All that such rules ask of some lines is read in one go, a row of values for each line; a rule's
test, and the line's time, are then a look into its row.

Refuses whatever is unusual, such as a number where a text is asked for: such a line goes the long
way (see ``confirming``), which knows what to make of it.

Trap: so this may give up on any line, but what it answers must be what the long way would.
"""

from __future__ import annotations

import csv
import re
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from alertd.core.matching.lane import row_type, slot
from alertd.core.patterns import Encoding
from alertd.core.records import WHOLE_LINE
from alertd.core.records.csv_record import LONGEST_FIELD
from alertd.core.records.json_record import LONGEST_INTEGER
from alertd.core.rules import LONGEST_KEY, Condition, Conjunction
from alertd.core.selectors import text_operand, values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alertd.core.rules import Rule, Source

Row: TypeAlias = "Sequence[Any]"
RowTest: TypeAlias = "Callable[[Row], tuple[str, ...] | None]"

TIME = 0
"""Where the line's time stands in a row."""

_SELECTING = frozenset({"threshold", "match", "distinct", "new_value", "change"})


class UnusualError(ValueError):
    """A line must go the long way."""


class Straight:
    """
    Reads lines and tests rules on them.

    Attributes:
        is_able: There are such rules, and the names of the fields are known.
        tests: For each rule, what gives the key of a row that matches, or None if it does not.
    """

    def __init__(self, source: Source, rules: Sequence[Rule]) -> None:
        """
        Prepare.

        Args:
            source: Where the lines come from.
            rules: All rules of the source.
        """
        asked = [_asked(rule, source) for rule in rules]
        places = {source.timestamp: TIME}
        for rule, texts_of in zip(rules, asked, strict=True):
            for name in (*texts_of, *rule.keyed_by) if texts_of else ():
                places.setdefault(name, len(places))
        self.tests = [
            _test([(places[name], texts) for name, texts in texts_of.items()], rule, places)
            if texts_of
            else _refuse
            for rule, texts_of in zip(rules, asked, strict=True)
        ]
        self._names = [*places] * (1 + (len(places) == 1)) if any(asked) else []
        self._delimiter = source.delimiter
        self._header: tuple[str, ...] | None = None
        # Of a csv, the header must be known first.
        self.is_able = source.format == "json" and bool(self._names)
        self._rows_of = _json_reader(self._names) if self.is_able else _refuse_all

    def name(self, header: tuple[str, ...] | None) -> None:
        """Take the names of a csv's fields; of equal ones the first counts."""
        if header != self._header:
            self._header = header
            columns = header or ()
            self.is_able = bool(self._names) and {*self._names} <= {*columns}
            if self.is_able:
                places = [columns.index(name) for name in self._names]
                self._rows_of = _csv_reader(places, self._delimiter)

    def read(self, lines: list[bytes], longest: int) -> tuple[list[str], list[Row]]:
        """
        Read lines.

        Args:
            lines: Without their newlines.
            longest: Bytes that are looked at of a line.

        Returns:
            The text of each, and its row.

        Raises:
            ValueError: One of them is unusual; so is one that has too few fields.
            RecursionError: One of them is nested too deeply.
        """
        raw = b"\n".join(lines)
        if b"\r" in raw:
            raw = raw.replace(b"\r\n", b"\n").removesuffix(b"\r")
        if b"\r" in raw or b"\0" in raw or max(map(len, lines)) > longest:
            raise UnusualError
        together = raw.decode()
        texts = together.split("\n")
        # Bytes that are no text are shown in a way of their own; a record may have several lines.
        if (not raw.isascii() and "\ufffd" in together) or len(texts) != len(lines):
            raise UnusualError
        return texts, self._rows_of(texts)


def _asked(rule: Rule, source: Source) -> dict[str, frozenset[str]]:
    """Give the texts that each field must be one of, if a rule asks for nothing else."""
    if (
        source.format not in {"csv", "json"}
        or not Encoding(source.encoding).is_utf8
        or rule.kind not in _SELECTING
        or rule.unless
        or len(rule.match) != 1
        or not isinstance(rule.match[0], Conjunction)
    ):
        return {}
    asked: dict[str, frozenset[str]] = {}
    for condition in rule.match[0].conditions:
        texts = _texts(condition)
        if texts is None:
            return {}
        asked[condition.field] = asked.get(condition.field, texts) & texts
    names = (source.timestamp, *asked, *rule.keyed_by)
    return asked if all(_is_plain(name, source) for name in names) else {}


def _is_plain(name: str, source: Source) -> bool:
    """Tell whether a field is found by its name alone, and not by way of another one."""
    if name in {"", "auto", "none", WHOLE_LINE}:
        return False
    # msgspec mistakes keys that are not ASCII.
    return source.format == "csv" or (name.isascii() and "." not in name)


def _texts(condition: Condition) -> frozenset[str] | None:
    if condition.operator not in {"equals", "any_of"}:
        return None
    texts = [text_operand(one) for one in values(condition)]
    return None if None in texts else frozenset(text for text in texts if text is not None)


def _refuse_all(_texts: list[str]) -> list[Row]:
    raise UnusualError


def _refuse(_row: Row) -> tuple[str, ...] | None:
    raise UnusualError


def _test(
    conditions: list[tuple[int, frozenset[str]]], rule: Rule, places: dict[str, int]
) -> RowTest:
    """
    Make a rule's test, from places in the row and the texts that may stand there.

    One field that is asked for and one that is grouped by are what most rules have; a test for no
    more takes less than half as long.
    """
    key = [places[name] for name in rule.keyed_by]
    (first, texts), *others = conditions
    if others or len(key) != 1:
        return _general_test(conditions, key)
    (only,) = key

    def test(row: Row) -> tuple[str, ...] | None:
        value = row[first]
        if value.__class__ is not str:
            return _of_no_text(value)
        if value not in texts:
            return None
        part = row[only]
        if part.__class__ is str and len(part) <= LONGEST_KEY:
            return (part,)
        raise UnusualError

    return test


def _general_test(conditions: list[tuple[int, frozenset[str]]], key: list[int]) -> RowTest:
    def test(row: Row) -> tuple[str, ...] | None:
        for place, texts in conditions:
            value = row[place]
            if value.__class__ is not str:
                return _of_no_text(value)
            if value not in texts:
                return None
        parts = tuple([row[place] for place in key])
        for part in parts:
            if part.__class__ is not str or len(part) > LONGEST_KEY:
                raise UnusualError
        return parts

    return test


def _of_no_text(value: object) -> tuple[str, ...] | None:
    """Say that what is missing equals nothing; a number may be spelled like a text."""
    if value is None or value is msgspec.UNSET:
        return None
    raise UnusualError


def _json_reader(names: list[str]) -> Callable[[list[str]], list[Row]]:
    decode = msgspec.json.Decoder(row_type({*names}, set())).decode
    # There are two at least: of a single attribute it would give no row.
    row_of = attrgetter(*map(slot, names))

    def rows_of(texts: list[str]) -> list[Row]:
        if max(map(len, texts)) > LONGEST_INTEGER:
            raise UnusualError
        return [*map(row_of, map(decode, texts))]

    return rows_of


def _csv_reader(columns: list[int], delimiter: str) -> Callable[[list[str]], list[Row]]:
    width = max(columns) + 1
    # There are two at least: of a single column it would give no row.
    row_of: Callable[[list[str]], Row] = itemgetter(*columns)
    match, groups_of = _quoted(columns, delimiter)

    def rows_of(texts: list[str]) -> list[Row]:
        if max(map(len, texts)) > LONGEST_FIELD:
            raise UnusualError
        if any('"' in text for text in texts):
            found = [*map(match, texts)]
            if None not in found:
                return [*map(groups_of, found)]
            rows = [*csv.reader(texts, delimiter=delimiter)]
        else:
            rows = [text.split(delimiter, width) for text in texts]
        if len(rows) != len(texts):
            # A line ends within quotes, and took others with it.
            raise UnusualError
        try:
            return [*map(row_of, rows)]
        except IndexError:
            raise UnusualError from None

    return rows_of


def _quoted(
    columns: list[int], delimiter: str
) -> tuple[Callable[[str], re.Match[str] | None], Callable[[Any], Row]]:
    """
    Make what reads rows where quotes enclose whole fields, in half the time that ``csv`` takes.

    A field that is asked for must have no quote in it, nor a delimiter.

    Returns:
        What matches such a row, and what takes the columns from the match.
    """
    between = re.escape(delimiter)
    skipped = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{between}][^{between}]*+|){between}'
    parts: list[str] = []
    group_of: dict[int, int] = {}
    at = 0
    for column in sorted({*columns}):
        parts.append(f"(?:{skipped}){{{column - at}}}")
        at = column + 1
        quote, group = 2 * len(group_of) + 1, 2 * len(group_of) + 2
        parts.append(rf'(")?([^"{between}]*+)(?({quote})")(?:{between}|\Z)')
        group_of[column] = group
    return re.compile("".join(parts)).match, itemgetter(*[group_of[one] for one in columns])
