"""
A line → its fields, in each of the formats.

A field's value is text, whatever its type: a JSON number is as it is spelled in the line, so that
no precision and no notation is lost.  ``null`` and absence are the same.  A line that is not in its
source's format has no fields; its text can still be searched.

Trap: ``str.splitlines``, ``csv`` and JSON each have their own idea of what ends a line.  Here a
line has already been found by its newline, and nothing inside it ends it.
"""

from __future__ import annotations

import csv
import json
import math
import re
from abc import ABC, abstractmethod
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from alertd.core.framing import Framing
    from alertd.core.rules import Source

    Json: TypeAlias = "str | int | float | bool | dict[str, Json] | list[Json] | None"

WHOLE_LINE = "line"
BOM = b"\xef\xbb\xbf"
# In the order of trust, for the formats whose fields have names that mean something.
TIME_FIELDS = ("@timestamp", "timestamp", "time", "ts", "datetime", "date")

_NUMBER = re.compile(
    r"[ \t]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t]*", re.ASCII
)


def number(text: str) -> float | None:
    """Read a decimal number; blanks around it do no harm, anything else does."""
    found = _NUMBER.fullmatch(text)
    return float(found[1]) if found else None


def trimmed(raw: bytes) -> bytes:
    """Take from a line what is not its text: a carriage return, and the NULs of a sparse hole."""
    if raw.endswith(b"\r"):
        raw = raw[:-1]
    return raw.lstrip(b"\0") if raw.startswith(b"\0") else raw


class Record(ABC):
    """
    One line at a time, its fields read when the first of them is asked for.

    Attributes:
        text: The whole line.
        is_unparsable: It has been looked at and is not in its source's format.
    """

    __slots__ = ("_is_read", "is_unparsable", "text")

    def __init__(self) -> None:
        self.take("")

    def take(self, text: str) -> None:
        """Become another line."""
        self.text = text
        self._is_read = False
        self.is_unparsable = False

    def get(self, name: str) -> str | None:
        """Give a field's text, or None if it is missing."""
        if name == WHOLE_LINE:
            return self.text
        if not self._is_read:
            self._read()
            self._is_read = True
        return self._field(name)

    def number(self, name: str) -> float | None:
        """Give a field as a number, or None if it is missing or none."""
        value = self.get(name)
        return None if value is None else number(value)

    def timestamps(self) -> Iterable[str]:
        """Give the fields in which the line's time is likely to stand, the likeliest first."""
        return ()

    @abstractmethod
    def fields(self) -> dict[str, str]:
        """Give all fields there are."""

    @abstractmethod
    def _read(self) -> None:
        """Split the text into fields."""

    @abstractmethod
    def _field(self, name: str) -> str | None:
        """Give a field of the text that was read."""


class PlainRecord(Record):
    """A line without fields but those that a rule's named groups give it."""

    __slots__ = ()

    def fields(self) -> dict[str, str]:
        """Give nothing."""
        return {}

    def _read(self) -> None:
        pass

    def _field(self, name: str) -> None:
        del name


class CsvRecord(Record):
    """
    A row, whose fields are named by the file's header.

    A field is missing if its row is too short; values beyond the header have no name.
    """

    __slots__ = ("_columns", "_delimiter", "_header", "_row")

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._row: list[str] = []
        self._header: tuple[str, ...] | None = None
        self._columns: dict[str, int] = {}
        super().__init__()

    def name(self, header: tuple[str, ...] | None) -> None:
        """Take the names of the fields; of equal ones the first counts."""
        if header is not self._header:
            self._header = header
            columns = enumerate(header or ())
            self._columns = {name: column for column, name in reversed([*columns]) if name}

    def fields(self) -> dict[str, str]:
        """Give the named values."""
        self.get("")
        pairs = sorted(self._columns.items(), key=lambda pair: pair[1])
        return {name: self._row[column] for name, column in pairs if column < len(self._row)}

    def _read(self) -> None:
        try:
            self._row = parse_row(self.text, self._delimiter)
        except csv.Error:
            self._row = []
            self.is_unparsable = True

    def _field(self, name: str) -> str | None:
        column = self._columns.get(name)
        return self._row[column] if column is not None and column < len(self._row) else None


def parse_row(text: str, delimiter: str) -> list[str]:
    """
    Split one record of a csv; an empty one has no values.

    Raises:
        csv.Error: It is malformed beyond what csv readers put up with.
    """
    return next(csv.reader((text,), delimiter=delimiter), [])


def leaves_open(text: str, delimiter: str, *, is_open: bool) -> bool:
    """
    Tell whether a csv record goes on in the line after this one, inside a quoted field.

    Args:
        text: One line.
        delimiter: Between the fields.
        is_open: The line begins inside a quoted field.
    """
    at = 0
    while True:
        if is_open or text.startswith('"', at):
            at += not is_open
            while text.startswith('""', at := text.find('"', at)):
                at += 2
            if at < 0:
                return True
            is_open = False
        # What follows a closing quote, or stands without quotes, goes as far as the delimiter.
        at = text.find(delimiter, at) + 1
        if not at:
            return False


