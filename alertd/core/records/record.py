"""
What all formats have in common: a line whose fields are read when the first of them is asked for.

A field's value is text, whatever its type.  Beside ``line``, the whole of it, a line in no format
has no fields but those that a rule's named groups give it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def without_surrogates(text: str) -> str:
    """Replace halves of characters, which no encoding can write; a pair of them becomes one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


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

    @abstractmethod
    def get(self, name: str) -> str | None:
        """Give a field's text, or None if it is missing."""

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


class PlainRecord(Record):
    """A line without fields but those that a rule's named groups give it."""

    __slots__ = ()

    def get(self, name: str) -> str | None:
        """Give the whole line, if that is asked for."""
        return self.text if name == WHOLE_LINE else None

    def fields(self) -> dict[str, str]:
        """Give nothing."""
        return {}


class PairsRecord(Record):
    """A line whose fields are all read at once, into a dictionary."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        super().__init__()

    def get(self, name: str) -> str | None:
        """Give a field's text, or None if it is missing."""
        return self.text if name == WHOLE_LINE else self.fields().get(name)

    def fields(self) -> dict[str, str]:
        """Give all fields there are."""
        if not self._is_read:
            self._fields = self._read()
            self._is_read = True
        return self._fields

    @abstractmethod
    def _read(self) -> dict[str, str]:
        """Split the text into fields."""
