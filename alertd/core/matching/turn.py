"""
One batch on its way through a matcher.

The lines are scanned piece by piece; candidates are decoded and tested; what matches gets its time.
A turn ends when the batch does, or between two lines once others should have theirs.

Trap: a piece is a saving of work, a turn one of waiting.  Neither may change a match.
"""

from __future__ import annotations

import math
import re
from itertools import accumulate, groupby, islice
from typing import TYPE_CHECKING

from alertd.core.deadline import Overdue
from alertd.core.events import Match
from alertd.core.linetimes import LineTimes
from alertd.core.matching.confirming import LacksKey, keys_in
from alertd.core.matching.lane import MOST_LINES
from alertd.core.matching.outcome import Counters, Matched
from alertd.core.matching.rows import OpenRows, header_end, line_end
from alertd.core.matching.straight import TIME, UnusualError
from alertd.core.records import BOM, trimmed
from alertd.core.rules import MISS
from alertd.core.timestamps import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from alertd.core.events import Batch
    from alertd.core.framing import Framing
    from alertd.core.matching.matcher import Matcher
    from alertd.core.timestamps import Time

# Matches after which a batch is given back unfinished, so that other files have their turn.
MOST_HITS = 4096
LARGEST_PIECE = 1 << 22
NEWLINE = 0x0A
_DIGIT = re.compile(rb"[0-9]")
_BLOCK = 4096
CARRIAGE_RETURN = 0x0D


