"""What a file has taught us so far, as plain data that is stored with its position."""

from __future__ import annotations

import msgspec


class Framing(msgspec.Struct):
    """
    Everything that the meaning of a file's next line depends on, besides that line.

    Attributes:
        header: The names of a csv's fields, once known.
        header_line: The bytes of the line that gave them, without its line end: after a truncation
            an equal first line is a header, any other a record.
        open_record: Bytes of a csv record whose quotes are not closed yet.
        last_time: Unix seconds that the last line with a timestamp gave, in the file's order.
        newest_time: The greatest of them.
    """

    header: tuple[str, ...] | None = None
    header_line: bytes = b""
    open_record: bytes = b""
    last_time: float | None = None
    newest_time: float | None = None
