"""
What of a csv is more than its single lines: the header, and records with newlines in their quotes.

Only lines with an odd number of quotes can open or close such a record, and Hyperscan finds those
and few others.  So records are put together around them, and nothing else of the file is looked at.

Trap: one stray quote must never blind a rule.  A record that stays open for too long is given up,
and each of its lines is one of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from alertd.core.records import is_header, leaves_open, trimmed

if TYPE_CHECKING:
    from alertd.core.framing import Framing
    from alertd.core.rules import Source

# An open csv record is given up beyond these.
MOST_LINES_OF_RECORD = 100
MOST_BYTES_OF_RECORD = 65536


def line_end(data: bytes, start: int) -> int:
    """Give the position of the newline that ends a line, or the end of the data."""
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end


def header_end(source: Source, framing: Framing, data: bytes, base: int) -> int:
    """
    Find the first line of a csv that is a record, and learn from a header before it.

    Args:
        source: A csv.
        framing: Of the file; updated in place.
        data: Of the file, from the beginning of a line.
        base: Where they begin in the file.
    """
    if base and (framing.header is not None or source.columns):
        if source.columns:
            framing.header = source.columns
        return 0
    position = 0
    # Blank lines do not name anything.
    while position < len(data):
        end = line_end(data, position)
        line = trimmed(data[position:end])
        is_blank = not line.strip()
        if is_blank or is_header(source, framing, line):
            position = min(end + 1, len(data))
        if not is_blank:
            break
    return position


class OpenRows:
    """
    The csv records of several lines in one batch.

    Attributes:
        begins: Where each begins, by where it ends.
    """

    def __init__(self, source: Source, data: bytes, *, is_final: bool) -> None:
        """
        Begin.

        Args:
            source: A csv.
            data: Of the batch, from the beginning of a record.
            is_final: Nothing will ever follow.
        """
        self.begins: dict[int, int] = {}
        self._source = source
        self._data = data
        self._is_final = is_final

    def find(self, odd: list[int], start: int, end: int, limit: int) -> tuple[int, int]:
        """
        Find the records that begin in a piece.

        A record begins with a line that has an odd number of quotes and ends inside them.

        Args:
            odd: The ends of the piece's lines with an odd number of quotes, perhaps of others, in
                order.
            start: Of the piece.
            end: Of the piece; a record may reach beyond it.
            limit: Where the lines end that may belong to a record.

        Returns:
            The piece's end, and where a record begins that is still open at the end of the data.
        """
        data = self._data
        position = start
        for first_end in odd:
            if first_end < position:
                continue
            begin = data.rfind(b"\n", 0, first_end) + 1
            record_end = self.end_of(begin, first_end, limit)
            if record_end is None:
                return len(data), begin
            if record_end > first_end:
                self.begins[record_end] = begin
                position = record_end + 1
        return max(end, min(position, limit)), len(data)

    def end_of(self, begin: int, first_end: int, limit: int) -> int | None:
        """
        Give the end of the record that begins with a line.

        Args:
            begin: Where the line begins.
            first_end: Where it ends; so does the record if it has no end within its bounds.
            limit: Where the lines end that may belong to the record.

        Returns:
            None if it is still open at the end of the data, and more may follow.
        """
        data = self._data
        if not self._leaves_open(begin, first_end, is_open=False):
            return first_end
        at, lines = first_end + 1, 1
        while at < limit:
            at_end = line_end(data, at)
            lines += 1
            if lines > MOST_LINES_OF_RECORD or at_end + 1 - begin > MOST_BYTES_OF_RECORD:
                return first_end
            if not self._leaves_open(at, at_end, is_open=True):
                return at_end
            at = at_end + 1
        return None if limit == len(data) and not self._is_final else first_end

    def settle(self, hits: list[int], start: int, held: int, shift: int, rules: int) -> list[int]:
        """
        Test every rule on each record of several lines, and none on its lines.

        Args:
            hits: ``end << shift | rule``, in order.
            start: Of the piece that they are about.
            held: Where a record begins that is still open.
            shift: Bits by which ends are shifted.
            rules: How many there are.
        """
        spans = sorted((begin, end) for end, begin in self.begins.items() if begin >= start)
        if held < len(self._data):
            spans.append((held, len(self._data)))
        kept: list[int] = []
        first = 0
        for begin, end in spans:
            # What ends before the record is about a line of its own; what ends in it is not.
            before = bisect_left(hits, begin << shift, first)
            kept += hits[first:before]
            if begin != held:
                kept += [end << shift | rule for rule in range(rules)]
            first = bisect_left(hits, end + 1 << shift, before)
        return kept + hits[first:]

    def _leaves_open(self, start: int, end: int, *, is_open: bool) -> bool:
        source = self._source
        raw = self._data[start:end]
        if is_open and b'"' not in raw:
            return True
        text = (raw if is_open else trimmed(raw)).decode(source.encoding, "replace")
        return leaves_open(text, source.delimiter, is_open=is_open)
