"""
How a user's ``timestamp_format`` is spelled: strptime's directives, searched in a line.

Refuses what strptime would guess: a twelve-hour clock without AM or PM, a month without a day, a
directive that is given twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from alertd.core.timestamps.forms import (
    EXACT,
    MONTH_NAME,
    SEARCHED,
    WEEKDAY_NAME,
    fields_of,
    number,
)
from alertd.core.timestamps.instants import Fields, Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alertd.core.timestamps.instants import Hour, Instants

_TWO = "[0-9]{1,2}| [0-9]"
_DIRECTIVES = {
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "m": "(?P<m>1[0-2]|0[1-9]|[1-9])",
    "b": f"(?P<b>{MONTH_NAME})",
    "B": f"(?P<b>{MONTH_NAME})",
    "h": f"(?P<b>{MONTH_NAME})",
    "d": "(?P<d>3[01]|[12][0-9]|0[1-9]| ?[1-9])",
    "e": "(?P<d>3[01]|[12][0-9]|0[1-9]| ?[1-9])",
    "H": f"(?P<H>{_TWO})",
    "k": f"(?P<H>{_TWO})",
    "I": f"(?P<I>{_TWO})",
    "l": f"(?P<I>{_TWO})",
    "M": "(?P<M>[0-9]{1,2})",
    "S": "(?P<S>[0-9]{1,2})",
    "f": "(?P<f>[0-9]{1,32})",
    "p": r"(?P<p>[ap])\.?m\.?",
    "z": "(?P<z>z|utc|gmt|[+-][0-9]{2}(?::?[0-9]{2})?)",
    "Z": "(?:(?P<u>utc|gmt|z)|[a-z]{3,5})",
    "a": WEEKDAY_NAME,
    "A": WEEKDAY_NAME,
    "s": "(?P<s>[0-9]{9,19})",
    "%": "%",
}
_SHORTHANDS = {
    "%F": "%Y-%m-%d",
    "%T": "%H:%M:%S",
    "%R": "%H:%M",
    "%D": "%m/%d/%y",
    "%c": "%a %b %d %H:%M:%S %Y",
    "%x": "%m/%d/%y",
    "%X": "%H:%M:%S",
}
_MEANINGS = {"B": "b", "h": "b", "e": "d", "k": "H", "l": "I", "A": "a", "y": "Y"}
_DIRECTIVE = re.compile(r"%(.?)|(\s+)|([^%\s]+)", re.DOTALL)
_SHORTHAND = re.compile(r"%.", re.DOTALL)
_REMEMBERED = 1024
_SEARCHED_TO_END = SEARCHED + 256
_NEEDS = {
    "M": ("H", "I"),
    "S": ("M",),
    "f": ("S", "s"),
    "I": ("p",),
    "b": ("d",),
    "m": ("d",),
    "d": ("m", "b"),
    "Y": ("d",),
}
_KNOWN = ", ".join(f"%{name}" for name in (*_DIRECTIVES, "F", "T", "R", "D"))


class Layout:
    """A compiled ``timestamp_format``."""

    def __init__(self, format: str, instants: Instants) -> None:  # noqa: A002 - the option's name
        """
        Compile a format.

        Args:
            format: One that ``check_format`` does not refuse.
            instants: For the moments that timestamps mean.
        """
        pattern = _pattern(format)
        left = "(?<![0-9A-Za-z_])" if re.match(r"%[^%]|\w", format, re.ASCII) else ""
        right = "(?![0-9A-Za-z_])" if re.search(r"%[^%]\Z|\w\Z", format, re.ASCII) else ""
        flags = re.ASCII | re.IGNORECASE
        self._anywhere = re.compile(left + pattern + right, flags)
        self._whole = re.compile(pattern, flags)
        self._instants = instants
        self._remembered: dict[str, _Reading] = {}
        # Hours by all that is said but minutes and seconds, where these stand in their order.
        self._hours: dict[str, Hour] = {}
        places = [pattern.find(f"(?P<{name}>") for name in "MSf"]
        self._clock_end = "f" if places[2] > places[1] else "S"
        self._has_clock = 0 <= places[0] < places[1] and (places[2] < 0 or self._clock_end == "f")

    def find(self, text: str, reference: float) -> float | Stamp | None:
        """Find the first timestamp in a line that is one."""
        match = self._anywhere.search(text, 0, _SEARCHED_TO_END)
        while match is not None and match.start() <= SEARCHED:
            stamp = self._stamp(match, reference)
            if stamp is not None:
                return stamp
            # What is no date may overlap one that is.
            match = self._anywhere.search(text, match.start() + 1, _SEARCHED_TO_END)
        return None

    def read(self, text: str, reference: float) -> float | Stamp | None:
        """Read a value that is a timestamp, blanks around it apart."""
        match = self._whole.fullmatch(text.strip())
        return None if match is None else self._stamp(match, reference)

    def _stamp(self, match: re.Match[str], reference: float) -> float | Stamp | None:
        if not self._has_clock:
            return self._worked_out(match, reference).stamp
        text, end = match.string, match.end(self._clock_end)
        rest = f"{text[match.start() : match.start('M')]}\n{text[end : match.end()]}"
        hour = self._hours.get(rest)
        if hour is None:
            reading, stamp = self._worked_out(match, reference)
            if stamp is not None and reading.fields is not None:
                hour = self._instants.hour(reading.fields, stamp)
                if hour is not None:
                    if len(self._hours) >= _REMEMBERED:
                        self._hours.clear()
                    self._hours[rest] = hour
            return stamp
        beginning, earliest, latest = hour
        minute, second = int(match["M"]), int(match["S"])
        if minute > 59 or second > 60 or not earliest <= reference < latest:  # noqa: PLR2004
            return self._worked_out(match, reference).stamp
        time = beginning + minute * 60 + min(second, 59)
        fraction = match["f"] if self._clock_end == "f" else None
        return time + float("." + fraction[:EXACT]) if fraction else time

    def _worked_out(self, match: re.Match[str], reference: float) -> _WorkedOut:
        said = match[0]
        reading = self._remembered.get(said)
        if reading is None:
            reading = _reading(match)
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[said] = reading
        if reading.fields is None:
            time = reading.time
            return _WorkedOut(reading, None if time is None else Stamp(time, None))
        return _WorkedOut(reading, self._instants.stamp(reading.fields, reference))


class _Reading(NamedTuple):
    fields: Fields | None
    time: float | None


class _WorkedOut(NamedTuple):
    reading: _Reading
    stamp: Stamp | None


def check_format(format: str) -> str | None:  # noqa: A002 - the option's name
    """
    Tell why a ``timestamp_format`` cannot be used.

    Args:
        format: What the user wrote.

    Returns:
        The reason, as the end of a sentence that names the option; None if there is none.
    """
    directives = [match[1] for match in _DIRECTIVE.finditer(_expanded(format))]
    for name in directives:
        if name == "":
            return "it ends with a single %"
        if name is not None and name not in _DIRECTIVES:
            return f"unknown directive %{name}; known are {_KNOWN}"
    said = [_MEANINGS.get(name, name) for name in directives if name not in (None, "%")]
    return next(_contradictions(said), None)


def _contradictions(said: list[str]) -> Iterator[str]:
    """Yield why directives cannot stand together, by what they mean."""
    for name in said:
        if said.count(name) > 1:
            yield f"%{name} is given more than once, perhaps by another name"
        if "s" in said and name not in "sf":
            yield f"%s is the whole time; %{name} cannot stand beside it"
        needed = _NEEDS.get(name, ())
        if needed and not any(other in said for other in needed):
            yield f"%{name} needs {' or '.join(f'%{other}' for other in needed)} beside it"
    if "I" in said and "H" in said:
        yield "%H and %I both tell the hour"
    if "m" in said and "b" in said:
        yield "%m and %b both tell the month"
    if not {"d", "H", "I", "s"} & set(said):
        yield "there is neither a date nor a time of day in it"


def _expanded(format: str) -> str:  # noqa: A002
    return _SHORTHAND.sub(lambda match: _SHORTHANDS.get(match[0], match[0]), format)


def _pattern(format: str) -> str:  # noqa: A002
    """Translate a format into a regular expression without unbounded repetitions."""
    parts = []
    for match in _DIRECTIVE.finditer(_expanded(format)):
        if match[1] is not None:
            parts.append(_DIRECTIVES[match[1]])
        elif match[2] is not None:
            parts.append("[ \t]{1,8}")
        else:
            parts.append(re.escape(match[3]))
    return "".join(parts)


def _reading(match: re.Match[str]) -> _Reading:
    said = match.groupdict()
    seconds = said.get("s")
    if seconds is not None:
        fraction = said.get("f")
        return _Reading(None, number(f"{seconds}.{fraction}" if fraction else seconds))
    hour = said.get("I")
    if hour is not None:
        said["H"] = hour
        if not 1 <= int(hour) <= 12:  # noqa: PLR2004
            return _Reading(None, None)
    for zone in ("z", "u"):
        said[zone] = (said.get(zone) or "").upper() or None
    return _Reading(fields_of(said), None)
