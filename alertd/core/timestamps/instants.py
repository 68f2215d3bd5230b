"""
Which moment a date and a time of day mean, in a time zone and read at some time.

Trap: neither a local time nor a date without a year is a moment.  The first may happen twice or
not at all, the second happens every year; both rules stand here and nowhere else.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Years outside are a device without a clock, or no date at all."""

LAST_MOMENT = 7_258_118_400
"""Unix seconds at the end of ``LAST_YEAR``."""

_HOUR, _DAY = 3600, 86_400
_UNIX_DAY = date(FIRST_YEAR, 1, 1).toordinal()
_UNIX_EPOCH = datetime(FIRST_YEAR, 1, 1)  # noqa: DTZ001 - local times are what it counts
_LEAP_SECOND = 60

# Clocks of writer and reader differ by seconds, so a time of day may lie a little ahead of the
# reference; had it to be before it, such a line would fall a whole day back.
_TODAY_AHEAD = _HOUR

# Between two leap years there are at most seven without a 29 February (1896 to 1904, 2096 to 2104).
_YEARS_TO_TRY = 9

_HOURS_REMEMBERED = 4096


class Stamp(NamedTuple):
    """
    When something happened.

    Attributes:
        time: Unix seconds, exact to the microsecond.
        later: The second moment that the same text may mean, because clocks were set back.
    """

    time: float
    later: float | None


class Fields(NamedTuple):
    """
    What a timestamp says, not yet checked against a calendar.

    Attributes:
        year: None if it is not said.
        month: None, together with ``day``, if only a time of day is said.
        day: Of the month.
        hour: From 0 to 23.
        minute: From 0 to 59.
        second: From 0 to 60.
        fraction: Of a second, below 1.
        offset: Seconds east of UTC; None if the timestamp names no zone.
    """

    year: int | None
    month: int | None
    day: int | None
    hour: int
    minute: int
    second: int
    fraction: float
    offset: int | None


Hour: TypeAlias = tuple[float, float, float]
"""
An hour in which every local time is the same number of seconds away from UTC.

Unix seconds at which it begins, the smallest reference for which its year is the right one, and
the reference from which on it may no longer be.  A plain tuple, which unpacks fastest.
"""


