"""Where a csv's rows end, and what its first line names."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from alertd.core.records.csv_record import parse_row
from alertd.core.records.record import BOM, trimmed

if TYPE_CHECKING:
    from alertd.core.framing import Framing
    from alertd.core.rules import Source


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
