"""
Timestamps, fast: the same answers as ``forms`` and ``instants`` give, from memory.

The lines of one source nearly always spell their time in the same way at the same place.  So once
a timestamp was found the slow way, a *lane* remembers its shape; on the next line of that shape a
few slices and look-ups give the time.

Trap: a lane must never answer what the slow way would not.  It therefore holds only what it can
prove: nothing before the place can be a timestamp (the very same prefix, or one without anything
that timestamps are made of), the text up to the hour was read the slow way in this very place, and
what follows the seconds is either known literally or cannot belong to a timestamp.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from alertd.core.timestamps.forms import (
    SEARCHED,
    UNIX_TIME,
    Form,
    Found,
    InDoubtError,
    bare,
    candidates,
    number,
    whole,
)
from alertd.core.timestamps.instants import LAST_MOMENT, Hour, Instants, Stamp
from alertd.core.timestamps.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

# Shapes that one source may mix before the oldest is forgotten.
_LANES = 4
_REMEMBERED = 2048

# A fraction longer than this is left to the slow way, so that a lane looks no further than it.
_LONGEST_FRACTION = 12

# Characters after a time of day that most often tell where the timestamp ends.
_PAIR = 2

# More characters than any value has.
_WHOLE_VALUE = 1 << 62

# A fraction of so many digits has few enough values to be remembered.
_FEW_DIGITS = 3

_SCALES = [10**digits for digits in range(_LONGEST_FRACTION + 1)]

# Minutes and seconds, as lanes cut them out; a leap second is the second before it.
_CLOCK = re.compile(r"([0-5][0-9]):?([0-5][0-9]|60)", re.ASCII)

_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
# What may continue a time of day: digits, a fraction, an offset, a zone or a year after a blank.
_CONTINUES = _WORD | frozenset(" .,+-")
# An offset with hours and minutes, and what may follow it only if it is none.
_OFFSET = re.compile(r" ?[+-][0-9]{2}:?[0-9]{2}", re.ASCII)
_GOES_ON = _WORD | frozenset(":")
# Such a line can only be read in this way, whatever follows the blank or the bracket.
_NUMBER_FIRST = re.compile(r"\[?([0-9]{10}(?:\.[0-9]{1,9})?)[] ]", re.ASCII)

_ADDRESS = "(?:(?:[0-9A-Fa-f]{0,4}[:.])++[0-9A-Fa-f]{0,4} )?+"

# What no timestamp contains; behind the first of these nothing can have begun before it.
_OPENERS = frozenset("[(\"'|={>\t")

# Digits of a Unix time that need no closer look, and into how many parts they cut a second.
_DIVISORS = {10: 1, 13: 1000}

Time: TypeAlias = float | Stamp | None
"""
When something happened, as cheaply as it can be said: a float where there is one reading only.

