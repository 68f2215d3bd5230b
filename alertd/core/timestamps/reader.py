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
from functools import partial
from typing import TYPE_CHECKING

from alertd.core.timestamps.forms import (
    SEARCHED,
    Form,
    Found,
    InDoubtError,
    bare,
    candidates,
    number,
    whole,
)
from alertd.core.timestamps.instants import Hour, Instants, Stamp
from alertd.core.timestamps.layout import Layout

if TYPE_CHECKING:
    from datetime import tzinfo

# Shapes that one source may mix before the oldest is forgotten.
_LANES = 4
_REMEMBERED = 2048

# A fraction longer than this is left to the slow way, so that a lane looks no further than it.
_LONGEST_FRACTION = 12

_SECONDS = {f"{second:02}": second for second in range(60)} | {"60": 59}
_MINUTES = {f"{minute:02}{mark}": 60 * minute for minute in range(60) for mark in ("", ":")}
_SCALES = [10**digits for digits in range(_LONGEST_FRACTION + 1)]

_WORD = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
# What may continue a time of day: digits, a fraction, an offset, a zone or a year after a blank.
_CONTINUES = _WORD | frozenset(" .,+-")
# What no timestamp contains; behind the first of these nothing can have begun before it.
_OPENERS = frozenset("[(\"'|={>\t")

# `Stamp(...)` goes through a Python function; half the time of a lane would be spent in it.
_stamp = partial(tuple.__new__, Stamp)


class TimestampReader:
    """
    Reads the timestamps of one source.

    Every answer depends on the arguments alone; what was read before only makes it faster.
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
        for lane in self._lanes:
            stamp = lane.find(text, reference)
            if stamp is not None:
                return stamp
        if self._layout is not None:
            return self._layout.find(text, reference)
        try:
            for found in candidates(text):
                stamp = found.stamp(self._instants, reference)
                if stamp is not None:
                    self._learn(self._lanes, found, stamp)
                    return stamp
        except InDoubtError:
            pass  # A later date in the line is not the line's own.
        return None

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
        for lane in self._whole_lanes:
            stamp = lane.read(text, reference)
            if stamp is not None:
                return stamp
        if self._layout is not None:
            return self._layout.read(text, reference)
        value = bare(text)
        time = number(value)
        if time is not None:
            return Stamp(time, None)
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
        shape = _shape(found)
        hour = shape and found.fields and self._instants.hour(found.fields, stamp)
        if not shape or not hour:
            return
        for lane in lanes:
            if lane.shape == shape:
                break
        else:
            lane = _Lane(shape)
            lanes.insert(0, lane)
            del lanes[_LANES:]
        lane.learn(found, hour)


_Shape = tuple[str, int, int, int, str, str]
"""Form, prefix's length or 0, width up to the minute, of the minute, fraction, prefix."""


def _shape(found: Found) -> tuple[Form, str, str, int, int, int] | None:
    """
    Describe what timestamps must share so that one tells about the other.

    Returns:
        The form; the prefix, or the character that opens the timestamp; widths of the text up to
        the minute, of the minute with its separator, and of the fraction with its point.
    """
    match, form = found.match, found.form
    groups = match.re.groupindex
    if found.fields is None or "S" not in groups or match["S"] is None:
        return None
    start, minute, second, end = match.start(), match.start("M"), match.start("S"), match.end("S")
    fraction = match.end("f") - end if "f" in groups and match["f"] else 0
    if end - second != 2 or match.end("M") - minute != 2 or fraction > _LONGEST_FRACTION + 1:  # noqa: PLR2004
        return None
    prefix, opener = match.string[:start], match.string[start - 1 : start]
    if opener in _OPENERS and not form.is_first and _opening(opener).match(prefix):
        prefix = ""
    elif not found.is_first_candidate or form.is_first and start:
        return None
    else:
        opener = ""
    return form, prefix, opener, minute - start, second - minute, fraction


