"""
How timestamps are spelled: every form that can be read in one way only.

Each form is a regular expression and a place where it may stand.  A single expression finds the
places in a line where any form may begin, so most lines cost one search.

Where day and month are in doubt (``05/06/2008``) the value decides: ``23/01/2005`` can only be
January, ``05/06/2008`` is refused, and a two-digit year makes year-first a third candidate
(``17/06/09`` is June 2017 to Spark and June 2009 to x11vnc).  A line whose first date is in doubt
has no timestamp at all: a later one in its text is not the line's own.

Trap: every expression must stay linear in the line.  No repetition stands inside another one, and
what may repeat without limit (a fraction's digits) is looked at from one place only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from alertd.core.timestamps.instants import LAST_MOMENT, Fields, Instants, Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCHED = 1024
"""
Characters of a line in which a timestamp may begin.

Writers put it first, behind a host or a client at most; what stands deep in a line is data, and a
line of 64 KiB without a time must not cost more than one of 1 KiB.
"""

# A timestamp that begins within ``SEARCHED`` is read whole.
_SEARCHED_TO_END = SEARCHED + 128

_WORD = "[0-9A-Za-z_]"
_LEFT, _RIGHT = f"(?<!{_WORD})", f"(?!{_WORD})"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH_NAME = (
    "(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_MONTH = f"(?P<b>{MONTH_NAME})"
WEEKDAY_NAME = "(?i:(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)"
_CLOCK = r"(?P<H>[0-9]{1,2}):(?P<M>[0-9]{1,2}):(?P<S>[0-9]{1,2})"
_FRACTION = r"(?:[.,](?P<f>[0-9]+))?"
_TIME = _CLOCK + _FRACTION
_AM_PM = "(?: ?(?P<p>[AP])M)?"
_ANY_AM_PM = "(?: ?(?P<p>[APap])[Mm])?"
# After a blank only what is surely an offset counts as one: `10:11:12 -1 items` has none.
_ZONE = (
    r"(?: ?(?P<z>Z|(?:UTC|GMT)(?![+-][0-9])"
    r"|(?:UTC|GMT)?[+-](?:0[0-9]|1[0-4]):?[0-5][0-9](?!:?[0-9]))"
    r"|(?P<u>z|[+-][0-9]{2}(?::?[0-9]{2})?(?!:?[0-9])))?"
)
_UTC = "(?: ?(?P<z>UTC|GMT)|(?P<u>Z))?"
_BEFORE = "(?:(?P<l>UTC|GMT|[+-][0-9]{2}:?[0-9]{2}) )?"
_YEAR = "(?:19|2[01])[0-9]{2}"
_YEAR_AFTER = f"(?: (?P<Y>{_YEAR})(?: (?P<t>[+-][0-9]{{4}}))?)"


@dataclass(frozen=True)
class Form:
    """
    One way to spell a timestamp.

    Attributes:
        name: For people.
        regex: Must match from the place where the timestamp begins.
        is_first: It counts only at the beginning of a line.
        after_blank: Characters that may follow a blank after the time and still belong to it.
        reach: Characters after the time on which it may depend what the timestamp says.
        is_iso: A ``Z`` after the time ends it.
    """

    name: str
    regex: str
    is_first: bool = False
    after_blank: str = ""
    reach: int = 12
    is_iso: bool = False

    @cached_property
    def ends_with_zone(self) -> bool:
        """Nothing but a zone can follow the time of day."""
        return self.regex.endswith(_ZONE)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The regex, compiled when it is first used: most sources use one form of twenty."""
        return re.compile(self.regex + _RIGHT, re.ASCII)


_OFFSETS = "+-ZUG"
_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"