class Instants:
    """Turns fields into moments, in one time zone."""

    def __init__(self, timezone: tzinfo) -> None:
        self._timezone = timezone
        self._offsets: dict[int, int | None] = {}

    def stamp(self, fields: Fields, reference: float) -> Stamp | None:
        """
        Find the moment that a timestamp means.

        Args:
            fields: What it says.
            reference: Unix seconds by which a missing year is found: it is the latest that puts
                the timestamp no later than one day after.  A missing day likewise, an hour after.

        Returns:
            The moment, or None if there is no such date.
        """
        clock = _clock(fields)
        if clock is None:
            return None
        if fields.year is not None:
            return self._on(fields.year, fields, clock)
        days = self._days(reference) if fields.month is None else self._years(fields, reference)
        ahead = _TODAY_AHEAD if fields.month is None else _DAY
        for day in days:
            stamp = self._at(day * _DAY + clock, fields)
            if stamp.time <= reference + ahead:
                return stamp
        return None

    def hour(self, fields: Fields, stamp: Stamp) -> Hour | None:
        """
        Describe the hour around a moment, so that its other times need no calendar.

        Args:
            fields: What the timestamp says.
            stamp: What ``stamp`` made of it.

        Returns:
            The hour, or None if a change of clocks touches it or the day is not said.
        """
        clock = _clock(fields)
        day = None if clock is None else self._day(fields, stamp, clock)
        if clock is None or day is None:
            return None
        hour = day * 24 + fields.hour
        offset = self._steady_offset(hour) if fields.offset is None else fields.offset
        if offset is None:
            return None
        start = float(hour * _HOUR - offset)
        if fields.year is not None:
            return (start, float("-inf"), float("inf"))
        following = (_UNIX_EPOCH + timedelta(days=day)).year + 1
        for year in range(following, following + _YEARS_TO_TRY):
            then = self._on(year, fields, fields.hour * _HOUR)
            if then is not None:
                # Two hours less, so that no change of clocks in that year matters here.
                return (start, start + _HOUR - _DAY, then.time - _DAY - 2 * _HOUR)
        return (start, start + _HOUR - _DAY, float("inf"))

    def _day(self, fields: Fields, stamp: Stamp, clock: int) -> int | None:
        """Return the day since 1970 on which a stamp was found."""
        near = (_UNIX_EPOCH + timedelta(seconds=stamp.time)).year
        years = range(near - 1, near + 2) if fields.year is None else (fields.year,)
        for year in years:
            day = _day_of(year, fields)
            if day is not None and self._at(day * _DAY + clock, fields) == stamp:
                return day
        return None

    def _days(self, reference: float) -> Iterator[int]:
        """Yield days since 1970, newest first, that may be today for the reference."""
        today = int(_within_time(reference) // _DAY) + 2
        yield from range(today, today - 5, -1)

    def _years(self, fields: Fields, reference: float) -> Iterator[int]:
        """Yield the same date in years that may be the reference's, newest first."""
        newest = (_UNIX_EPOCH + timedelta(seconds=_within_time(reference) + 2 * _DAY)).year
        for year in range(newest, newest - _YEARS_TO_TRY, -1):
            day = _day_of(year, fields)
            if day is not None:
                yield day

    def _on(self, year: int, fields: Fields, clock: int) -> Stamp | None:
        day = _day_of(year, fields)
        return None if day is None else self._at(day * _DAY + clock, fields)

    def _at(self, local: int, fields: Fields) -> Stamp:
        """Find the moment of a local time, given as if it were one of UTC."""
        if fields.offset is not None:
            return Stamp(local - fields.offset + fields.fraction, None)
        steady = self._steady_offset(local // _HOUR)
        if steady is not None:
            return Stamp(local - steady + fields.fraction, None)
        moment = _UNIX_EPOCH + timedelta(seconds=local)
        # A time that clocks jumped over is read with the offset from before the jump, which maps
        # it forward; one that happens twice has two offsets, the greater one first.
        before, after = (round(self._offset(moment, fold).total_seconds()) for fold in (0, 1))
        time = local - before + fields.fraction
        return Stamp(time, local - after + fields.fraction if before > after else None)

    def _steady_offset(self, hour: int) -> int | None:
        """Return the offset in a local hour, counted from 1970, or None if it has several."""
        try:
            return self._offsets[hour]
        except KeyError:
            pass
        start = _UNIX_EPOCH + timedelta(hours=hour)
        offsets = {
            self._offset(moment, fold)
            for moment in (start, start + timedelta(seconds=_HOUR - 1))
            for fold in (0, 1)
        }
        steady = round(offsets.pop().total_seconds()) if len(offsets) == 1 else None
        if len(self._offsets) >= _HOURS_REMEMBERED:
            self._offsets.clear()
        self._offsets[hour] = steady
        return steady

    def _offset(self, moment: datetime, fold: int) -> timedelta:
        return moment.replace(tzinfo=self._timezone, fold=fold).utcoffset() or timedelta()


def _clock(fields: Fields) -> int | None:
    """Return seconds since midnight, or None if no clock shows that."""
    if fields.hour > 23 or fields.minute > 59 or fields.second > _LEAP_SECOND:  # noqa: PLR2004
        return None
    # A leap second repeats the second before it, as Unix time itself does.
    return fields.hour * _HOUR + fields.minute * 60 + min(fields.second, _LEAP_SECOND - 1)


def _within_time(reference: float) -> float:
    """Bring a reference to where calendars are; what is no number becomes 0."""
    return min(reference, float(LAST_MOMENT)) if reference > 0 else 0.0


def _day_of(year: int, fields: Fields) -> int | None:
    """Return days since 1970, or None if that year has no such day."""
    if not FIRST_YEAR <= year <= LAST_YEAR or fields.month is None or fields.day is None:
        return None
    try:
        return date(year, fields.month, fields.day).toordinal() - _UNIX_DAY
    except ValueError:
        return None