Making a ``Stamp`` of it would take as long as finding it.
"""


Reading: TypeAlias = "Callable[[str, float], Time]"


def _as_stamp(time: Time) -> Stamp | None:
    return Stamp(time, None) if isinstance(time, float) else time


class TimestampReader:
    """
    Reads the timestamps of one source.

    Every answer depends on the arguments alone; what was read before only makes it faster.

    Attributes:
        find_time: Does what ``find`` does, for those who call it once for every line.  It becomes
            another function, a faster one, once the shape of the lines is known: do not keep it.
        read_time: Likewise for ``read``.
    """

    def __init__(self, *, timezone: tzinfo, format: str | None = None) -> None:  # noqa: A002
        """
        Prepare to read.

        Args:
            timezone: For timestamps that name no zone.
            format: A ``timestamp_format`` that ``check_format`` does not refuse; None recognises
                every form that can be read in one way only.
        """
        self._instants = Instants(timezone)
        self._layout = None if format is None else Layout(format, self._instants)
        self._lanes: list[_Lane] = []
        self._whole_lanes: list[_Lane] = []
        self._begins_with_number = False
        self.find_time: Reading = self._find
        self.read_time: Reading = self._read
        if self._layout is not None:
            self.find_time, self.read_time = self._layout.find, self._layout.read

    def find(self, text: str, reference: float) -> Stamp | None:
        """
        Find when a line says that it happened.

        Args:
            text: The line.  Its first timestamp counts, and of those that begin there the longest.
            reference: Unix seconds near which it was written.  A date without a year is the latest
                that is no later than a day after; a time without a date, than an hour after.

        Returns:
            The moment, or None if the line has no timestamp, or one that is no date, or one that
            can be read in several ways.
        """
        return _as_stamp(self.find_time(text, reference))

    def read(self, text: str, reference: float) -> Stamp | None:
        """
        Read a field's value as a timestamp.

        Args:
            text: The value; blanks, brackets or quotes may surround it.  A bare number counts
                seconds, milliseconds, microseconds or nanoseconds since 1970.
            reference: As for ``find``.

        Returns:
            The moment, or None if the value is no timestamp.
        """
        return _as_stamp(self.read_time(text, reference))

    def _find(self, text: str, reference: float) -> Time:
        """Find a time by all means."""
        if self._begins_with_number:
            match = _NUMBER_FIRST.match(text)
            seconds = match and number(match[1])
            if seconds:
                return seconds
        for lane in self._lanes:
            time = lane.find(text, reference)
            if time is not None:
                return time
        try:
            for found in candidates(text):
                stamp = found.stamp(self._instants, reference)
                if stamp is not None:
                    self._learn(self._lanes, found, stamp)
                    self._begins_with_number = found.form is UNIX_TIME and found.match.start() <= 1
                    return stamp
        except InDoubtError:
            pass  # A later date in the line is not the line's own.
        return None

    def _read(self, text: str, reference: float) -> Time:
        """Read a time by all means."""
        if (
            len(text) in _DIVISORS
            and text[0] in "123456789"
            and text.isdecimal()
            and text.isascii()
        ):
            seconds = int(text) / _DIVISORS[len(text)]
            return seconds if seconds < LAST_MOMENT else None
        for lane in self._whole_lanes:
            time = lane.read(text, reference)
            if time is not None:
                return time
        value, time = text, number(text)
        if time is None:
            value = bare(text)
            time = number(value)
        if time is not None:
            return time
        try:
            for found in whole(value):
                stamp = found.stamp(self._instants, reference)
                if stamp is not None:
                    if value == text:
                        self._learn(self._whole_lanes, found, stamp)
                    return stamp
        except InDoubtError:
            pass
        return None

    def _learn(self, lanes: list[_Lane], found: Found, stamp: Stamp) -> None:
        """Remember the shape of a timestamp that was read the slow way."""
        shape = _shape_of(found)
        if shape is None or found.fields is None:
            return
        hour = self._instants.hour(found.fields, stamp)
        if hour is None:
            return
        for lane in lanes:
            if lane.shape == shape:
                break
        else:
            lane = _Lane(shape, self._find, self._read)
            lanes.insert(0, lane)
            del lanes[_LANES:]
            if lanes is self._lanes:
                self.find_time = lane.find_first
            else:
                self.read_time = lane.read_first
        lane.learn(found, hour)


class _Shape(NamedTuple):
    """
    What timestamps must share so that one tells about the other.

    Attributes:
        form: How they are spelled.
        prefix: The text before them; empty if ``opener`` says where they are.
        opener: They begin behind the first of these characters in the line; may be empty.
        offsets: From where they begin to the minutes, to behind the seconds, and to behind the
            fraction of a second.
        after: Characters behind the time that tell where the timestamp ends, if these can.
    """

    form: Form
    prefix: str
    opener: str
    offsets: tuple[int, int, int]
    after: int

    @property
    def fraction(self) -> int:
        """Characters of the fraction with its point; 0 without one."""
        return self.offsets[2] - self.offsets[1]


def _shape_of(found: Found) -> _Shape | None:
    """Return a timestamp's shape, if it has one that tells about others."""
    match, form = found.match, found.form
    groups = match.re.groupindex
    if "S" not in groups or match["S"] is None or found.fields is None:
        return None
    start, minute, end = match.start(), match.start("M"), match.end("S")
    fraction = match.end("f") - end if "f" in groups and match["f"] else 0
    if not _CLOCK.fullmatch(match.string, minute, end) or fraction > _LONGEST_FRACTION:
        return None
    offsets = (minute - start, end - start, end - start + fraction)
    zone = match.string[end + fraction : match.end()]
    after = len(zone) + 1 if form.ends_with_zone and _OFFSET.fullmatch(zone) else _PAIR
    prefix, opener = match.string[:start], match.string[start - 1 : start]
    if opener in _OPENERS and not form.is_first and _opening(opener).fullmatch(prefix):
        return _Shape(form, "", opener, offsets, after)
    return _Shape(form, prefix, "", offsets, after) if found.is_first_candidate else None