class Turn:
    """One batch on its way through a matcher."""

    def __init__(self, matcher: Matcher, batch: Batch, framing: Framing, now: float | None) -> None:
        self._matcher = matcher
        self._batch = batch
        self._framing = framing
        self._now = now
        self._latest = None if now is None else now + matcher.source.max_skew
        self._carried = len(framing.open_record)
        data = framing.open_record + batch.data if self._carried else batch.data
        # A path may contain bytes that are no text, and must be stored all the same.
        self._path = batch.path.encode("utf-8", "backslashreplace").decode()
        # Where the data begin in the file.
        self._base = batch.offset - self._carried
        if self._base == 0 and data.startswith(BOM):
            # As NULs at the start of a line its bytes are no text, and no offset moves.
            data = b"\0\0\0" + data[3:]
        self._data = data
        self._counters = Counters()
        self._matches: list[Match] = []
        self._rows = OpenRows(matcher.source, data, is_final=batch.is_final)
        self._spans = self._rows.begins
        self._hits = 0

    def run(self) -> Matched:
        """Find the matches of as much of the batch as is done in one turn."""
        position = self._first_record()
        end = len(self._data)
        self._times = LineTimes(
            self._framing.last_time, (position, end), self._stamps_before, self._stamps_after
        )
        held = end
        least = max(position + 1, self._carried)
        while position < end <= held and (position < least or not self._is_turn_over()):
            long_line = self._next_long_line(position)
            if position == long_line:
                position = self._take_long_line(position)
            else:
                position, held = self._take_lines(position, long_line)
        if held < end:
            position = end
        self._finish(min(held, position), position)
        # It knows this turn: the cycle would keep the batch until the garbage collector comes.
        del self._times
        return Matched(self._matches, position - self._carried, self._counters)

    def _is_turn_over(self) -> bool:
        return self._hits >= MOST_HITS or self._matcher.deadline.is_due

    def _finish(self, done: int, position: int) -> None:
        """Leave in the framing what the lines before ``done`` say, and the record behind it."""
        framing = self._framing
        framing.open_record = self._data[done:position]
        if self._matcher.source.timestamp == "none":
            newest = self._batch.read_at
            last: float | None = newest
        else:
            self._times.settle(done)
            last, newest = self._times.last, self._times.newest
        framing.last_time = last
        if newest > -math.inf:
            newest = self._clamped(newest)
            framing.newest_time = max(newest, framing.newest_time or newest)

    def _clamped(self, time: float) -> float:
        now, latest = self._now, self._latest
        return time if now is None or latest is None or time <= latest else now

    def _first_record(self) -> int:
        """Give the position of the first line that is a record, and let the names hold."""
        matcher = self._matcher
        if not matcher.rows:
            return 0
        position = header_end(matcher.source, self._framing, self._data, self._base)
        matcher.name_fields(self._framing.header)
        return position

    def _next_long_line(self, position: int) -> int:
        """Give the position of the first line from here that is too long, or the end."""
        data, longest = self._data, self._matcher.source.max_line
        while len(data) - position > longest:
            newline = data.rfind(b"\n", position, position + longest + 1)
            if newline < 0:
                return position
            position = newline + 1
        return len(data)

    def _take_long_line(self, start: int) -> int:
        """Look at the part of a line that is looked at, and skip the rest."""
        matcher, data = self._matcher, self._data
        end = line_end(data, start)
        line = trimmed(data[start:end])
        self._counters.cut += len(line) > matcher.source.max_line
        # One line never has too many candidates for one turn.
        line = line[: matcher.source.max_line]
        hits = matcher.candidates(line, (0, len(line)), []) or []
        rules = {hit & matcher.mask for hit in hits}.union(matcher.always, matcher.lane.rules)
        self._hits += len(rules)
        self._confirm([end << matcher.shift | rule for rule in sorted(rules)])
        return min(end + 1, len(data))

    def _take_lines(self, start: int, limit: int) -> tuple[int, int]:
        """
        Look at lines none of which is too long.

        Returns:
            The end of what was looked at, and where an open csv record begins that is held (the
            end of the data if there is none).
        """
        matcher, data = self._matcher, self._data
        while True:
            end = self._piece_end(start, limit)
            odd: list[int] = []
            hits = matcher.candidates(data, (start, end), odd)
            if hits is not None:
                break
            matcher.piece = (end - start) // 2
        if len(hits) < MOST_HITS // 4:
            matcher.piece = min(2 * matcher.piece, LARGEST_PIECE)
        if start:
            ahead = start << matcher.shift
            hits = [hit + ahead for hit in hits]
        if matcher.lane.rules:
            hits = sorted(matcher.lane.candidates(data, start, end, matcher.shift).union(hits))
        if matcher.always:
            every = self._hits_of_every_line(start, end)
            hits = sorted({*hits, *every}) if hits else every
        held = len(data)
        if odd:
            end, held = self._rows.find(sorted(start + one for one in odd), start, end, limit)
            hits = self._rows.settle(hits, start, held, matcher.shift, len(matcher.rules))
        self._hits += len(hits)
        confirm = (
            self._confirm_straight
            if matcher.straight.is_able and not self._spans
            else self._confirm
        )
        stopped = confirm(hits)
        return (end, held) if stopped is None else (stopped, len(data))

    def _piece_end(self, start: int, limit: int) -> int:
        """Give the end of the lines that are scanned at once."""
        matcher, data = self._matcher, self._data
        end = limit
        if end - start > matcher.piece:
            end = data.rfind(b"\n", start, start + matcher.piece) + 1 or line_end(data, start) + 1
        if matcher.always or matcher.lane.rules:
            lines = MOST_LINES // (len(matcher.lane.rules) or 1)
            if matcher.always:
                # Where every line is tested a turn may end after any; the rest is listed again.
                lines = min(lines, MOST_HITS // 4 // len(matcher.always))
            position = start
            for _ in range(lines + 1):
                position = data.find(b"\n", position, end) + 1
                if not position:
                    return end
            end = position
        return min(end, limit)

    def _hits_of_every_line(self, start: int, end: int) -> list[int]:
        always, shift = self._matcher.always, self._matcher.shift
        lines = self._data[start:end].removesuffix(b"\n").split(b"\n")
        ends = islice(accumulate((len(line) + 1 for line in lines), initial=start - 1), 1, None)
        return [at << shift | rule for at in ends for rule in always]

    def _line(self, start: int, end: int) -> bytes:
        """Give the bytes that are looked at of a line or a record."""
        raw = trimmed(self._data[start:end])
        longest = self._matcher.source.max_line
        if len(raw) > longest and end not in self._spans:
            return raw[:longest]
        return raw

    def _confirm(self, hits: list[int]) -> int | None:  # noqa: C901, PLR0912, PLR0915 - hot
        """
        Test rules on lines exactly.

        Returns:
            Where the line begins before which the turn was over, if it was.
        """
        matcher, counters, deadline = self._matcher, self._counters, self._matcher.deadline
        data, spans, line, times = self._data, self._spans, matcher.record, self._times
        shift, mask, text_of, rfind = matcher.shift, matcher.mask, matcher.decode, data.rfind
        confirmations, names, time_of = matcher.confirmations, matcher.names, matcher.time_of
        path, base, longest = self._path, self._base, matcher.source.max_line
        is_plain, read_at, latest = matcher.is_plain, self._batch.read_at, self._latest
        add, marked = self._matches.append, matcher.marked
        last_end = unparsable = -1
        for hit in hits:
            end = hit >> shift
            if end != last_end:
                start = rfind(b"\n", 0, end) + 1
                if spans:
                    start = spans.get(end, start)
                if deadline.is_due and last_end >= 0 and start >= self._carried:
                    return start
                last_end = end
                raw = data[start:end]
                if raw and (raw[-1] == CARRIAGE_RETURN or not raw[0] or len(raw) > longest):
                    raw = self._line(start, end)
                text = text_of(raw)
                if is_plain:
                    line.text = text
                else:
                    line.take(text)
                shown = None
            number = hit & mask
            try:
                deadline.step = hit
                key = confirmations[number](line)
                deadline.step = None
            except Overdue:
                deadline.step = key = None
                counters.undecided += 1
            except LacksKey:
                deadline.step = key = None
                name = names[number]
                counters.without_key[name] = counters.without_key.get(name, 0) + 1
            if key is None:
                if line.is_unparsable and end != unparsable:
                    unparsable = end
                    counters.unparsable += 1
                continue
            if shown is None:
                if line.is_unparsable and end != unparsable:
                    unparsable = end
                    counters.unparsable += 1
                time = time_of(line, read_at)
                if time.__class__ is float and (latest is None or time <= latest):
                    # As nearly always: nothing else needs to be known.
                    own_time = None
                    times.last = time
                    times.position = end + 1
                    if time > times.newest:  # noqa: PLR1730 - half the time of a call
                        times.newest = time
                else:
                    time, own_time = self._settled(time, start, end)
                shown = text
                if not text.isascii() and "\ufffd" in text:
                    counters.undecodable += 1
                    shown = matcher.spell(raw)
            line_shown = shown
            if number in marked:
                if key[-1] == MISS:
                    # What only makes a share smaller is shown to nobody.
                    line_shown = ""
                elif len(key) > marked[number]:
                    *others, key = keys_in(key, marked[number])
                    for other in others:
                        add(Match(names[number], other, time, path, base + start, shown, own_time))
            add(Match(names[number], key, time, path, base + start, line_shown, own_time))
        return None

    def _confirm_straight(self, hits: list[int]) -> int | None:  # noqa: C901 - hot
        """
        Test rules on lines exactly, by rows where that can be done (see ``straight``).

        A line goes this way with all of its hits or with none.

        Returns:
            As ``_confirm`` does.
        """
        matcher, times, matches, deadline = (
            self._matcher,
            self._times,
            self._matches,
            self._matcher.deadline,
        )
        data, shift, mask, rfind = self._data, matcher.shift, matcher.mask, self._data.rfind
        tests, names, read_time = matcher.straight.tests, matcher.names, matcher.times.read_time
        path, base, carried, add = self._path, self._base, self._carried, matches.append
        read_at = self._batch.read_at
        latest = math.inf if self._latest is None else self._latest
        ends = [hit >> shift for hit in hits]
        groups: Iterable[Sequence[int]] = zip(hits)
        lines = {*ends}
        if len(lines) < len(ends):
            groups = [[*group] for _, group in groupby(hits, lambda hit: hit >> shift)]
            ends = sorted(lines)
        starts = [rfind(b"\n", 0, end) + 1 for end in ends]
        raw = [data[start:end] for start, end in zip(starts, ends, strict=True)]
        try:
            texts, rows = matcher.straight.read(raw, matcher.source.max_line)
        except (ValueError, RecursionError):
            return self._confirm(hits)
        for start, end, text, row, group in zip(starts, ends, texts, rows, groups, strict=True):
            if deadline.is_due and start > starts[0] and start >= carried:
                return start
            time: float | None = None
            try:
                for hit in group:
                    number = hit & mask
                    key = tests[number](row)
                    if key is None:
                        continue
                    if time is None:
                        value = row[TIME]
                        read = read_time(value, read_at) if value.__class__ is str else None
                        if isinstance(read, Stamp) and read.later is None:
                            read = read.time
                        if not isinstance(read, float) or read > latest:
                            raise UnusualError  # noqa: TRY301 - caught for all of the line
                        times.last = time = read
                        times.position = end + 1
                        times.newest = max(times.newest, time)
                    add(Match(names[number], key, time, path, base + start, text, None))
            except UnusualError:
                while matches and matches[-1].offset == base + start:
                    del matches[-1]
                self._confirm([*group])
        return None

    def _settled(self, time: Time, start: int, end: int) -> tuple[float, float | None]:
        """Give the time that counts for a line, and the one that it would have otherwise."""
        read_at = self._batch.read_at
        if self._matcher.source.timestamp == "none":
            return read_at, None
        stamp = Stamp(time, None) if isinstance(time, float) else time
        resolved = self._times.resolve(stamp, start, end + 1)
        if resolved is None:
            self._counters.untimed += 1
            return read_at, None
        if self._latest is None or resolved <= self._latest:
            return resolved, None
        self._counters.clamped += 1
        return self._clamped(resolved), resolved

    def _stamps_before(self, start: int, end: int) -> Iterator[Stamp | None]:
        """Read the times of the lines between two positions, the last line's first."""
        data = self._data
        while end > start:
            line_end = end - 1 if data[end - 1] == NEWLINE else end
            begin = max(data.rfind(b"\n", start, line_end) + 1, start)
            begin = self._spans.get(line_end, begin)
            yield self._stamp(self._line(begin, line_end))
            end = begin
            if not self._matcher.is_multiline:
                end = _last_digit_line(data, start, end)

    def _stamps_after(self, start: int) -> Iterator[Stamp | None]:
        """Read the times of the lines, or csv records, behind a position."""
        data, longest = self._data, self._matcher.source.max_line
        is_multiline = self._matcher.is_multiline
        while start < len(data):
            if not is_multiline:
                start = _next_digit_line(data, start)
            end = first_end = line_end(data, start)
            if is_multiline and end - start <= longest:
                found = self._rows.end_of(start, end, len(data))
                if found is None:
                    return
                end = found
            raw = trimmed(data[start:end])
            yield self._stamp(raw if end > first_end else raw[:longest])
            start = end + 1

    def _stamp(self, raw: bytes) -> Stamp | None:
        matcher = self._matcher
        matcher.other.take(matcher.decode(raw))
        time = matcher.time_of(matcher.other, self._batch.read_at)
        return Stamp(time, None) if isinstance(time, float) else time


def _next_digit_line(data: bytes, start: int) -> int:
    """Leave lines without any digit out, as ``_last_digit_line`` does, from where one begins."""
    found = _DIGIT.search(data, start)
    return max(start, data.rfind(b"\n", start, found.start()) + 1) if found else len(data)


def _last_digit_line(data: bytes, start: int, end: int) -> int:
    """
    Leave lines without any digit out, which have no time: there may be millions of empty ones.

    Args:
        data: Lines.
        start: Where the first one begins.
        end: Where one begins before which a time is looked for.

    Returns:
        Where another one begins, no later than that, with no time in between.
    """
    while (block := max(start, end - _BLOCK)) < end and not _DIGIT.search(data, block, end):
        newline = data.find(b"\n", max(block - 1, start), end - 1)
        if newline < 0:
            break
        end = newline + 1
    return end