_ISO = Form(
    "ISO 8601",
    r"(?P<Y>[0-9]{4})(?P<s>[-/.])(?P<m>[0-9]{1,2})(?P=s)(?P<d>[0-9]{1,2})(?:[Tt]|  ?)"
    rf"(?P<H>[0-9]{{1,2}}):(?P<M>[0-9]{{1,2}})(?::(?P<S>[0-9]{{1,2}}){_FRACTION}|(?<=:[0-9][0-9])(?!:[0-9]))"
    rf"{_AM_PM}{_ZONE}",
    after_blank=_OFFSETS + "AP",
    is_iso=True,
)
_BASIC = Form(
    "ISO 8601 basic",
    r"(?P<Y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?:[Tt]|  ?)(?P<H>[0-9]{2})(?P<M>[0-9]{2})"
    rf"(?:(?P<S>[0-9]{{2}}){_FRACTION}|(?<=[Tt][0-9]{{4}})){_ZONE}",
    after_blank=_OFFSETS,
    is_iso=True,
)
_BASIC_DATE = Form(
    "date without separators",
    rf"(?P<Y>[0-9]{{4}})(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}})(?:[Tt-]|  ?){_TIME}{_ZONE}",
    after_blank=_OFFSETS,
    is_iso=True,
)
_MYSQL = Form("MySQL", rf"(?P<y>[0-9]{{2}})(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}})  ?{_TIME}")
# Two numbers of six digits are a time only where a line begins.
_HDFS = Form(
    "HDFS",
    r"(?P<y>[0-9]{2})(?P<m>[0-9]{2})(?P<d>[0-9]{2}) (?P<H>[0-9]{2})(?P<M>[0-9]{2})(?P<S>[0-9]{2})",
    is_first=True,
)
_COMPACT = Form(
    "fourteen digits",
    r"(?P<Y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})(?P<H>[0-9]{2})(?P<M>[0-9]{2})(?P<S>[0-9]{2})"
    + _FRACTION,
    is_first=True,
)
# cPanel: with a colon the month comes first; nobody else writes a date of numbers that way.
_CPANEL = Form(
    "cPanel",
    rf"(?P<m>[0-9]{{1,2}})/(?P<d>[0-9]{{1,2}})/(?P<Y>[0-9]{{4}}):{_TIME}{_ZONE}",
    after_blank=_OFFSETS,
)
_IN_DOUBT = Form(
    "numbers in doubt",
    r"(?P<i>[0-9]{1,2})(?P<s>[-/.])(?P<j>[0-9]{1,2})(?P=s)(?P<k>[0-9]{4}(?<!\.[0-9]{4})|[0-9]{2})"
    rf"(?:  ?|, ){_TIME}{_ANY_AM_PM}{_ZONE}",
    after_blank=_OFFSETS + "APap",
)
_DOTTED = Form(
    "day.month.year",
    r"(?P<d>[0-9]{1,2})\.(?P<m>[0-9]{1,2})\.(?P<Y>[0-9]{4})(?:  ?|, )" + _TIME + _ZONE,
    after_blank=_OFFSETS,
)
_PROXIFIER = Form(
    "Proxifier", rf"(?<=\[)(?P<i>[0-9]{{1,2}})\.(?P<j>[0-9]{{1,2}}) {_CLOCK}(?=\])", is_first=True
)
# logcat writes the month first, and nothing known writes `17-03 16:13:38.811`.
_ANDROID = Form(
    "Android", rf"(?P<m>[0-9]{{2}})-(?P<d>[0-9]{{2}}) {_CLOCK}\.(?P<f>[0-9]{{3,}})", is_first=True
)
_CLF = Form(
    "day, month's name",
    rf"(?:{WEEKDAY_NAME},? )?(?P<d>[0-9]{{1,2}})(?P<s>[-/ ]){_MONTH}"
    rf"(?:(?P=s)(?P<Y>[0-9]{{4}}))?(?:[:]|  ?){_TIME}{_ZONE}",
    after_blank=_OFFSETS,
)
_SYSLOG = Form(
    "syslog",
    rf"{_BEFORE}{_MONTH}  ?(?P<d>[0-9]{{1,2}})  ?{_TIME}{_UTC}(?: (?P<Y>{_YEAR}))?",
    after_blank=_DIGITS + "UG",
    reach=10,
)
# `date` writes the zone between the time and the year; a name other than UTC is the machine's own.
_ASCTIME = Form(
    "asctime",
    rf"{_BEFORE}{WEEKDAY_NAME},? {_MONTH}  ?(?P<d>[0-9]{{1,2}})  ?{_TIME}"
    rf"(?:(?: (?:(?P<z>UTC|GMT|[+-][0-9]{{4}})|[A-Z]{{3,5}}))?{_YEAR_AFTER})?",
    after_blank=_DIGITS + _UPPER + "+-",
    reach=20,
)
_YEAR_BEFORE = Form(
    "month's name, day, year",
    rf"{_BEFORE}(?:{WEEKDAY_NAME},? )?{_MONTH}  ?(?P<d>[0-9]{{1,2}}),? (?P<Y>[0-9]{{4}}),?  ?"
    rf"{_TIME}{_ANY_AM_PM}{_ZONE}",
    after_blank=_OFFSETS + "APap",
)
_ASSP = Form("ASSP", rf"{_MONTH}-(?P<d>[0-9]{{1,2}})-(?P<y>[0-9]{{2}})  ?{_CLOCK}", is_first=True)
_ANGLES = Form(
    "month/day/year@time",
    rf"<(?P<m>[0-9]{{2}})/(?P<d>[0-9]{{2}})/(?P<y>[0-9]{{2}})@{_CLOCK}>",
    is_first=True,
)
_TIME_OF_DAY = Form(
    "time of day", rf"(?P<H>[0-9]{{1,2}}):(?P<M>[0-9]{{2}}):(?P<S>[0-9]{{2}}){_FRACTION}"
)
_TAI64N = Form("TAI64N", r"@(?P<x>4[0-9a-f]{15})(?P<n>[0-9a-f]{8})")
UNIX_TIME = Form("Unix time", r"(?P<e>[0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:\.(?P<f>[0-9]+))?")