def _opening(opener: str) -> re.Pattern[str]:
    """
    Match up to the first opener, if no timestamp can begin before it.

    All of them hold a colon, an ``@``, or six digits in a row, and none of them an opener.  Before
    the colon there is a date with a blank, a letter or a dash in it, so a line that begins with an
    IPv6 address, as access logs do, has none in there.
    """
    mark = re.escape(opener)
    return re.compile(rf"{_ADDRESS}(?:[0-9]{{1,5}}(?![0-9])|[^0-9:@{mark}]++)*+{mark}")


class _Lane:
    """
    Timestamps of one shape.

    Attributes:
        shape: What they share.
        find: As ``TimestampReader.find_time``; None where the lane does not know.
        read: As ``TimestampReader.read_time``, likewise.
        find_first: As ``find``, but asking the reader where the lane does not know.
        read_first: As ``read``, likewise.
    """

    __slots__ = (
        "_hours",
        "_pairs",
        "_tails",
        "find",
        "find_first",
        "read",
        "read_first",
        "shape",
    )

    def __init__(self, shape: _Shape, find: Reading, read: Reading) -> None:
        self.shape = shape
        # Hours by what follows the time of day (zone, year, half of the day), then by what stands
        # before the minutes.  What follows is found by two characters where these decide, else by
        # as many as may belong to the timestamp.
        self._hours: dict[str, dict[str, Hour]] = {}
        self._pairs: dict[str, dict[str, Hour]] = {}
        self._tails: dict[str, dict[str, Hour]] = {}
        reach = shape.form.reach
        self.find = _finder(shape, reach, self._pairs, self._tails, _nothing)
        self.find_first = _finder(shape, reach, self._pairs, self._tails, find)
        # In a value that is nothing but a timestamp, all that follows the time belongs to it.
        self.read = _finder(shape, _WHOLE_VALUE, {}, self._hours, _nothing)
        self.read_first = _finder(shape, _WHOLE_VALUE, {}, self._hours, read)

    def learn(self, found: Found, hour: Hour) -> None:
        """Remember an hour, and what followed the timestamp that told it."""
        match, shape = found.match, self.shape
        text, start = match.string, match.start()
        end = match.end("S") + shape.fraction
        hours = self._hours.setdefault(text[end : match.end()], {})
        for remembered in (self._hours, self._pairs, self._tails, hours):
            if len(remembered) > _REMEMBERED:
                remembered.clear()
        hours[text[start : match.start("M")]] = hour
        told = text[end : end + shape.after]
        if _decides(told, shape):
            self._pairs[told] = hours
        else:
            self._tails[text[end : end + shape.form.reach]] = hours


def _decides(told: str, shape: _Shape) -> bool:
    """Tell whether the characters after a time of day tell where the timestamp ends."""
    if shape.after > _PAIR:
        # A whole offset, and what cannot go on with it.
        following = told[shape.after - 1 :]
        return following != "" and following not in _GOES_ON
    first, second = told[:1], told[1:]
    if first == " ":
        return second != "" and second not in shape.form.after_blank
    if shape.form.is_iso and first == "Z":
        return second != "" and second not in _WORD
    return first not in _CONTINUES


def _remember_clock(clock: str, clocks: dict[str, float]) -> float | None:
    """Read minutes and seconds as seconds of an hour; there are too few to need a bound."""
    match = _CLOCK.fullmatch(clock)
    if match is None:
        return None
    seconds = clocks[clock] = int(match[1]) * 60.0 + min(int(match[2]), 59)
    return seconds


def _nothing(_text: str, _reference: float) -> None:
    """Stand for a reader where the next lane is to be asked."""