def _opening(opener: str) -> re.Pattern[str]:
    """
    Match up to the first opener, if no timestamp can begin before it.

    All of them hold a colon, an ``@``, or six digits in a row, and none of them an opener.
    """
    mark = re.escape(opener)
    return re.compile(rf"(?:[0-9]{{1,5}}(?![0-9])|[^0-9:@{mark}]++)*+{mark}")


class _Lane:
    """
    Timestamps of one shape.
    """

    __slots__ = ("_hours", "_is_iso", "_meanings", "_opening", "_pairs", "_tails", "shape")
    __slots__ += ("_after_blank", "_fraction", "_minute", "_prefix", "_reach", "_start", "_until")

    def __init__(self, shape: tuple[Form, str, str, int, int, int]) -> None:
        self.shape = shape
        form, self._prefix, opener, self._minute, minute_width, self._fraction = shape
        self._start = len(self._prefix)
        self._opening = _opening(opener) if opener else None
        self._until = self._minute + minute_width
        self._after_blank = frozenset(form.after_blank)
        self._reach, self._is_iso = form.reach, form.is_iso
        # Hours by what follows the time of day (zone, year, half of the day), then by what stands
        # before the minutes.  What follows is found by two characters where these decide, else by
        # as many as may belong to the timestamp.
        self._meanings: dict[str, dict[str, Hour]] = {}
        self._pairs: dict[str, dict[str, Hour]] = {}
        self._tails: dict[str, dict[str, Hour]] = {}

    def find(self, text: str, reference: float) -> Stamp | None:
        start = self._start
        if self._opening is not None:
            opening = self._opening.match(text)
            if opening is None:
                return None
            start = opening.end()
            if start > SEARCHED:
                return None
        elif start and not text.startswith(self._prefix):
            return None
        second = start + self._until
        end = second + 2 + self._fraction
        hours = self._pairs.get(text[end : end + 2])
        if hours is None:
            hours = self._tails.get(text[end : end + self._reach])
            if hours is None:
                return None
        minute = start + self._minute
        hour = hours.get(text[start:minute])
        if hour is None:
            return None
        return self._time(text, hour, minute, second, end, reference)

    def read(self, text: str, reference: float) -> Stamp | None:
        second = self._until
        end = second + 2 + self._fraction
        hours = self._meanings.get(text[end:])
        if hours is None:
            return None
        hour = hours.get(text[: self._minute])
        if hour is None:
            return None
        return self._time(text, hour, self._minute, second, end, reference)

    def _time(
        self, text: str, hour: Hour, minute: int, second: int, end: int, reference: float
    ) -> Stamp | None:
        start, earliest, latest = hour
        minutes = _MINUTES.get(text[minute:second])
        seconds = _SECONDS.get(text[second : second + 2])
        if minutes is None or seconds is None or not earliest <= reference < latest:
            return None
        if not self._fraction:
            return _stamp((start + minutes + seconds, None))
        digits = text[second + 3 : end]
        if text[second + 2] not in ".," or not (digits.isdecimal() and digits.isascii()):
            return None
        fraction = int(digits) / _SCALES[len(digits)]
        return _stamp((start + minutes + seconds + fraction, None))

    def learn(self, found: Found, hour: Hour) -> None:
        """Remember an hour, and what followed the timestamp that told it."""
        match = found.match
        text, second = match.string, match.end("S")
        end = second + self._fraction
        start = match.start()
        hours = self._meanings.setdefault(text[end : match.end()], {})
        for remembered in (self._meanings, self._pairs, self._tails, hours):
            if len(remembered) > _REMEMBERED:
                remembered.clear()
        hours[text[start : start + self._minute]] = hour
        pair = text[end : end + 2]
        if self._decides(pair):
            self._pairs[pair] = hours
        else:
            self._tails[text[end : end + self._reach]] = hours

    def _decides(self, pair: str) -> bool:
        """Tell whether two characters after a time of day tell where the timestamp ends."""
        first, second = pair[:1], pair[1:]
        if first == " ":
            return second != "" and second not in self._after_blank
        if self._is_iso and first in "Zz" and first:
            return second != "" and second not in _WORD
        return first not in _CONTINUES