_FORMS = {
    "year": (_ISO,),
    "eight": (_BASIC, _BASIC_DATE),
    "six": (_MYSQL, _HDFS),
    "long": (UNIX_TIME, _COMPACT),
    "doubt": (_IN_DOUBT, _DOTTED),
    "cpanel": (_CPANEL,),
    "proxifier": (_PROXIFIER,),
    "android": (_ANDROID,),
    "named": (_CLF,),
    "month": (_SYSLOG, _YEAR_BEFORE, _ASSP),
    "weekday": (_ASCTIME, _YEAR_BEFORE, _CLF),
    "zone": (_SYSLOG, _ASCTIME, _YEAR_BEFORE),
    "angle": (_ANGLES,),
    "tai": (_TAI64N,),
}
"""Forms by how they begin."""

_N2 = "[0-9]{1,2}"
_BEGINNING = re.compile(
    _LEFT + r"(?:(?=[0-9])(?:"
    rf"(?P<year>(?=[0-9]{{4}}[-/.]{_N2}[-/.]{_N2}[Tt ]))"
    rf"|(?P<doubt>(?={_N2}(?P<_>[-/.]){_N2}(?P=_)[0-9]{{2}}(?:[0-9]{{2}})?(?:  ?|, ){_N2}:))"
    rf"|(?P<cpanel>(?={_N2}/{_N2}/[0-9]{{4}}:))"
    rf"|(?P<named>(?={_N2}[-/ ]{MONTH_NAME}[-/ :]))"
    r"|(?P<eight>(?=[0-9]{8}[Tt -] ?[0-9]{1,2}))"
    r"|(?P<six>(?=[0-9]{6}  ?[0-9]))"
    r"|(?P<long>(?=[0-9]{10}))"
    r"|(?P<android>(?=[0-9]{2}-[0-9]{2} [0-9]))"
    rf"|(?P<proxifier>(?={_N2}\.{_N2} [0-9])))"
    rf"|(?P<month>(?={MONTH_NAME}[ -]))"
    rf"|(?P<weekday>(?={WEEKDAY_NAME},? ))"
    r"|(?P<zone>(?=(?:UTC|GMT|[+-][0-9]{2}:?[0-9]{2}) [A-Za-z]{3}))"
    r"|(?P<tai>(?=@4[0-9a-f]))|(?P<angle>(?=<[0-9]{2}/)))",
    re.ASCII,
)

# What every form contains: lines without it are done in a tenth of the time.
_ANY_SIGN = re.compile("[0-9@](?:[0-9]{5}|:[0-9]|4[0-9a-f]{22})")

# Where a bare number is a time: after a key that says so, and in an audit record.
_KEY_BEFORE = re.compile(
    r"(?:(?<![0-9A-Za-z_.-])(?:@?timestamp|ts|time|epoch|date|datetime|event_?time|unix_?time)"
    r"[\"']?[ ]?[=:][ ]?[\"']?|(?<![A-Za-z])audit\()\Z",
    re.ASCII | re.IGNORECASE,
)
_KEY_LENGTH = 24
_AFTER_EPOCH = re.compile(r"(?![-./][0-9])")
_TIME_OF_DAY_FIRST = re.compile(r"[^0-9A-Za-z_]{0,2}(?=[0-9]{1,2}:[0-9]{2}:)", re.ASCII)
_FIRST_BRACKETS = 2

_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]*))?(?:[eE]\+?([0-9]{1,2}))?", re.ASCII)
_WRAPPED = re.compile(r"\[([^\[\]]*)\]|\"([^\"]*)\"")
_NAMED_ZONE = re.compile(r"(?<=[0-9]) (?!UTC|GMT|[AP]M)[A-Z]{3,5}\Z", re.ASCII)

# Digits of a Unix time whose first unit is a second, by magnitude: from 1973 to the last year.
_FIRST_MOMENT = 100_000_000
_UNITS = (0, 3, 6, 9)
_SECONDS_DIGITS = range(9, 11)

