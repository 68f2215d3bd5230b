"""The rules of one source, compiled once and held against every batch of its files."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from alertd.core.deadline import Deadline, NoDeadline
from alertd.core.matching.confirming import confirmation, fields_asked_for
from alertd.core.matching.explaining import Explanation, explain, highlight
from alertd.core.matching.lane import Lane
from alertd.core.matching.plan import planned
from alertd.core.matching.storing import Stored, key_of, restored
from alertd.core.matching.straight import Straight
from alertd.core.matching.turn import LARGEST_PIECE, MOST_HITS, Turn
from alertd.core.patterns import Encoding
from alertd.core.records import CsvRecord, record, trimmed, without_surrogates
from alertd.core.scanning import Refused, Scanner
from alertd.core.timestamps import TimestampReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alertd.core.events import Batch
    from alertd.core.framing import Framing
    from alertd.core.matching.outcome import Matched
    from alertd.core.matching.plan import Strategy
    from alertd.core.records import Record
    from alertd.core.rules import Rule, Source
    from alertd.core.timestamps import Time


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
        sample: Callable[[], bytes] = bytes,
    ) -> None:
        """
        Compile the rules.

        Args:
            source: Where the lines come from.
            rules: Valid ones, of this source.
            database: What ``dump`` gave earlier; compiling is skipped if it fits these rules.
            deadline: What stops a regex that takes too long.
            sample: Gives some lines of the source, if there are any.  Which texts are rare in them
                decides what is looked for where there is a choice.
        """
        self.source = source
        self.rules = tuple(rules)
        self.deadline = deadline or NoDeadline()
        self.confirmations = [confirmation(rule) for rule in self.rules]
        self.names = [rule.name for rule in self.rules]
        # Where something stands behind the key, and how long it is with that.
        self.marked = {
            n: len(rule.group_by) + 1 for n, rule in enumerate(self.rules) if rule.is_marked
        }
        self.match_of = {rule.name: rule.match for rule in self.rules}
        self.is_multiline = source.format == "csv" and source.multiline
        self.times = TimestampReader(timezone=source.timezone, format=source.timestamp_format)
        self.time_of = self._time_reader()
        asked_for = fields_asked_for(self.rules)
        self.record = record(source, asked_for)
        self.other = record(source, asked_for)
        self.rows = [one for one in (self.record, self.other) if isinstance(one, CsvRecord)]
        self.is_plain = source.format == "plain"
        self.decode = _decoder(source.encoding)
        self.straight = Straight(source, self.rules)
        self._compile(database, sample)
        # How many bytes are scanned at once: fewer where everything matches.  It saves work and
        # changes no answer.
        self.piece = LARGEST_PIECE

    def _compile(self, stored: bytes | None, sample: Callable[[], bytes]) -> None:
        self._key = key_of(self.source, self.rules)
        known = restored(stored, self._key)
        refused: frozenset[bytes] = frozenset()
        plan = known.plan if known else planned(self.source, self.rules, refused, sample())
        database = known.database if known else None
        while True:
            try:
                self._scanner = Scanner(plan.expressions, database, needs=plan.needs)
                break
            except Refused as refusal:
                # What is refused is tested on every line.
                refused |= refusal.expressions
                plan = planned(self.source, self.rules, refused, sample())
        self._plan = plan
        self.lane = Lane(self.source, self.rules, plan.always)
        self.always = [number for number in plan.always if number not in self.lane.rules]
        # A hit is a number: the end of its line, and which expression or rule it is about.
        self.shift = max(len(plan.expressions), len(self.rules), 1).bit_length()
        self.mask = (1 << self.shift) - 1
        self._most = max(MOST_HITS, 2 * len(plan.expressions), 2 * len(self.rules))
        # Most expressions are those of the rule with their number; these are not.
        self._displaced = frozenset(
            number for number, rules in enumerate(plan.rules_of) if rules != [number]
        )

    def dump(self) -> bytes:
        """Give the compiled rules, to be stored: making them anew may take a second."""
        stored = Stored(self._key, self._plan, self._scanner.dump())
        return msgspec.msgpack.encode(stored)

    def strategies(self, sample: bytes = b"") -> list[Strategy]:
        """
        Say for each rule how its lines are found.

        Args:
            sample: Whole lines of the source, to see how many are looked at closely.
        """
        lines = sample.split(b"\n")[:-1]
        # One line never has too many candidates for one turn.
        hits = (self.candidates(line, (0, len(line)), []) or () for line in lines)
        candidates = Counter(hit & self.mask for hit in chain.from_iterable(hits))
        return [
            self._plan.strategy(
                number,
                rule.name,
                has_lane=number in self.lane.rules,
                share=candidates[number] / len(lines) if lines else None,
            )
            for number, rule in enumerate(self.rules)
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
            return Turn(self, batch, framing, now).run()

    def candidates(self, data: bytes, span: tuple[int, int], odd: list[int]) -> list[int] | None:
        """
        Scan whole lines.

        Args:
            data: The lines, among others.
            span: Where they begin and end.
            odd: Receives the ends of the lines that may begin or end a csv record of several lines,
                if those matter.

        Returns:
            ``end << shift | rule`` for each candidate of a rule, in order, the ends counted from
            the first line; None if there are too many for one turn.
        """
        hits = self._scanner.scan(data, self.shift, self._most, span)
        if not hits:
            return hits
        mask, displaced = self.mask, self._displaced
        if not displaced or displaced.isdisjoint([hit & mask for hit in hits]):
            hits.sort()
            return hits
        found: set[int] = set()
        rules_of, odd_quoting = self._plan.rules_of, self._plan.odd
        for hit in hits:
            expression = hit & self.mask
            if expression == odd_quoting:
                odd.append(hit >> self.shift)
            end = hit - expression
            for rule in rules_of[expression]:
                found.add(end + rule)
            # Many rules may look for the same text.
            if len(found) > self._most:
                return None
        return sorted(found)

    def name_fields(self, header: tuple[str, ...] | None) -> None:
        """Take the names of a csv's fields from the file at hand."""
        for row in self.rows:
            row.name(header)
        self.lane.name(header)
        self.straight.name(header)

    def text_of(self, raw: bytes) -> str:
        """Decode what is looked at of a line."""
        return self.decode(trimmed(raw)[: self.source.max_line])

    def spell(self, raw: bytes) -> str:
        r"""Decode a line so that bytes that are not text stand as ``\xff``."""
        return without_surrogates(raw.decode(self.source.encoding, "backslashreplace"))

    def _time_reader(self) -> Callable[[Record, float], Time]:
        """Make what reads the time that a line gives itself."""
        name, times = self.source.timestamp, self.times
        if name == "none":
            return lambda *_: None
        if name != "auto":

            def in_field(line: Record, reference: float) -> Time:
                value = line.get(name)
                return None if value is None else times.read_time(value, reference)

            return in_field
        if self.source.format == "plain":
            # A line's time can be anywhere in it.
            return lambda line, reference: times.find_time(line.text, reference)

        def in_known_field(line: Record, reference: float) -> Time:
            for value in line.timestamps():
                time = times.read_time(value, reference)
                if time is not None:
                    return time
            return times.find_time(line.text, reference)

        return in_known_field

    def explain(self, line: str | bytes, framing: Framing, reference: float) -> Explanation:
        """
        Say how a line is understood.

        Args:
            line: Without or with its line end.
            framing: Of its file.
            reference: Unix seconds, for dates without a year.
        """
        return explain(self, line, framing, reference)

    def highlight(self, rule: str, line: str) -> tuple[int, int]:
        """
        Find the part of a line that a rule was looking for.

        For a csv without ``columns``, its fields are taken to be those of the file last read.

        Returns:
            A slice of the line, (0, 0) if it cannot be told.
        """
        return highlight(self, rule, line)


def _decoder(encoding: str) -> Callable[[bytes], str]:
    """Make what turns bytes into text that can be stored, whatever the bytes are."""
    is_utf8 = Encoding(encoding).is_utf8
    is_transparent = Encoding(encoding).is_transparent

    def decode_utf8(raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("utf-8", "replace")

    def decode(raw: bytes) -> str:
        text = raw.decode(encoding, "replace")
        return text if is_transparent else without_surrogates(text)

    return decode_utf8 if is_utf8 else decode
