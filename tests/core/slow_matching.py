"""
Matching as it is meant: every rule on every line, with nothing but Python's own readers.

It is as slow as it is plain, and ``alertd.core.matching`` must agree with it.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from alertd.core.records import record
from alertd.core.rules import Condition, Conjunction, Pattern
from alertd.core.timestamps import TimestampReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alertd.core.rules import Rule, Selector, Source

NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*")
Fields = dict[str, str | None]


class Found(NamedTuple):
    """What a match says."""

    rule: str
    key: tuple[str, ...]
    time: float
    offset: int
    line: str


def slow_matches(
    content: bytes, source: Source, rules: list[Rule], read_at: float, *, looks_ahead: bool = True
) -> list[Found]:
    """Find all matches in a whole, finished file; its first lines may look ahead for a time."""
    reader = TimestampReader(timezone=source.timezone, format=source.timestamp_format)
    found = []
    previous: float | None = None
    first: float | None = None
    names = source.columns
    is_head = source.format == "csv"
    for offset, raw in records(content, source):
        text = raw.decode(source.encoding, "replace")
        if is_head:
            # Blank lines before the header name nothing, and are nothing.
            if not raw.strip():
                continue
            is_head = False
            row = tuple(name.strip() for name in row_of(text, source))
            if not names:
                names = row
                continue
            if row == names:
                continue
        fields = fields_of(text, source, names)
        time = time_of(text, fields, source, reader, read_at, previous)
        if source.timestamp != "none":
            previous = time if time is not None else previous
            first = first if first is not None else time
        for rule in rules:
            for key in keys_of(rule, text, fields):
                shown = (
                    text
                    if "\ufffd" not in text
                    else raw.decode(source.encoding, "backslashreplace")
                )
                found.append((previous, Found(rule.name, key, read_at, offset, shown)))
    if not looks_ahead or first is None:
        first = read_at
    return [one._replace(time=first if time is None else time) for time, one in found]


def time_of(  # noqa: PLR0917 - all of what a time depends on
    text: str,
    fields: Fields,
    source: Source,
    reader: TimestampReader,
    read_at: float,
    previous: float | None,
) -> float | None:
    """Read a line's own time."""
    if source.timestamp == "none":
        return None
    stamp = None
    if source.timestamp != "auto":
        value = fields.get(source.timestamp)
        stamp = None if value is None else reader.read(value, read_at)
    else:
        if source.format in {"json", "logfmt"}:
            for name in ("@timestamp", "timestamp", "time", "ts", "datetime", "date"):
                stamp = stamp or (reader.read(fields.get(name) or "", read_at))
        if source.format == "syslog" and fields.get("time"):
            stamp = reader.read(fields["time"] or "", read_at)
        stamp = stamp or reader.find(text, read_at)
    if stamp is None:
        return None
    if stamp.later is not None and previous is not None and stamp.time < previous <= stamp.later:
        return stamp.later
    return stamp.time


def records(content: bytes, source: Source) -> Iterator[tuple[int, bytes]]:
    """Cut a file into lines, or into csv records of several lines."""
    offset = 0
    lines = []
    for line in content.split(b"\n"):
        lines.append((offset, line))
        offset += len(line) + 1
    if not lines[-1][1]:
        lines.pop()
    at = 0
    while at < len(lines):
        count = 1
        # A header is one line.
        if source.format == "csv" and source.multiline and (at or source.columns):
            count = lines_of_record(
                [line for _, line in lines[at : at + 101]], source, is_first=at == 0
            )
        offset, _ = lines[at]
        raw = b"\n".join(line for _, line in lines[at : at + count])
        raw = raw.removesuffix(b"\r")
        if offset == 0:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        raw = raw.lstrip(b"\0")
        yield offset, raw if count > 1 else raw[: source.max_line]
        at += count


def lines_of_record(lines: list[bytes], source: Source, *, is_first: bool) -> int:
    """Count the lines of the record that begins here."""
    first = lines[0].removeprefix(b"\xef\xbb\xbf") if is_first else lines[0]
    lines = [first.lstrip(b"\0"), *lines[1:]]
    if len(first) > source.max_line:
        return 1
    for count in range(1, min(len(lines), 100) + 1):
        if len(lines[count - 1]) > source.max_line:
            return 1
        raw = b"\n".join(lines[:count]) + b"\n"
        if len(raw) > 65536:
            return 1
        text = raw.decode(source.encoding, "replace")
        # With the record complete, a line behind it is a row of its own.
        ends = [part + "\n" for part in text.removesuffix("\n").replace("\r", " ").split("\n")]
        rows = list(csv.reader([*ends, "x"], delimiter=source.delimiter))
        if len(rows) > 1:
            return count
    return 1


