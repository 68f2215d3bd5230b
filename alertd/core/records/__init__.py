"""
A line → its fields, in each of the formats, one module a format.

A line that is not in its source's format has no fields; its text can still be searched.

Trap: ``str.splitlines``, ``csv`` and JSON each have their own idea of what ends a line.  Here a
line has already been found by its newline, and nothing inside it ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.core.records.csv_header import is_header, learn_header, leaves_open
from alertd.core.records.csv_record import CsvRecord
from alertd.core.records.json_record import JsonRecord
from alertd.core.records.logfmt_record import LogfmtRecord
from alertd.core.records.record import (
    BOM,
    TIME_FIELDS,
    WHOLE_LINE,
    PlainRecord,
    Record,
    number,
    trimmed,
    without_surrogates,
)
from alertd.core.records.syslog_record import SyslogRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alertd.core.rules import Source

__all__ = [
    "BOM",
    "WHOLE_LINE",
    "CsvRecord",
    "Record",
    "is_header",
    "learn_header",
    "leaves_open",
    "number",
    "record",
    "trimmed",
    "without_surrogates",
]


def record(source: Source, names: Iterable[str] | None = None) -> Record:
    """
    Make an empty record in a source's format.

    Args:
        source: The source.
        names: Of the fields that will be asked for, besides that of the time; others can be asked
            for, but that takes longer.
    """
    if names is not None:
        names = {*names, *(TIME_FIELDS if source.timestamp == "auto" else (source.timestamp,))}
    if source.format == "csv":
        return CsvRecord(source.delimiter, names)
    if source.format == "json":
        return JsonRecord(names)
    if source.format == "logfmt":
        return LogfmtRecord()
    return SyslogRecord() if source.format == "syslog" else PlainRecord()
