"""
A batch of bytes → the lines in it that rules are looking for.

All the speed is here.  Hyperscan points at the lines that may match; only those are decoded, split
into fields and tested exactly, and only those that match have their time read.  There is no state
but the file's framing, and however the bytes of a file are cut into batches, the matches are the
same.

Trap: whatever is skipped to be fast must be skipped for a reason that holds for every line.  The
tests hold this module against a slow one that tests every rule on every line.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from alertd.core.deadline import Deadline, NoDeadline, Overdue
from alertd.core.events import Match
from alertd.core.linetimes import LineTimes, resolved
from alertd.core.patterns import compiled
from alertd.core.records import (
    BOM,
    CsvRecord,
    Record,
    is_header,
    leaves_open,
    record,
    trimmed,
)
from alertd.core.rules import Pattern
from alertd.core.scanning import Refused, Scanner
from alertd.core.selectors import Prefilters, View, alternative_test, shortfall, shown_in
from alertd.core.timestamps import Stamp, TimestampReader

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator, Sequence

    from alertd.core.events import Batch
    from alertd.core.framing import Framing
    from alertd.core.rules import Rule, Source

# Matches after which a batch is given back unfinished, so that other files have their turn.
MOST_HITS = 4096
# An open csv record is given up beyond these: one stray quote must never blind a rule.
MOST_LINES_OF_RECORD = 100
MOST_BYTES_OF_RECORD = 65536
LONGEST_KEY = 256
LARGEST_PIECE = 1 << 22
NEWLINE = 0x0A
CARRIAGE_RETURN = 0x0D
# The expression for lines with an odd number of quotes.
ODD_QUOTES = rb'^[^"\n]*"(?:[^"\n]*"[^"\n]*")*[^"\n]*$'


class Counters(msgspec.Struct):
    """
    What went less than well, in numbers of lines.

    Attributes:
        undecided: A regex was stopped; counted once a rule.
        unparsable: Not in the source's format; only candidates are looked at.
        without_key: Matched, but lacks a field that the rule groups by; by rule.
        clamped: The time was too far ahead of the clock.
        untimed: Neither the line nor any before it has a time.
        cut: Longer than ``max_line``.
        undecodable: Matched, and contains bytes that are not text.
    """

    undecided: int = 0
    unparsable: int = 0
    without_key: dict[str, int] = msgspec.field(default_factory=dict)
    clamped: int = 0
    untimed: int = 0
    cut: int = 0
    undecodable: int = 0


class Matched(msgspec.Struct):
    """
    What a batch had for the rules.

    Attributes:
        matches: In the order of their lines, then of the rules.
        consumed: Bytes of the batch that are done with; the rest is to be handed over again.
        counters: What went less than well.
    """

    matches: list[Match]
    consumed: int
    counters: Counters


class Verdict(msgspec.Struct, frozen=True):
    """
    What one rule makes of a line.

    Attributes:
        rule: The rule's name.
        is_match: The line counts for it.
        key: Names and values of the fields that it groups by, if it counts.
        reason: Why it counts or does not, for a person.
    """

    rule: str
    is_match: bool
    key: tuple[tuple[str, str], ...]
    reason: str


class Explanation(msgspec.Struct, frozen=True):
    """
    How a line is understood.

    Attributes:
        text: The line.
        fields: Its fields, by name.
        is_unparsable: It is not in its source's format.
        time: Unix seconds, or None if it has none of its own.
        verdicts: One for each rule, in their order.
    """

    text: str
    fields: dict[str, str]
    is_unparsable: bool
    time: float | None
    verdicts: tuple[Verdict, ...]


class Strategy(msgspec.Struct, frozen=True):
    """
    How a rule's lines are found.

    Attributes:
        rule: The rule's name.
        description: For a person.
        is_slow: Each line is tested.
    """

    rule: str
    description: str
    is_slow: bool


class _LacksKey(Exception):  # noqa: N818 - an answer, not an error
    """A line matches but lacks a field that the rule groups by."""


def key_value(text: str) -> str:
    """Shorten a key so that it stays itself: the digest keeps apart what begins alike."""
    if len(text) <= LONGEST_KEY:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text[:200]}…{digest}"


def _confirmation(rule: Rule) -> Callable[[Record], tuple[str, ...] | None]:
    """
    Make the exact test of a rule, which gives the key of a line that matches.

    The test raises ``_LacksKey`` for a line that matches without having all of its key.
    """
    if len(rule.match) == 1 and isinstance(rule.match[0], Pattern) and not rule.unless:
        pattern = compiled(rule.match[0].regex)
        if set(rule.group_by) <= pattern.groupindex.keys():
            return _pattern_confirmation(pattern, rule.group_by)
    match = [alternative_test(alternative) for alternative in rule.match]
    unless = [alternative_test(alternative) for alternative in rule.unless]
    names = rule.group_by

    def confirm(line: Record) -> tuple[str, ...] | None:
        view = View(line, {})
        for test in match:
            groups = test(view)
            if groups is not None:
                break
        else:
            return None
        view.groups = groups
        for test in unless:
            if test(view) is not None:
                return None
        key = []
        for name in names:
            value = view.get(name)
            if value is None:
                raise _LacksKey(name)
            key.append(key_value(value))
        return tuple(key)

    return confirm


def _pattern_confirmation(
    pattern: re.Pattern[str], names: tuple[str, ...]
) -> Callable[[Record], tuple[str, ...] | None]:
    """Make the test of a rule that is one regex with all of its key."""
    search = pattern.search
    numbers = tuple(pattern.groupindex[name] for name in names)
    if not numbers:
        return lambda line: () if search(line.text) else None
    if len(numbers) == 1:
        (number,) = numbers

        def confirm_one(line: Record) -> tuple[str, ...] | None:
            found = search(line.text)
            if not found:
                return None
            value = found[number]
            if value is None:
                raise _LacksKey(names[0])
            return (value if len(value) <= LONGEST_KEY else key_value(value),)

        return confirm_one

    def confirm_many(line: Record) -> tuple[str, ...] | None:
        found = search(line.text)
        if not found:
            return None
        values = found.group(*numbers)
        if None in values:
            raise _LacksKey(names[values.index(None)])
        return tuple(map(key_value, values))

    return confirm_many


class _Plan:
    """
    Which expressions stand for which rules.

    Attributes:
        expressions: Each once.
        rules_of: For each expression, the numbers of the rules that it makes a line a candidate of.
        always: The numbers of the rules that are tested on every line.
        summaries: For each rule, what is looked for.
    """

    def __init__(
        self, source: Source, rules: Sequence[Rule], refused: frozenset[bytes], loose: set[int]
    ) -> None:
        prefilters = Prefilters(source)
        found: dict[bytes, list[int]] = {}
        self.always: list[int] = []
        self.summaries: list[str | None] = []
        for number, rule in enumerate(rules):
            superset = prefilters.selector(rule.match, is_loose=number in loose)
            if superset is None or refused.intersection(superset.expressions):
                self.always.append(number)
                self.summaries.append(None)
                continue
            self.summaries.append(superset.summary)
            for expression in superset.expressions:
                found.setdefault(expression, []).append(number)
        self.expressions = [*found]
        self.rules_of = [*found.values()]


class Matcher:
    """
    Finds what rules look for in the lines of one source.

    Attributes:
        source: The source.
        rules: All rules that see its lines.
    """

    def __init__(
        self,
        source: Source,
        rules: Sequence[Rule],
        *,
        database: bytes | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """
        Compile the rules.

        Args:
            source: Where the lines come from.
            rules: Valid ones, of this source.
            database: What ``dump`` gave earlier; compiling is skipped if it fits these rules.
            deadline: What stops a regex that takes too long.
        """
        self.source = source
        self.rules = tuple(rules)
        self.deadline = deadline or NoDeadline()
        self.confirmations = [_confirmation(rule) for rule in self.rules]
        self.names = [rule.name for rule in self.rules]
        self._match_of = {rule.name: rule.match for rule in self.rules}
        self._is_multiline = source.format == "csv" and source.multiline
        self._times = TimestampReader(timezone=source.timezone, format=source.timestamp_format)
        # In these formats a line's time can be anywhere in it.
        is_anywhere = source.timestamp == "auto" and source.format in {"plain", "csv"}
        self.find = self._times.find if is_anywhere else None
        self.record = record(source)
        self.other = record(source)
        self.rows = [one for one in (self.record, self.other) if isinstance(one, CsvRecord)]
        self._encoding = source.encoding
        self._compile(database)
        # How many bytes are scanned at once: fewer where everything matches.  It saves work and
        # changes no answer.
        self.piece = LARGEST_PIECE

    def _compile(self, database: bytes | None) -> None:
        refused: frozenset[bytes] = frozenset()
        loose: set[int] = set()
        while True:
            plan = _Plan(self.source, self.rules, refused, loose)
            expressions = [*plan.expressions, *([ODD_QUOTES] if self._is_multiline else [])]
            try:
                self._scanner = Scanner(expressions, database)
                break
            except Refused as refusal:
                # First without bounded repeats; what is refused even so is tested on every line.
                refused |= refusal.expressions
                loose |= {
                    number
                    for expression, numbers in zip(plan.expressions, plan.rules_of, strict=True)
                    if expression in refused
                    for number in numbers
                }
        self._plan = plan
        self.always = plan.always
        # A hit is a number: the end of its line, and which expression or rule it is about.
        self.shift = max(len(expressions), len(self.rules), 1).bit_length()
        self.mask = (1 << self.shift) - 1
        self._odd = len(plan.expressions)
        self._most = max(MOST_HITS, 2 * len(expressions))
        # In most plans, each expression is that of the rule with its number.
        self._is_plain_plan = not self._is_multiline and plan.rules_of == [
            [number] for number in range(len(plan.rules_of))
        ]

    def dump(self) -> bytes:
        """Give the compiled rules, to be stored: making them anew may take a second."""
        return self._scanner.dump()

    def strategies(self) -> list[Strategy]:
        """Say for each rule how its lines are found."""
        return [
            Strategy(
                rule.name, "every line is tested: no text is in all matching lines", is_slow=True
            )
            if summary is None
            else Strategy(rule.name, summary, is_slow=False)
            for rule, summary in zip(self.rules, self._plan.summaries, strict=True)
        ]

    def match(self, batch: Batch, framing: Framing, *, now: float | None = None) -> Matched:
        """
        Find the matching lines of a batch.

        Args:
            batch: The bytes that follow those which ``framing`` has learned from.
            framing: Of the file; updated in place for what is consumed.
            now: Unix seconds by the clock, or None if times may be ahead of it.
        """
        with self.deadline:
            return _Pass(self, batch, framing, now).run()

    def candidates(self, data: bytes | memoryview, odd: list[int]) -> list[int] | None:
        """
        Scan whole lines.

        Args:
            data: The lines.
            odd: Receives the ends of the lines with an odd number of quotes, if those matter.

        Returns:
            ``end << shift | rule`` for each candidate of a rule, in order; None if there are too
            many for one turn.
        """
        hits = self._scanner.scan(data, self.shift, self._most)
        if hits is None or self._is_plain_plan:
            if hits:
                hits.sort()
            return hits
        found: set[int] = set()
        for hit in hits:
            expression = hit & self.mask
            if expression == self._odd:
                odd.append(hit >> self.shift)
            else:
                found.update(hit - expression + rule for rule in self._plan.rules_of[expression])
        return sorted(found)

    def name_fields(self, header: tuple[str, ...] | None) -> None:
        """Take the names of a csv's fields from the file at hand."""
        for row in self.rows:
            row.name(header)

    def _text(self, raw: bytes) -> str:
        line = trimmed(raw)
        return line[: self.source.max_line].decode(self._encoding, "replace")

    def stamp(self, line: Record, reference: float) -> Stamp | None:
        """Read the time that a line gives itself."""
        name = self.source.timestamp
        if name != "auto":
            value = line.get(name)
            return None if value is None else self._times.read(value, reference)
        for value in line.timestamps():
            stamp = self._times.read(value, reference)
            if stamp is not None:
                return stamp
        return self._times.find(line.text, reference)

    def explain(self, line: str | bytes, framing: Framing, reference: float) -> Explanation:
        """
        Say how a line is understood.

        Args:
            line: Without or with its line end.
            framing: Of its file.
            reference: Unix seconds, for dates without a year.
        """
        text = self._text(line.removesuffix(b"\n")) if isinstance(line, bytes) else line
        one = record(self.source)
        if isinstance(one, CsvRecord):
            one.name(self.source.columns or framing.header)
        one.take(text)
        fields = one.fields()
        stamp = None if self.source.timestamp == "none" else self.stamp(one, reference)
        return Explanation(
            text=text,
            fields=fields,
            is_unparsable=one.is_unparsable,
            time=None if stamp is None else resolved(stamp, framing.last_time),
            verdicts=tuple(self._verdict(number, one) for number in range(len(self.rules))),
        )

    def _verdict(self, number: int, line: Record) -> Verdict:
        rule = self.rules[number]
        with self.deadline:
            try:
                self.deadline.step = number
                key = self.confirmations[number](line)
                if key is not None:
                    pairs = tuple(zip(rule.group_by, key, strict=True))
                    return Verdict(rule.name, is_match=True, key=pairs, reason="")
                return Verdict(
                    rule.name, is_match=False, key=(), reason=self._objection(rule, line)
                )
            except Overdue:
                reason = "undecided: its regex takes too long on this line"
            except _LacksKey as lacking:
                reason = f'it matches, but lacks the group_by field "{lacking}"'
            finally:
                self.deadline.step = None
        return Verdict(rule.name, is_match=False, key=(), reason=reason)

    def _objection(self, rule: Rule, line: Record) -> str:
        """Say why a rule does not count a line."""
        view = View(line, {})
        if any(alternative_test(alternative)(view) is not None for alternative in rule.match):
            return "it matches, but unless leaves it out"
        return shortfall(rule.match, line)

    def highlight(self, rule: str, line: str) -> tuple[int, int]:
        """
        Find the part of a line that a rule was looking for.

        For a csv without ``columns``, its fields are taken to be those of the file last read.

        Returns:
            A slice of the line, (0, 0) if it cannot be told.
        """
        one = self.other
        one.take(line)
        with self.deadline:
            try:
                self.deadline.step = 0
                spans = [shown_in(alternative, one) for alternative in self._match_of[rule]]
                return next((span for span in spans if span != (0, 0)), (0, 0))
            except Overdue:
                return 0, 0
            finally:
                self.deadline.step = None


