"""Pairs such as ``level=info``, as many programs write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alertd.core.records.record import TIME_FIELDS, PairsRecord, without_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterator


class LogfmtRecord(PairsRecord):
    r"""
    Pairs such as ``level=info msg="it said \"no\""``; a bare word is a field without text.

    Of equal names the last counts.
    """

    __slots__ = ()

    _PAIR = re.compile(
        r'([^\x00-\x20="]+)(=(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\x00-\x20]*)))?', re.DOTALL
    )
    _ESCAPE = re.compile(r'\\(?:(["\\/])|([bfnrt])|u([0-9a-fA-F]{4}))')
    _CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}  # noqa: RUF012 - constant

    def timestamps(self) -> Iterator[str]:
        """Give the values of the fields that usually hold a time."""
        return (value for name in TIME_FIELDS if (value := self.get(name)))

    def _read(self) -> dict[str, str]:
        fields = {}
        self.is_unparsable = True
        for name, assigned, quoted, bare in self._PAIR.findall(self.text):
            if assigned:
                self.is_unparsable = False
            fields[name] = bare or (self._plain(quoted) if "\\" in quoted else quoted)
        return fields

    def _plain(self, quoted: str) -> str:
        return without_surrogates(self._ESCAPE.sub(self._unescaped, quoted))

    def _unescaped(self, escape: re.Match[str]) -> str:
        same, control, code = escape.groups()
        return same or (self._CONTROLS[control] if control else chr(int(code, 16)))