def row_of(text: str, source: Source) -> list[str]:
    """Split a csv record."""
    try:
        return next(csv.reader([text], delimiter=source.delimiter), [])
    except csv.Error:
        return []


def fields_of(text: str, source: Source, names: tuple[str, ...]) -> Fields:
    """Give the fields of a line."""
    fields: Fields = {}
    if source.format == "csv":
        for name, value in zip(names, row_of(text, source), strict=False):
            if name:
                fields.setdefault(name, value)
    elif source.format == "json":
        fields.update(json_fields(text))
    elif source.format in {"logfmt", "syslog"}:
        # These readers are ours; they have tests of their own.
        one = record(source)
        one.take(text)
        fields.update(one.fields())
    fields["line"] = text
    return fields


class Spelled(str):
    """A number, as it stands in the line."""

    __slots__ = ()


def json_fields(text: str) -> Fields:
    """Give what a JSON object has, two levels deep."""
    try:
        document = json.loads(
            text, parse_int=Spelled, parse_float=Spelled, parse_constant=Spelled, strict=False
        )
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    fields: Fields = {}
    for name, value in document.items():
        if isinstance(value, dict):
            for inner, deep in value.items():
                fields.setdefault(f"{name}.{inner}", json_text(deep))
    fields.update({name: json_text(value) for name, value in document.items()})
    return fields


def json_text(value: object) -> str | None:
    """Give a JSON value's text; lists and objects are not part of the comparison."""
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def keys_of(rule: Rule, text: str, fields: Fields) -> list[tuple[str, ...]]:
    """Give the key of a line; of a sequence all that it has, with the steps behind each."""
    if not rule.steps:
        key = key_of(rule, text, fields)
        return [] if key is None else [key]
    numbers: dict[tuple[str, ...], str] = {}
    for number, step in reversed([*enumerate(rule.steps, start=1)]):
        one = replace(rule, match=step.match, unless=(*step.unless, *rule.unless))
        key = key_of(one, text, fields)
        if key is not None:
            numbers[key] = numbers.get(key, "") + str(number)
    return [(*key, its) for key, its in numbers.items()]


def key_of(rule: Rule, text: str, fields: Fields) -> tuple[str, ...] | None:
    """Give the key of a line that matches and has one."""
    groups = selected(rule.match, text, fields)
    if groups is None:
        return None
    overlaid = {**fields, **groups}
    if selected(rule.unless, text, overlaid) is not None:
        return None
    key = [overlaid.get(name) for name in rule.group_by]
    return tuple(value for value in key if value is not None) if None not in key else None


def selected(selector: Selector, text: str, fields: Fields) -> Fields | None:
    """Give the groups of the first alternative that holds."""
    for alternative in selector:
        if isinstance(alternative, Pattern):
            found = re.search(alternative.regex, text)
            if found:
                return found.groupdict()
        elif isinstance(alternative, Conjunction):
            groups: Fields = {}
            for condition in alternative.conditions:
                one = held(condition, fields)
                if one is None:
                    break
                groups.update(one)
            else:
                return groups
    return None


def held(condition: Condition, fields: Fields) -> Fields | None:
    """Give the groups of a condition that holds."""
    value, operand = fields.get(condition.field), condition.operand
    if condition.operator == "not":
        assert isinstance(operand, tuple)
        inner = [one for one in operand if isinstance(one, Condition)]
        return {} if any(held(one, fields) is None for one in inner) else None
    if condition.operator == "exists":
        return {} if (value is not None) == operand else None
    if value is None:
        return None
    if condition.operator == "regex":
        found = re.search(str(operand), value)
        return found.groupdict() if found else None
    return {} if compare(condition, value) else None


def compare(condition: Condition, value: str) -> bool:
    """Compare a value that is there."""
    operand = condition.operand
    if condition.operator == "contains":
        return str(operand) in value
    if condition.operator == "any_of":
        assert isinstance(operand, tuple)
        return any(is_equal(value, one) for one in operand)
    if condition.operator == "equals":
        return is_equal(value, operand)
    number = float(value) if NUMBER.fullmatch(value) else float("nan")
    assert isinstance(operand, float)
    limit = operand
    return {
        "at_least": number >= limit,
        "at_most": number <= limit,
        "more_than": number > limit,
        "less_than": number < limit,
    }[condition.operator]


def is_equal(value: str, operand: object) -> bool:
    """Compare as text, or as numbers where the operand is one."""
    if isinstance(operand, bool):
        return value == ("true" if operand else "false")
    if isinstance(operand, float | int):
        return bool(NUMBER.fullmatch(value)) and float(value) == operand
    return value == operand