class _Pass:
    """One batch on its way through a matcher."""

    def __init__(self, matcher: Matcher, batch: Batch, framing: Framing, now: float | None) -> None:
        self._matcher = matcher
        self._batch = batch
        self._framing = framing
        self._now = now
        self._latest = None if now is None else now + matcher.source.max_skew
        self._carried = len(framing.open_record)
        data = framing.open_record + batch.data if self._carried else batch.data
        # Where the data begin in the file.
        self._base = batch.offset - self._carried
        if self._base == 0 and data.startswith(BOM):
            # As NULs at the start of a line its bytes are no text, and no offset moves.
            data = b"\0\0\0" + data[3:]
        self._data = data
        self._counters = Counters()
        self._matches: list[Match] = []
        # The csv records of several lines: where they end and where they begin.
        self._spans: dict[int, int] = {}
        self._hits = 0

    def run(self) -> Matched:
        """Find the matches of as much of the batch as is done in one turn."""
        position = self._header_end()
        end = len(self._data)
        self._times = LineTimes(self._framing.last_time, position, self._stamps_before)
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
        return Matched(self._matches, position - self._carried, self._counters)

    def _is_turn_over(self) -> bool:
        return self._hits >= MOST_HITS or self._matcher.deadline.is_due

    def _finish(self, done: int, position: int) -> None:
        """Leave in the framing what the lines before ``done`` say, and the record behind it."""
        framing = self._framing
        framing.open_record = self._data[done:position]
        if self._matcher.source.timestamp == "none":
            last: float | None = self._batch.read_at
            newest = last
        else:
            self._times.settle(done)
            last, newest = self._times.last, self._times.newest
        framing.last_time = last
        if newest is not None:
            newest = self._clamped(newest)
            framing.newest_time = max(newest, framing.newest_time or newest)

    def _clamped(self, time: float) -> float:
        now, latest = self._now, self._latest
        return time if now is None or latest is None or time <= latest else now

    def _header_end(self) -> int:
        """Give the position of the first line that is a record."""
        matcher, framing, data = self._matcher, self._framing, self._data
        if not matcher.rows:
            return 0
        source = matcher.source
        position = 0
        if self._base == 0 or (framing.header is None and not source.columns):
            # Blank lines do not name anything.
            while position < len(data):
                end = _line_end(data, position)
                line = trimmed(data[position:end])
                is_blank = not line.strip()
                if is_blank or is_header(source, framing, line):
                    position = min(end + 1, len(data))
                if not is_blank:
                    break
        elif source.columns:
            framing.header = source.columns
        matcher.name_fields(framing.header)
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
        end = _line_end(data, start)
        line = trimmed(data[start:end])
        self._counters.cut += len(line) > matcher.source.max_line
        # One line never has too many candidates for one turn.
        hits = matcher.candidates(line[: matcher.source.max_line], []) or []
        rules = {hit & matcher.mask for hit in hits}.union(matcher.always)
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
        odd: list[int] = []
        while True:
            end = self._piece_end(start, limit)
            whole = start == 0 and end == len(data)
            hits = matcher.candidates(data if whole else memoryview(data)[start:end], odd)
            if hits is not None:
                break
            matcher.piece = (end - start) // 2
        if len(hits) < MOST_HITS // 4:
            matcher.piece = min(2 * matcher.piece, LARGEST_PIECE)
        if start:
            ahead = start << matcher.shift
            hits = [hit + ahead for hit in hits]
        if matcher.always:
            hits = sorted({*hits, *self._hits_of_every_line(start, end)})
        held = len(data)
        if odd:
            end, held = self._find_records(sorted(start + one for one in odd), start, end, limit)
            hits = self._with_records(hits, start, held)
        stopped = self._confirm(hits)
        return (end, held) if stopped is None else (stopped, len(data))

    def _piece_end(self, start: int, limit: int) -> int:
        """Give the end of the lines that are scanned at once."""
        matcher, data = self._matcher, self._data
        end = limit
        if end - start > matcher.piece:
            end = data.rfind(b"\n", start, start + matcher.piece) + 1 or _line_end(data, start) + 1
        if matcher.always:
            position = start
            for _ in range(MOST_HITS // len(matcher.always) + 1):
                position = data.find(b"\n", position, end) + 1
                if not position:
                    return end
            end = position
        return min(end, limit)

    def _hits_of_every_line(self, start: int, end: int) -> Iterator[int]:
        matcher = self._matcher
        while start < end:
            line_end = _line_end(self._data, start)
            for rule in matcher.always:
                yield line_end << matcher.shift | rule
            start = line_end + 1

    def _find_records(self, odd: list[int], start: int, end: int, limit: int) -> tuple[int, int]:
        """
        Find the csv records of several lines.

        A record begins with a line that has an odd number of quotes and ends inside them.

        Args:
            odd: The ends of the lines with an odd number of quotes.
            start: Of the piece.
            end: Of the piece; a record may reach beyond it.
            limit: Where the lines end that may belong to a record.

        Returns:
            The piece's end, and where a record begins that is still open at the end of the data.
        """
        data = self._data
        position = start
        for line_end in odd:
            if line_end < position:
                continue
            begin = data.rfind(b"\n", 0, line_end) + 1
            if not self._leaves_open(begin, line_end, is_open=False):
                continue
            at, lines = line_end + 1, 1
            while at < limit:
                at_end = _line_end(data, at)
                lines += 1
                if lines > MOST_LINES_OF_RECORD or at_end + 1 - begin > MOST_BYTES_OF_RECORD:
                    break
                if not self._leaves_open(at, at_end, is_open=True):
                    self._spans[at_end] = begin
                    position = at_end + 1
                    break
                at = at_end + 1
            else:
                if limit == len(data) and not self._batch.is_final:
                    return len(data), begin
        return max(end, min(position, limit)), len(data)

    def _leaves_open(self, start: int, end: int, *, is_open: bool) -> bool:
        source = self._matcher.source
        raw = self._data[start:end]
        if is_open and b'"' not in raw:
            return True
        text = (raw if is_open else trimmed(raw)).decode(source.encoding, "replace")
        return leaves_open(text, source.delimiter, is_open=is_open)

    def _with_records(self, hits: list[int], start: int, held: int) -> list[int]:
        """Test every rule on each record of several lines, and none on its lines."""
        shift = self._matcher.shift
        rules = range(len(self._matcher.rules))
        spans = sorted((begin, end) for end, begin in self._spans.items() if begin >= start)
        if held < len(self._data):
            spans.append((held, len(self._data)))
        kept: list[int] = []
        first = 0
        for begin, end in spans:
            # What ends before the record is about a line of its own; what ends in it is not.
            before = bisect_left(hits, begin << shift, first)
            kept += hits[first:before]
            if begin != held:
                kept += [end << shift | rule for rule in rules]
            first = bisect_left(hits, end + 1 << shift, before)
        return kept + hits[first:]

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
        data, spans, line = self._data, self._spans, matcher.record
        shift, mask, encoding = matcher.shift, matcher.mask, matcher.source.encoding
        confirmations, names = matcher.confirmations, matcher.names
        path, base, longest = self._batch.path, self._base, matcher.source.max_line
        is_plain = matcher.source.format == "plain"
        add = self._matches.append
        self._hits += len(hits)
        last_end = unparsable = -1
        for hit in hits:
            end = hit >> shift
            if end != last_end:
                start = data.rfind(b"\n", 0, end) + 1
                if spans:
                    start = spans.get(end, start)
                if deadline.is_due and last_end >= 0 and start >= self._carried:
                    return start
                last_end = end
                raw = data[start:end]
                if raw and (raw[-1] == CARRIAGE_RETURN or not raw[0] or len(raw) > longest):
                    raw = self._line(start, end)
                text = raw.decode(encoding, "replace")
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
            except _LacksKey:
                deadline.step = key = None
                name = names[number]
                counters.without_key[name] = counters.without_key.get(name, 0) + 1
            if line.is_unparsable and end != unparsable:
                unparsable = end
                counters.unparsable += 1
            if key is None:
                continue
            if shown is None:
                time, own_time = self._time(start, end)
                shown = text
                if "\ufffd" in text:
                    counters.undecodable += 1
                    shown = raw.decode(encoding, "backslashreplace")
            add(Match(names[number], key, time, path, base + start, shown, own_time))
        return None

    def _time(self, start: int, end: int) -> tuple[float, float | None]:
        """Give the time that counts for the line at hand, and its own where that differs."""
        matcher, read_at = self._matcher, self._batch.read_at
        if matcher.source.timestamp == "none":
            return read_at, None
        if matcher.find is not None:
            stamp = matcher.find(matcher.record.text, read_at)
        else:
            stamp = matcher.stamp(matcher.record, read_at)
        time = self._times.resolve(stamp, start, end + 1)
        if time is None:
            self._counters.untimed += 1
            return read_at, None
        if self._latest is None or time <= self._latest:
            return time, None
        self._counters.clamped += 1
        return self._clamped(time), time

    def _stamps_before(self, start: int, end: int) -> Iterator[Stamp | None]:
        """Read the times of the lines between two positions, the last line's first."""
        matcher, data = self._matcher, self._data
        while end > start:
            line_end = end - 1 if data[end - 1] == NEWLINE else end
            begin = max(data.rfind(b"\n", 0, line_end) + 1, start)
            begin = self._spans.get(line_end, begin)
            raw = self._line(begin, line_end)
            matcher.other.take(raw.decode(matcher.source.encoding, "replace"))
            yield matcher.stamp(matcher.other, self._batch.read_at)
            end = begin


def _line_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end