# Digits of a fraction that can make a difference to a float.
EXACT = 20

# TAI64 counts from 2^62, and its writers (multilog, svlogd) set it ten seconds ahead of Unix time.
_TAI64_BASE = 2**62 + 10


# For asking whether there is such a date at all.
_ANYWHERE = Instants(UTC)


class Found(NamedTuple):
    """
    A timestamp in a line.

    Attributes:
        fields: What it says; for a count of seconds, ``time`` instead.
        time: Unix seconds, if it counts them.
        match: Where it stands; its groups are named after strptime's directives.
        form: How it is spelled.
        is_first_candidate: Nothing before it looks like a timestamp.
    """

    fields: Fields | None
    time: float | None
    match: re.Match[str]
    form: Form
    is_first_candidate: bool

    def stamp(self, instants: Instants, reference: float) -> Stamp | None:
        """Find the moment it means, or None if there is none."""
        if self.fields is None:
            return None if self.time is None else Stamp(self.time, None)
        return instants.stamp(self.fields, reference)


class InDoubtError(Exception):
    """Day and month, or day and year, may be exchanged."""


def candidates(text: str) -> Iterator[Found]:
    """
    Yield what may be timestamps, by place; at one place the longest first.

    Raises:
        InDoubtError: When the next one can be read in several ways.
    """
    if _ANY_SIGN.search(text, 0, _SEARCHED_TO_END) is None:
        return
    is_first_candidate = True
    for beginning in _BEGINNING.finditer(text, 0, _SEARCHED_TO_END):
        start = beginning.start()
        if start > SEARCHED:
            break
        here = []
        for form in _FORMS[beginning.lastgroup or ""]:
            match = form.pattern.match(text, start, _SEARCHED_TO_END)
            if match is not None and _may_stand(form, match):
                here.append((match, form))
        here.sort(key=_length, reverse=True)
        for match, form in here:
            yield _found(match, form, is_first_candidate=is_first_candidate)
        is_first_candidate = False
    # A bare time of day is the last resort: elsewhere in the line there may be a date as well.
    first = _TIME_OF_DAY_FIRST.match(text)
    match = first and _TIME_OF_DAY.pattern.match(text, first.end(), _SEARCHED_TO_END)
    if match:
        yield _found(match, _TIME_OF_DAY, is_first_candidate=False)


def whole(text: str) -> Iterator[Found]:
    """
    Yield what a text may mean that is a timestamp and nothing else.

    Raises:
        InDoubtError: When it can be read in several ways.
    """
    beginning = _BEGINNING.match(text)
    forms = () if beginning is None else _FORMS[beginning.lastgroup or ""]
    for form in (*forms, _TIME_OF_DAY):
        match = form.pattern.fullmatch(text)
        if match is not None:
            yield _found(match, form, is_first_candidate=True)


def bare(text: str) -> str:
    """Take from a field's value what only surrounds a timestamp: blanks, brackets, a zone."""
    text = text.strip()
    wrapped = _WRAPPED.fullmatch(text)
    if wrapped is not None:
        text = (wrapped[1] or wrapped[2] or "").strip()
    return _NAMED_ZONE.sub("", text)