def learn_header(source: Source, framing: Framing, first_line: bytes) -> None:
    """
    Take the names of a csv's fields from its first line, unless the source names them.

    Args:
        source: Of the file; nothing happens if it is no csv.
        framing: Of the file, updated in place.
        first_line: With or without its line end.
    """
    if source.format != "csv":
        return
    line = trimmed(first_line.removesuffix(b"\n").removeprefix(BOM))
    names = _names(source, line)
    if not source.columns or names == source.columns:
        framing.header_line = line
    framing.header = source.columns or names


def is_header(source: Source, framing: Framing, first_line: bytes) -> bool:
    """
    Tell whether a file's first line names its fields, and remember them if so.

    Args:
        source: A csv.
        framing: Of the file, updated in place.
        first_line: Trimmed.
    """
    # After a truncation the header is known, and its writer may have written it again or not.
    if framing.header is None or source.columns:
        learn_header(source, framing, first_line)
    return first_line == framing.header_line


def _names(source: Source, line: bytes) -> tuple[str, ...]:
    try:
        names = parse_row(line.decode(source.encoding, "replace"), source.delimiter)
    except csv.Error:
        return ()
    return tuple(name.strip() for name in names)


class JsonRecord(Record):
    """
    An object, whose fields are named by dotted paths.

    A key that contains the dots itself comes first; a number in a path counts in a list.
    """

    __slots__ = ("_document", "_paths")

    def __init__(self) -> None:
        self._document: dict[str, Json] = {}
        # The paths that were asked for, split at their dots.
        self._paths: dict[str, tuple[str, ...]] = {}
        super().__init__()

    def get(self, name: str) -> str | None:
        """Give a field's text, or None if it is missing."""
        if name == WHOLE_LINE:
            return self.text
        if not self._is_read:
            self._read()
            self._is_read = True
        value = self._document.get(name)
        # As nearly always: all the rest is left out.
        if value.__class__ is str and value.isascii():
            return value
        return self._field(name)

    def number(self, name: str) -> float | None:
        """Give a field as a number; strings that hold one are numbers, too."""
        if name != WHOLE_LINE:
            self.get("")
            value = _follow(self._document, self._path(name))
            if type(value) is int or (type(value) is float and math.isfinite(value)):
                return _as_float(value)
        return super().number(name)

    def timestamps(self) -> list[str]:
        """Give the values of the fields that usually hold a time."""
        self.get("")
        document = self._document
        return [value for name in TIME_FIELDS if name in document and (value := self.get(name))]

    def fields(self) -> dict[str, str]:
        """Give the fields that hold no fields themselves, by their paths."""
        self.get("")
        paths = _leaves(self._document, ())
        found = {".".join(path): self._text(path) for path in paths}
        return {
            without_surrogates(name): value for name, value in found.items() if value is not None
        }

    def _read(self) -> None:
        try:
            document = _decode(self.text)
        except (ValueError, RecursionError):
            document = None
        self.is_unparsable = not isinstance(document, dict)
        self._document = document if isinstance(document, dict) else {}

    def _field(self, name: str) -> str | None:
        return self._text(self._path(name))

    def _path(self, name: str) -> tuple[str, ...]:
        if name in self._document or "." not in name:
            return (name,)
        path = self._paths.get(name)
        if path is None:
            path = self._paths[name] = tuple(name.split("."))
        return path

    def _text(self, path: tuple[str, ...]) -> str | None:
        value = _follow(self._document, path)
        if isinstance(value, str):
            return value if value.isascii() else without_surrogates(value)
        if value is None:
            return None
        if isinstance(value, bool):
            return "true" if value else "false"
        if value and isinstance(value, int):
            return str(value)
        return _spelling(self.text, path)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_LENIENT = json.JSONDecoder(strict=False)
_BLANKS = re.compile(r"[ \t\r\n]*")


def _decode(text: str) -> Json:
    """
    Read JSON and what passes for it: NaN, lone surrogates, raw control characters, a BOM.

    Raises:
        ValueError: It is not even that.
        RecursionError: It is nested too deeply.
    """
    try:
        return msgspec.json.decode(text)  # type: ignore[no-any-return]
    except msgspec.DecodeError:
        return _LENIENT.decode(text.removeprefix("\ufeff"))  # type: ignore[no-any-return]