def _finder(  # noqa: C901, PLR0915 - one straight line of slices and look-ups
    shape: _Shape,
    reach: int,
    pairs: dict[str, dict[str, Hour]],
    tails: dict[str, dict[str, Hour]],
    otherwise: Reading,
) -> Reading:
    """
    Make the function that runs once for every hit.

    It is a closure, and calls nothing, because attributes and calls would double what it costs.
    What it has worked out once it knows by heart: minutes by all that stands before their seconds,
    and seconds by their text and, so that one look-up serves both, by what follows them.

    Args:
        shape: What timestamps look like.
        reach: Characters after the time by which ``tails`` is looked up.
        pairs: Hours by the ``shape.after`` characters that follow the time.
        tails: Hours by the ``reach`` characters that do.
        otherwise: Who is asked about what is not known.
    """
    prefix, opener, fraction = shape.prefix, shape.opener, shape.fraction
    to_minute, to_second, to_end = shape.offsets
    opening = _opening(opener) if opener else None
    after = reach if reach == _WHOLE_VALUE else shape.after
    clocks: dict[str, float] = {}
    # By heart: for each text that may follow, minutes by all that stands before their seconds.
    minutes_by_tail: dict[str, dict[str, Hour]] = {}
    seconds_by_text: dict[str, tuple[float, dict[str, Hour]]] = {}
    exact_seconds: dict[str, float] = {}
    parts: dict[str, float] = {}
    # What has stood before an opener, and holds no timestamp.
    beginnings: set[str] = set()
    fixed_start = len(prefix)
    fixed_digit, fixed_end = fixed_start + to_second - 2, fixed_start + to_end

    def find(text: str, reference: float) -> Time:  # noqa: C901 - likewise
        # Without an opener, the prefix is looked up together with the minute.
        begin, digit, end = 0, fixed_digit, fixed_end
        if opening is not None:
            begin = text.find(opener, 0, SEARCHED) + 1
            if text[:begin] not in beginnings and not is_beginning(text[:begin]):
                return otherwise(text, reference)
            digit += begin
            end += begin
        if fraction:
            known = minutes_by_tail.get(text[end : end + after])
            if known is not None:
                minute = known.get(text[begin:digit])
                seconds = exact_seconds.get(text[digit : digit + 3])
                if minute is not None and seconds is not None:
                    digits = text[digit + 3 : end]
                    part = parts.get(digits) or part_of(digits)
                    if part is not None:
                        beginning, earliest, latest = minute
                        if earliest <= reference < latest:
                            return beginning + seconds + part
        else:
            entry = seconds_by_text.get(text[digit : end + after])
            if entry is not None:
                seconds, known = entry
                minute = known.get(text[begin:digit])
                if minute is not None:
                    beginning, earliest, latest = minute
                    if earliest <= reference < latest:
                        return beginning + seconds
        time = work_out(text, reference, begin)
        return otherwise(text, reference) if time is None else time

    def is_beginning(text: str) -> bool:
        if opening is None or not opening.fullmatch(text):
            return False
        if len(beginnings) >= _REMEMBERED:
            beginnings.clear()
        beginnings.add(text)
        return True

    def part_of(digits: str) -> float | None:
        """Read the digits of a fraction, of which there may be fewer where the text ends early."""
        if not digits.isdecimal() or not digits.isascii():
            return None
        part: float = int(digits) / _SCALES[len(digits)]
        if len(digits) <= _FEW_DIGITS:
            parts[digits] = part
        return part

    def work_out(  # noqa: PLR0911 - one for each thing that may be unknown
        text: str, reference: float, begin: int
    ) -> float | None:
        """Find what is not known by heart yet, and learn it."""
        start = begin + fixed_start
        if not text.startswith(prefix):
            return None
        end = start + to_end
        minute, second = start + to_minute, start + to_second
        # Entries are never empty.
        hours = pairs.get(text[end : end + shape.after])
        is_told = hours is not None or reach == _WHOLE_VALUE
        hours = hours or tails.get(text[end : end + reach])
        if hours is None:
            return None
        hour = hours.get(text[start:minute])
        if hour is None:
            return None
        clock = text[minute:second]
        seconds = clocks.get(clock) or _remember_clock(clock, clocks)
        if seconds is None:
            return None
        beginning, earliest, latest = hour
        if not earliest <= reference < latest:
            return None
        part: float | None = 0.0
        if fraction:
            part = part_of(text[second + 1 : end]) if text[second : second + 1] in ".," else None
        if part is None:
            return None
        if is_told:
            learn(text, begin, hour, seconds)
        return beginning + seconds + part

    def learn(text: str, begin: int, hour: Hour, seconds: float) -> None:
        """Remember the minute and the second of what was worked out."""
        digit, end = begin + fixed_digit, begin + fixed_end
        for remembered in (minutes_by_tail, seconds_by_text):
            if len(remembered) > _REMEMBERED:
                remembered.clear()
        minutes = minutes_by_tail.setdefault(text[end : end + after], {})
        if len(minutes) > _REMEMBERED:
            minutes.clear()
        beginning, earliest, latest = hour
        minutes[text[begin:digit]] = (beginning + seconds // 60 * 60, earliest, latest)
        if fraction:
            exact_seconds[text[digit : digit + 3]] = seconds % 60
        else:
            seconds_by_text[text[digit : end + after]] = (seconds % 60, minutes)

    return find
