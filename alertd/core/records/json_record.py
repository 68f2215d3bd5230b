"""
JSON objects, whose fields are named by dotted paths.

A number's text is as it is spelled in the line, so that no precision and no notation is lost.
``null`` and absence are the same.

Most of a document is never asked for.  What is known beforehand to be asked for is read alone, in
half the time; whatever else is asked for has the whole document read.

Trap: what is left out must not be what would have made the document unreadable.  It is checked as
strictly as the rest, except that nobody looks how long its integers are.
"""

from __future__ import annotations

import json
import math
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, TypeAlias, TypedDict, cast

import msgspec

from alertd.core.records.record import TIME_FIELDS, WHOLE_LINE, Record, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Json: TypeAlias = "str | int | float | bool | dict[str, Json] | list[Json] | None"

# Python reads no longer integers, so no shorter line has one.
LONGEST_INTEGER = 4300


class JsonRecord(Record):
    """
    An object, whose fields are named by dotted paths.

    A key that contains the dots itself comes first; a number in a path counts in a list.
    """

    __slots__ = ("_document", "_is_whole", "_names", "_paths", "_some")

    def __init__(self, names: Iterable[str] | None = None) -> None:
        """
        Prepare to read.

        Args:
            names: Of the fields that will be asked for, as far as they are known.
        """
        self._document: dict[str, Json] = {}
        self._names = frozenset(names or ())
        self._some = _reader(self._names) if names is not None else None
        self._is_whole = False
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
        self._look_for(name)
        return self._text(self._path(name))

    def number(self, name: str) -> float | None:
        """Give a field as a number; strings that hold one are numbers, too."""
        if name != WHOLE_LINE:
            if not self._is_read:
                self._read()
                self._is_read = True
            value = self._document.get(name)
            # As nearly always.
            if type(value) is int:
                return _as_float(value)
            self._look_for(name)
            value = _follow(self._document, self._path(name))
            if type(value) is int or (type(value) is float and math.isfinite(value)):
                return _as_float(value)
        return super().number(name)

    def timestamps(self) -> list[str]:
        """Give the values of the fields that usually hold a time."""
        self._look_for(*TIME_FIELDS)
        document = self._document
        return [value for name in TIME_FIELDS if name in document and (value := self.get(name))]

    def fields(self) -> dict[str, str]:
        """Give the fields that hold no fields themselves, by their paths."""
        self._read_whole()
        paths = _leaves(self._document, ())
        found = {".".join(path): self._text(path) for path in paths}
        return {
            without_surrogates(name): value for name, value in found.items() if value is not None
        }

    def _read(self) -> None:
        self._is_whole = False
        if self._some is not None and len(self.text) <= LONGEST_INTEGER:
            try:
                self._document = self._some(self.text)
            except (ValueError, RecursionError):
                pass
            else:
                return
        self._read_whole()

    def _read_whole(self) -> None:
        try:
            document = _decode(self.text)
        except (ValueError, RecursionError):
            document = None
        self.is_unparsable = not isinstance(document, dict)
        self._document = document if isinstance(document, dict) else {}
        self._is_read = self._is_whole = True

    def _look_for(self, *names: str) -> None:
        """See to it that fields are in the document if they are in the line."""
        if not self._is_read:
            self._read()
            self._is_read = True
        if not self._is_whole and not self._names.issuperset(names):
            self._read_whole()

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


def _reader(names: Iterable[str]) -> Callable[[str], dict[str, Json]] | None:
    """Make what reads of an object what these fields need, if that can be done."""
    wanted = {*names, *(name.partition(".")[0] for name in names)}
    if not all(map(str.isascii, wanted)):
        # msgspec mistakes other keys of a TypedDict.
        return None
    some = TypedDict("some", dict.fromkeys(wanted, object), total=False)  # type: ignore[misc]
    return cast("Callable[[str], dict[str, Json]]", msgspec.json.Decoder(some).decode)


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