def without_surrogates(text: str) -> str:
    """Replace halves of characters, which no encoding can write; a pair of them becomes one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _follow(value: Json, path: tuple[str, ...]) -> Json:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and _is_index(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < len("1000000000")


def _leaves(value: Json, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [leaf for name, inner in value.items() for leaf in _leaves(inner, (*path, name))]


def _spelling(text: str, path: tuple[str, ...]) -> str:
    """Find how a value that is there is spelled in valid JSON."""
    at, end = int(text.startswith("\ufeff")), len(text)
    for step in path:
        at = _skip(text, at)
        if text[at] == "{":
            at, end = _members(text, at)[step]
        else:
            at, end = _members(text, at)[str(int(step))]
    return without_surrogates(text[at:end])


def _members(text: str, at: int) -> dict[str, tuple[int, int]]:
    """Give the places of the values in the object or the list that begins here."""
    found: dict[str, tuple[int, int]] = {}
    is_object = text[at] == "{"
    while text[at] not in "}]":
        at = _skip(text, at + 1)
        key = str(len(found))
        if is_object:
            key, at = scanstring(text, at + 1, False)  # noqa: FBT003 - it takes no keywords
            at = _skip(text, _skip(text, at) + 1)
        _, end = _LENIENT.raw_decode(text, at)
        found[key] = (at, end)
        at = _skip(text, end)
    return found


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


class LogfmtRecord(Record):
    r"""
    Pairs such as ``level=info msg="it said \"no\""``; a bare word is a field without text.

    Of equal names the last counts.
    """

    __slots__ = ("_fields",)

    _PAIR = re.compile(
        r'([^\x00-\x20="]+)(=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\x00-\x20]*)))?', re.DOTALL
    )
    _ESCAPE = re.compile(r'\\(?:(["\\/])|([bfnrt])|u([0-9a-fA-F]{4}))')
    _CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}  # noqa: RUF012 - constant

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        super().__init__()

    def timestamps(self) -> Iterator[str]:
        """Give the values of the fields that usually hold a time."""
        return (value for name in TIME_FIELDS if (value := self.get(name)))

    def fields(self) -> dict[str, str]:
        """Give the pairs."""
        self.get("")
        return self._fields

    def _read(self) -> None:
        self._fields = fields = {}
        self.is_unparsable = True
        for name, assigned, quoted, bare in self._PAIR.findall(self.text):
            if assigned:
                self.is_unparsable = False
            fields[name] = bare or (self._plain(quoted) if "\\" in quoted else quoted)

    def _plain(self, quoted: str) -> str:
        return without_surrogates(self._ESCAPE.sub(self._unescaped, quoted))

    def _unescaped(self, escape: re.Match[str]) -> str:
        same, control, code = escape.groups()
        return same or (self._CONTROLS[control] if control else chr(int(code, 16)))

    def _field(self, name: str) -> str | None:
        return self._fields.get(name)


class SyslogRecord(Record):
    """
    A message of RFC 5424, or of RFC 3164 as it is really written.

    Fields: time, host, program, pid, message; facility and severity where the line begins with a
    priority; msgid for RFC 5424.  Where there is no program, all behind the host is the message.
    """

    __slots__ = ("_fields",)

    _NEW = re.compile(
        r"<(?P<priority>[0-9]{1,3})>[0-9]{1,2} (?P<time>\S+) (?P<host>\S+) (?P<program>\S+)"
        r" (?P<pid>\S+) (?P<msgid>\S+)"
        r' (?:-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+)(?: \ufeff?(?P<message>.*))?',
        re.DOTALL,
    )
    _OLD = re.compile(
        r"(?:<(?P<priority>[0-9]{1,3})>)?"
        r"(?P<time>[A-Z][a-z]{2} [ 0-9]?[0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
        r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
        r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?)"
        r" +(?P<host>\S+) +(?:(?P<program>[^\s\[\]:]+)(?:\[(?P<pid>[^\]\s]*)\])?: ?)?"
        r"(?P<message>.*)",
        re.DOTALL,
    )
    FACILITIES = (
        *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
        *("authpriv", "ftp", "ntp", "audit", "alert", "clock"),
        *(f"local{number}" for number in range(8)),
    )
    SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        super().__init__()

    def timestamps(self) -> tuple[str, ...]:
        """Give the header's time."""
        time = self.get("time")
        return (time,) if time else ()

    def fields(self) -> dict[str, str]:
        """Give the header's fields and the message."""
        self.get("")
        return self._fields

    def _read(self) -> None:
        found = self._NEW.fullmatch(self.text) or self._OLD.fullmatch(self.text)
        self.is_unparsable = found is None
        self._fields = {}
        if found is None:
            return
        for name, value in found.groupdict().items():
            # RFC 5424 writes "-" for what it does not know.
            if value is not None and (value != "-" or name == "message"):
                self._fields[name] = value
        priority = int(self._fields.pop("priority", "-1"))
        if 0 <= priority < len(self.FACILITIES) * len(self.SEVERITIES):
            self._fields["facility"] = self.FACILITIES[priority // len(self.SEVERITIES)]
            self._fields["severity"] = self.SEVERITIES[priority % len(self.SEVERITIES)]

    def _field(self, name: str) -> str | None:
        return self._fields.get(name)


def record(source: Source) -> Record:
    """Make an empty record in a source's format."""
    if source.format == "csv":
        return CsvRecord(source.delimiter)
    if source.format == "json":
        return JsonRecord()
    if source.format == "logfmt":
        return LogfmtRecord()
    return SyslogRecord() if source.format == "syslog" else PlainRecord()
