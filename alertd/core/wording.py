"""
Numbers and times, the way they are said.

English whatever the locale, and never an exception: a time that no calendar has is said to be one.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_EXACT_UNITS = (("day", 86_400_000_000), ("hour", 3_600_000_000), ("minute", 60_000_000))
"""In microseconds."""

_SPELT_OUT_BELOW = 1e15
_FRACTIONS_BELOW = 10
"""Seconds; of a longer time nobody wants to know its fractions."""


def plural(number: int, noun: str) -> str:
    """``1 event``, ``1,204 events``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """``4.2 seconds``, ``3 hours 20 minutes``: at most two units, never negative."""
    if not math.isfinite(seconds):
        return "an unknown time"
    seconds = max(seconds, 0.0)
    if seconds < _FRACTIONS_BELOW and seconds != int(seconds):
        return f"{max(seconds, 0.01):.2f}".rstrip("0").rstrip(".") + " seconds"
    rest = round(seconds)
    parts: list[str] = []
    for noun, size in _UNITS:
        number, rest = divmod(rest, size)
        if number:
            parts.append(plural(number, noun))
    return " ".join(parts[:2]) or "0 seconds"


def exactly(seconds: float) -> str:
    """
    Spell out a length of time, exact to the microsecond.

    Args:
        seconds: Not negative.

    Returns:
        For example ``1 hour 30 minutes`` or ``1.5 seconds``.
    """
    rest = round(seconds * 1_000_000)
    parts = []
    for unit, size in _EXACT_UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(_counted(str(count), unit))
    if rest or not parts:
        whole, fraction = divmod(rest, 1_000_000)
        digits = f".{fraction:06}".rstrip("0") if fraction else ""
        parts.append(_counted(f"{whole}{digits}", "second"))
    return " ".join(parts)


def ordinal(number: int) -> str:
    """Write a number as a position: ``1st``, ``11th``, ``1,022nd``."""
    teens = range(11, 14)
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if number % 100 in teens else suffix}"


def figure(value: float) -> str:
    """``1,500``, ``0.25``: a number to ten digits, which are more than anybody compares."""
    if value.is_integer() and abs(value) < _SPELT_OUT_BELOW:
        return f"{int(value):,}"
    return f"{value:,.10g}"


def moment(time: float, zone: tzinfo) -> str:
    """``Tue 10 Dec 2024, 06:55:46 CET``."""
    when = _local(time, zone)
    if when is None:
        return f"an impossible time ({time})"
    return f"{_date(when)}, {when:%H:%M:%S} {_zone_name(when)}"


def moment_near(time: float, other: float, zone: tzinfo) -> str:
    """``06:55:46`` on the day of the other time, else with its date."""
    when, day = _local(time, zone), _local(other, zone)
    if when is None or day is None:
        return moment(time, zone)
    clock = f"{when:%H:%M:%S}"
    return clock if when.date() == day.date() else f"{_date(when)}, {clock}"


def stamp(time: float, zone: tzinfo) -> str:
    """``2024-12-10 06:55:46``, for tables."""
    when = _local(time, zone)
    return str(time) if when is None else f"{when:%Y-%m-%d %H:%M:%S}"


def zone_name(time: float, zone: tzinfo) -> str:
    """``CET``, or ``UTC+03:00`` where local time has no name of its own."""
    when = _local(time, zone)
    return "local time" if when is None else _zone_name(when)


def mail_date(time: float, zone: tzinfo) -> str:
    """Say a time as RFC 5322 wants it; one that no calendar has becomes 1970."""
    when = _local(time, zone) or datetime.fromtimestamp(0, zone)
    return (
        f"{_DAYS[when.weekday()]}, {when.day:02d} {_MONTHS[when.month - 1]} {when:%Y %H:%M:%S %z}"
    )


def _date(when: datetime) -> str:
    return f"{_DAYS[when.weekday()]} {when.day} {_MONTHS[when.month - 1]} {when.year}"


def _zone_name(when: datetime) -> str:
    name = when.tzname() or ""
    # Zones without an abbreviation of their own are called "+03".
    if name[:1].isalpha():
        return name
    offset = f"{when:%z}"
    return f"UTC{offset[:3]}:{offset[3:5]}"


def _local(time: float, zone: tzinfo) -> datetime | None:
    try:
        return datetime.fromtimestamp(time, zone)
    except (ValueError, OverflowError, OSError):
        return None


def _counted(number: str, unit: str) -> str:
    return f"{number} {unit}" if number == "1" else f"{number} {unit}s"