def number(text: str) -> float | None:
    """
    Read a count of seconds, milliseconds, microseconds or nanoseconds since 1970.

    Returns:
        Unix seconds, or None if it is none of them within the years that timestamps may have.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if len(match[1]) == 10 and match[3] is None and text[0] != "0":  # noqa: PLR2004
        time = float(text[:EXACT])
        return time if time < LAST_MOMENT else None
    whole_part, fraction, exponent = match[1], match[2] or "", int(match[3] or 0)
    if exponent:
        fraction = fraction.ljust(exponent, "0")
        whole_part, fraction = whole_part + fraction[:exponent], fraction[exponent:]
    return _seconds(whole_part.lstrip("0"), fraction)


def is_ambiguous(text: str) -> bool:
    """
    Tell whether the timestamp in a line can be read in several ways.

    Args:
        text: A line, or the value of a field.

    Returns:
        True if somebody has to say how it is written (``timestamp_format``).
    """
    try:
        for found in candidates(text):
            if found.stamp(_ANYWHERE, LAST_MOMENT) is not None:
                return False
    except InDoubtError:
        return True
    return False


def _length(place: tuple[re.Match[str], Form]) -> int:
    return place[0].end()


def _may_stand(form: Form, match: re.Match[str]) -> bool:
    """Tell whether a form counts where it was found."""
    start = match.start()
    before = match.string[max(start - _KEY_LENGTH, 0) : start]
    is_first = start <= _FIRST_BRACKETS and not any(map(str.isalnum, before))
    if form is UNIX_TIME or form is _COMPACT:
        if before.endswith("[") and match.string.startswith("]", match.end()):
            return True
        is_time = is_first or _KEY_BEFORE.search(before) is not None
        return is_time and _AFTER_EPOCH.match(match.string, match.end()) is not None
    return is_first or not form.is_first


def _found(match: re.Match[str], form: Form, *, is_first_candidate: bool) -> Found:
    fields, time = None, None
    if form is UNIX_TIME:
        time = _seconds(match["e"], match["f"] or "")
    elif form is _TAI64N:
        time = _tai64n(match)
    else:
        fields = fields_of(match.groupdict())
    return Found(fields, time, match, form, is_first_candidate)


def fields_of(said: dict[str, str | None]) -> Fields | None:
    """
    Turn the groups of a form into numbers.

    Args:
        said: Text by directive of strptime, and ``i``, ``j``, ``k`` for numbers whose meaning is
            to be found out; ``z``, ``u``, ``t`` and ``l`` are places where a zone may stand.

    Returns:
        The fields, or None if the zone is not one.

    Raises:
        InDoubtError: When the numbers can be read in several ways.
    """
    get = said.get
    zone = get("z") or get("u") or get("t") or get("l")
    offset = None
    if zone is not None:
        offset = _offset(zone)
        if offset is None:
            return None
    hour = int(get("H") or 0)
    half = get("p")
    if half is not None and 1 <= hour <= 12:  # noqa: PLR2004 - beyond, the hour says it itself
        hour = hour % 12 + (12 if half in "Pp" else 0)
    month, name, day = get("m"), get("b"), get("d")
    date = (
        year_of(get("Y") or get("y")),
        int(month) if month else _MONTHS.index(name[:3].lower()) + 1 if name else None,
        int(day) if day else None,
    )
    first, fraction = get("i"), get("f")
    return Fields(
        *(date if first is None else _date_in_doubt(first, get("j") or "", get("k"))),
        hour=hour,
        minute=int(get("M") or 0),
        second=int(get("S") or 0),
        fraction=float("." + fraction[:EXACT]) if fraction else 0.0,
        offset=offset,
    )


def year_of(said: str | None) -> int | None:
    """Read a year of four digits, or of two: POSIX puts 69 to 99 into the twentieth century."""
    if said is None:
        return None
    year = int(said)
    if len(said) > 2:  # noqa: PLR2004
        return year
    return year + (1900 if year >= 69 else 2000)  # noqa: PLR2004


def _date_in_doubt(first: str, second: str, third: str | None) -> tuple[int | None, int, int]:
    """
    Find the only date that three numbers, or a day and a month, can mean.

    Raises:
        InDoubtError: When there are several.
    """
    one, two = int(first), int(second)
    year = year_of(third)
    readings = {(year, one, two), (year, two, one)}
    if third is not None and len(third) == 2 and len(first) == 2:  # noqa: PLR2004
        readings.add((year_of(first), two, int(third)))
    possible = {date for date in readings if 1 <= date[1] <= 12 and 1 <= date[2] <= 31}  # noqa: PLR2004
    if len(possible) > 1:
        raise InDoubtError
    # With none possible, any will do: the calendar refuses it.
    return possible.pop() if possible else (year, one, two)


def _offset(zone: str) -> int | None:
    """Return seconds east of UTC."""
    digits = zone.lstrip("UTCGMZz").replace(":", "")
    if not digits:
        return 0
    hours, minutes = int(digits[1:3]), int(digits[3:] or 0)
    if hours > 14 or minutes > 59:  # noqa: PLR2004 - Kiribati is fourteen hours ahead
        return None
    seconds = hours * 3600 + minutes * 60
    return -seconds if digits[0] == "-" else seconds


def _seconds(digits: str, fraction: str) -> float | None:
    """Read a Unix time whose unit its magnitude tells."""
    for unit in _UNITS:
        end = len(digits) - unit
        if end in _SECONDS_DIGITS and _FIRST_MOMENT <= int(digits[:end]) < LAST_MOMENT:
            return float(f"{digits[:end]}.{digits[end:]}{fraction[:EXACT]}")
    return None


def _tai64n(match: re.Match[str]) -> float | None:
    seconds, nanoseconds = int(match["x"], 16) - _TAI64_BASE, int(match["n"], 16)
    if not 0 <= seconds < LAST_MOMENT or nanoseconds >= 1_000_000_000:  # noqa: PLR2004
        return None
    return float(f"{seconds}.{nanoseconds:09}")
