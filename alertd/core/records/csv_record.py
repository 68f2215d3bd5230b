"""
Rows, whose fields are named by the file's header.

Most of a row is never asked for.  Where nothing but the delimiter matters, the row is split no
further than to the last column that will be asked for; elsewhere ``csv`` does it.

Trap: ``csv`` takes a carriage return or a newline for the end of a row.  Here a row has been found
already, and only ``csv``'s idea of what is malformed is its own.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from alertd.core.records.record import WHOLE_LINE, Record

if TYPE_CHECKING:
    from collections.abc import Iterable

# No shorter line has a field that ``csv`` refuses.
LONGEST_FIELD = 131072


class CsvRecord(Record):
    """
    A row, whose fields are named by the file's header.

    A field is missing if its row is too short; values beyond the header have no name.
    """

    __slots__ = (
        *("_columns", "_delimiter", "_header", "_is_whole", "_lines", "_names"),
        *("_reader", "_row", "_width"),
    )

    def __init__(self, delimiter: str, names: Iterable[str] | None = None) -> None:
        """
        Prepare to read.

        Args:
            delimiter: Between the fields.
            names: Of the fields that will be asked for, as far as they are known.
        """
        self._delimiter = delimiter
        self._names = None if names is None else frozenset(names)
        self._row: list[str] = []
        self._is_whole = False
        self._header: tuple[str, ...] | None = None
        self._columns: dict[str, int] = {}
        # Columns up to the last one that will be asked for.
        self._width = 0
        # To make a reader takes longer than to read a row, so there is one, and what it reads next.
        self._lines: list[str] = []
        self._reader = csv.reader(iter(self._lines.pop, None), delimiter=delimiter)
        super().__init__()

    def name(self, header: tuple[str, ...] | None) -> None:
        """Take the names of the fields; of equal ones the first counts."""
        if header is not self._header:
            self._header = header
            columns = enumerate(header or ())
            self._columns = {name: column for column, name in reversed([*columns]) if name}
            names = self._columns if self._names is None else self._names & self._columns.keys()
            self._width = 1 + max((self._columns[name] for name in names), default=-1)

    def get(self, name: str) -> str | None:
        """Give a field's text, or None if it is missing."""
        if name == WHOLE_LINE:
            return self.text
        column = self._columns.get(name)
        if not self._is_read:
            self._read()
            self._is_read = True
        if column is None:
            return None
        if column >= self._width and not self._is_whole:
            self._read_whole()
        return self._row[column] if column < len(self._row) else None

    def fields(self) -> dict[str, str]:
        """Give the named values."""
        self._read_whole()
        pairs = sorted(self._columns.items(), key=lambda pair: pair[1])
        return {name: self._row[column] for name, column in pairs if column < len(self._row)}

    def _read(self) -> None:
        text, delimiter, width = self.text, self._delimiter, self._width
        quote = text.find('"')
        # Behind the last column that will be asked for, quotes do not matter.
        is_plain = quote < 0 or text.count(delimiter, 0, quote) >= width
        if is_plain and text and not ("\r" in text or "\n" in text or len(text) > LONGEST_FIELD):
            self._row = text.split(delimiter, width)
            self._is_whole = False
        else:
            self._read_whole()

    def _read_whole(self) -> None:
        # A regex's deadline may have left a line there.
        self._lines[:] = (self.text,)
        try:
            self._row = next(self._reader)
        except IndexError:
            # The row ends inside quotes, and there is no further line.
            self._row = parse_row(self.text, self._delimiter)
        except csv.Error:
            self._row = []
            self.is_unparsable = True
        self._is_read = self._is_whole = True


def parse_row(text: str, delimiter: str) -> list[str]:
    """
    Split one record of a csv; an empty one has no values.

    Raises:
        csv.Error: It is malformed beyond what csv readers put up with.
    """
    return next(csv.reader((text,), delimiter=delimiter), [])
