"""
Single values: each function takes what TOML or the environment gave and returns what is meant.

They refuse by ``ValueError``, whose text is shown to a person after the key's name.  Nothing is
converted silently: ``port = "25"`` is refused, because a file in which that passes will one day
hold ``"2S"``.  Only the environment, where everything is text, has its text read.
"""

# All that is wrong with a value is a ValueError, which is what `tables` collects.
# ruff: noqa: TRY004

from __future__ import annotations

import codecs
import math
import posixpath
import re
import warnings
from typing import TYPE_CHECKING, TypeVar

from alertd.config.errors import show, show_regex, suggestion
from alertd.config.units import size
from alertd.core.escape import visible
from alertd.core.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import time, tzinfo

Word = TypeVar("Word", bound=str)

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ATOM = r"[^\s\x00-\x20\x7f-\x9f@<>()\[\],;:\"\\]"
_ADDRESS = re.compile(rf"{_ATOM}{{1,64}}@(?!\.)(?:{_ATOM}(?!\.\.)){{1,253}}(?<!\.)")
_NAMED_ADDRESS = re.compile(r"(?P<name>[^<>@\x00-\x1f\x7f-\x9f\u2028\u2029]*)<(?P<address>[^<>]+)>")
_HOST = re.compile(r"[^\s/@\x00-\x20\x7f-\x9f\"'<>,;]+")
_LONGEST_HOST = 253
_PERCENT = 100
MOST_TIMES = 1_000_000
_SHORTEST_LINE, _LONGEST_LINE = 2**10, 2**20
# Codecs that Python calls text encodings although no log is written in them.
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "mbcs", "oem"}
)
_REGEX_REMEDIES = (
    ("character set", r"write \[ for the character [ itself"),
    ("nested set", r"write \[ for the character [ itself; Python has no [:classes:]"),
    ("subpattern", r"write \( for the character ( itself"),
    ("parenthesis", r"write \) for the character ) itself"),
    ("repeat", r"write \* for the character * itself"),
    ("escape", r"write \\ for the character \ itself"),
    ("look-behind", "give every alternative in (?<=…) the same length"),
)


class EnvironmentText(str):
    """Text from the environment, which stands for a value of any type."""

    __slots__ = ()


def text(value: object) -> str:
    """Read text that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {show(value)}; write it in quotes")
    if not value.strip():
        raise ValueError(f"{show(value)} is empty; write a text")
    return str(value)


def any_text(value: object) -> str:
    """Read text that may be empty."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {show(value)}; write it in quotes")
    return str(value).strip()


def secret(value: object) -> str:
    """Read a password.  It is never shown, not even to say what is wrong with it."""
    if not isinstance(value, str):
        raise ValueError("is not text; write it in quotes")
    if not value:
        raise ValueError("is empty; write the password there")
    if any(character in value for character in "\r\n\0"):
        raise ValueError("holds more than one line; write only the password there")
    return str(value)


def flag(value: object) -> bool:
    """Read ``true`` or ``false``."""
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {show(value)}; write it without quotes")
    return value


def choice(*known: Word) -> Callable[[object], Word]:
    """Make a reader for one of the ``known`` words."""
    listed = ", ".join(f'"{word}"' for word in known)

    def read(value: object) -> Word:
        for word in known:
            if value == word:
                return word
        close = suggestion(value, known) if isinstance(value, str) else ""
        raise ValueError(f"{show(value)} is none of {listed}{close or '; choose one of them'}")

    return read


def whole(least: int, most: int, *, example: int, remedy: str = "") -> Callable[[object], int]:
    """
    Make a reader for whole numbers.

    Args:
        least: The smallest that is accepted.
        most: The greatest that is accepted.
        example: One that makes sense, for the remedy.
        remedy: What to do about one that is too small or too great.
    """

    def read(value: object) -> int:
        number: object = value
        if isinstance(value, EnvironmentText) and re.fullmatch(r"-?[0-9]{1,18}", value.strip()):
            number = int(value)
        if isinstance(number, bool) or not isinstance(number, int):
            digits = isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value)
            what = f"write {value} without quotes" if digits else f"write a number like {example}"
            raise ValueError(
                f"expected a whole number from {least:,} to {most:,}, got {show(value)}; {what}"
            )
        if not least <= number <= most:
            raise ValueError(
                f"{show(number)} is not between {least:,} and {most:,}; "
                + (remedy or f"write a number like {example}")
            )
        return number

    return read


def given(value: object) -> object:
    """Take a value whose meaning depends on other keys; who knows them reads it."""
    return value


def number(value: object) -> float:
    """Read a number; what would equal its neighbours in double precision is refused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {show(value)}; write it like 1500")
    return comparable(value, remedy="write a number like 1500")


def comparable(value: float, *, remedy: str) -> float:
    """Refuse what would equal its neighbours: numbers are compared in double precision."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number != value:
        raise ValueError(f"{show(value)} cannot be compared exactly; {remedy}")
    return number


def percent(value: object) -> tuple[int, int]:
    """
    Read a share of less than all, such as ``"5%"`` or ``"0.25%"``; the sign may be left out.

    Returns:
        A numerator and a denominator, exactly what is written.
    """
    if not isinstance(value, str):
        is_share = isinstance(value, int | float) and 0 <= value < _PERCENT
        example = f"{value}%" if is_share and not isinstance(value, bool) else "5%"
        raise ValueError(f'expected a share as text, got {show(value)}; write it like "{example}"')
    found = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,9}))? ?%?", value.strip(), re.ASCII)
    if not found:
        raise ValueError(f'{show(value)} is not a share; write it like "5%" or "0.25%"')
    decimals = found[2] or ""
    part, whole = int(found[1] + decimals), _PERCENT * 10 ** len(decimals)
    if part >= whole:
        raise ValueError(
            f"{show(value)} is not below 100%, and no share is more than all; "
            'write it like "5%" or "0.25%"'
        )
    return part, whole


def multiple(value: object) -> tuple[int, int]:
    """
    Read how many times as much is not yet too much, such as ``3`` or ``2.5``.

    Returns:
        A numerator and a denominator, exactly what is written.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {show(value)}; write it like 3 or 2.5")
    if 0 <= value < 1:
        raise ValueError(
            f"{show(value)} times as much is less, and this kind looks for more; write it like 3 "
            'or 2.5, or use kind = "absence", or "metric" with less_than'
        )
    if not 1 <= value <= MOST_TIMES:
        raise ValueError(
            f"{show(value)} is not between 1 and {MOST_TIMES:,}; write it like 3 or 2.5"
        )
    from decimal import Decimal  # noqa: PLC0415 - for this kind only

    # What was written, not the double next to it: 1.1 is eleven tenths.
    return Decimal(repr(value)).as_integer_ratio()


def many(read: Callable[[object], str], example: str) -> Callable[[object], tuple[str, ...]]:
    """
    Make a reader for a list of what ``read`` accepts; one alone may stand without brackets.

    Args:
        read: Reads one item.
        example: An item, for the remedy.
    """

    def read_all(value: object) -> tuple[str, ...]:
        items: object = value
        if isinstance(value, EnvironmentText):
            items = _split(value)
        elif isinstance(value, str):
            items = [value]
        if not isinstance(items, list):
            raise ValueError(
                f"expected text or a list of texts, got {show(value)}; write [{show(example)}]"
            )
        if not items:
            raise ValueError(f"[] is empty; write at least one, like [{show(example)}]")
        return tuple(dict.fromkeys(read(item) for item in items))

    return read_all


def name(value: str) -> str | None:
    """Say why ``value`` cannot name a rule or source, or return None."""
    if _NAME.fullmatch(value):
        return None
    return (
        f"{show(value)} cannot be a name; use 1 to 64 of the letters a to z, digits, "
        '"-", "_" and "."'
    )


def address(value: object) -> str:
    """Read a bare mail address."""
    what = text(value)
    if _ADDRESS.fullmatch(what) and what.isprintable():
        return what
    named = _NAMED_ADDRESS.fullmatch(what)
    if named and _ADDRESS.fullmatch(named["address"]) and what.isprintable():
        raise ValueError(f'{show(what)} has a name; write only "{named["address"]}"')
    raise ValueError(f'{show(what)} is not a mail address; write it like "ops@example.com"')


def sender(value: object) -> str:
    """Read a mail address that may have a name: ``alertd <alerts@example.com>``."""
    what = text(value).strip()
    named = _NAMED_ADDRESS.fullmatch(what)
    if _ADDRESS.fullmatch(named["address"] if named else what) and what.isprintable():
        return what
    raise ValueError(
        f'{show(what)} is not a mail address; write it like "alertd <alerts@example.com>"'
    )


def host(value: object) -> str:
    """Read a server's name or address.  What may hold a password is not shown."""
    what = text(value).strip()
    if "@" in what or "/" in what:
        raise ValueError("is not a bare name; write it without scheme, user and path")
    server, colon, port = what.rpartition(":")
    if colon and ":" not in server and port.isdigit():
        raise ValueError(
            f"{show(what)} has a port; write host = {show(server)} and port = {port[:5]}"
        )
    what = what.removeprefix("[").removesuffix("]")
    if not _HOST.fullmatch(what) or not what.isprintable() or len(what) > _LONGEST_HOST:
        raise ValueError(f'{show(what)} is not a server name; write it like "smtp.example.com"')
    return what


def absolute(value: object) -> str:
    """
    Read an absolute path or glob.

    What is relative to the directory in which alertd happens to be started is one thing in a
    shell and another under systemd.
    """
    what = text(value)
    if "\0" in what:
        raise ValueError(f"{show(what)} holds a NUL, which no path can; remove it")
    if not what.startswith("/"):
        raise ValueError(f'{show(what)} is not an absolute path; write it from "/" on')
    if ".." in what.split("/"):
        raise ValueError(f"{show(what)} holds ..; write {show(posixpath.normpath(what))}")
    return "/" + what.lstrip("/")


def password_file(value: object) -> str:
    """Read the absolute path of a file; the password itself, put there by mistake, is not shown."""
    if isinstance(value, str) and not value.startswith("/"):
        raise ValueError(
            'is not an absolute path; write password_file = "/etc/alertd/smtp-password", and the '
            "password into that file"
        )
    return absolute(value)


def glob(value: object) -> str:
    """Read an absolute glob of files."""
    if isinstance(value, str) and value and "/" not in value:
        raise ValueError(
            f"{show(value)} is not an absolute path; write it like {show('/var/log/' + value)}"
        )
    what = absolute(value)
    if what.endswith("/"):
        raise ValueError(f"{show(what)} is a directory; write {show(what + '*')} for its files")
    return what


def delimiter(value: object) -> str:
    """Read the one character between the fields of a csv record."""
    if isinstance(value, str) and value.lower() in {"tab", "\\t"}:
        raise ValueError(rf'{show(value)} is not one character; write "\t" in double quotes')
    if isinstance(value, str) and len(value) == 1 and value.isascii() and value not in '"\r\n\0':
        return value
    raise ValueError(f'expected one ASCII character, got {show(value)}; write it like ";"')


def columns(value: object) -> tuple[str, ...]:
    """Read the names of a csv's fields, each of them once."""
    if not isinstance(value, list) or not value:
        raise ValueError(
            f'expected a list of names, got {show(value)}; write it like ["date", "severity"]'
        )
    names = [text(item) for item in value]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"{show(twice)} stands there twice; give every column a name of its own")
    return tuple(names)


def line_size(value: object) -> int:
    """Read the number of bytes of a line that are looked at."""
    number = size(value)
    if not _SHORTEST_LINE <= number <= _LONGEST_LINE:
        raise ValueError(
            f'{show(value)} is not between 1 KiB and 1 MiB; write it like "64KiB": the rest of a '
            "longer line is skipped"
        )
    return number


def memory_max(value: object) -> int | float:
    """
    Read an amount of memory.

    Returns:
        Bytes as an ``int``, or a part of the machine's memory as a ``float``.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        percent = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%", value.strip())
        if percent and 0 < float(percent[1]) <= 100:  # noqa: PLR2004 - per cent
            return float(percent[1]) / 100
        raise ValueError(f'{show(value)} is not between 0% and 100%; write it like "50%"')
    return size(value)


def encoding(value: object) -> str:
    """
    Read the name of an encoding in which a newline is the byte 0x0A and ASCII is ASCII.

    Returns:
        The codec's own name: ``utf-8``, ``cp1252``.
    """
    what = text(value)
    codec = _codec(what)
    if codec is None:
        raise ValueError(
            f'{show(what)} is not an encoding; write "utf-8", or another name that Python knows'
        )
    every_ascii = bytes(range(128))
    try:
        is_ascii = every_ascii.decode(codec) == every_ascii.decode("ascii")
    except UnicodeError:
        is_ascii = False
    # Such an encoding says between the lines' bytes what the next ones mean.
    is_ascii = is_ascii and not codec.startswith("iso2022")
    if not is_ascii or "\n".encode(codec.removesuffix("-sig")) != b"\n":
        raise ValueError(
            f"{show(what)} cannot be followed line by line, because its line ends or letters are "
            f"not single ASCII bytes; have the file converted: iconv -f {visible(what)} -t UTF-8"
        )
    return codec.removesuffix("-sig")


def _codec(name: str) -> str | None:
    """Look up an encoding in which files are written."""
    try:
        codec = codecs.lookup(name).name.replace("_", "-")
        # What Python calls a codec may also be a compression, or nothing at all.
        "text".encode(codec)
    except (LookupError, ValueError, ImportError):
        return None
    return None if codec in _NO_CHARSETS else codec


def timezone(value: object) -> tzinfo:
    """Read the name of a time zone, as the IANA database writes it."""
    import zoneinfo  # noqa: PLC0415 - only where a zone is named
    from datetime import UTC  # noqa: PLC0415

    what = text(value)
    if what == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(what)
    except (KeyError, ValueError, OSError):
        known = zoneinfo.available_timezones()
    if not known:
        raise ValueError(f"{show(what)}: there are no time zones; install the package tzdata")
    close = suggestion(what, known) or '; write it like "Europe/Berlin" or "UTC"'
    raise ValueError(f"{show(what)} is not a time zone{close}")


def time_of_day(value: object) -> time:
    """Read a time of day, as text or as TOML has it: ``"02:30"``, ``02:30:00``."""
    from datetime import time  # noqa: PLC0415 - only where there is one

    shown = value.isoformat() if isinstance(value, time) else text(value)
    parts = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", shown, re.ASCII)
    if parts is None:
        raise ValueError(f'{show(value)} is not a time of day; write it like "02:30"')
    hour, minute, second = (int(part or 0) for part in parts.groups())
    return time(hour, minute, second)


def keys(value: object) -> tuple[tuple[str, ...], ...]:
    """Read the values of the fields of groups: a text for each, or a list for several fields."""
    example = '["db1", "db2"], or [["db1", "backup"], ["db2", "backup"]] for two fields'
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of texts, got {show(value)}; write it like {example}")
    read = []
    for item in value:
        key = item if isinstance(item, list) else [item]
        if not key or not all(isinstance(each, str) for each in key):
            raise ValueError(f"expected text, got {show(item)}; write it like {example}")
        read.append(tuple(key))
    return tuple(dict.fromkeys(read))


def timestamp_format(value: object) -> str:
    """Read a strptime format."""
    from alertd.core.timestamps import check_format  # noqa: PLC0415 - rarely used

    what = text(value)
    why = check_format(what)
    if why:
        raise ValueError(f'{show(what)}: {why}; write it like "%Y-%m-%d %H:%M:%S"')
    return what


def regex(value: object) -> str:
    """Read a regex in Python's dialect that is not empty."""
    if not isinstance(value, str):
        raise ValueError(f"expected a regex, got {show(value)}; write it in single quotes")
    if not value:
        raise ValueError("\"\" matches every line; write '.*' if that is meant")
    with warnings.catch_warnings():
        # Python is about to read such a pattern in another way: what is meant is in doubt.
        warnings.simplefilter("error")
        try:
            re.compile(value)
            # It is compiled now; remember that for those who need it next.
            compiled(value)
        except re.error as error:
            place = "" if error.pos is None else f" at position {error.pos}"
            reason = f"{error.msg}{place}"
        except Warning as warning:
            reason = str(warning).lower()
        except (RecursionError, OverflowError, MemoryError):
            reason = "it is nested too deeply or repeats too often"
        else:
            return value
    remedy = next(
        (remedy for word, remedy in _REGEX_REMEDIES if word in reason), "write it as Python does"
    )
    raise ValueError(f"{show_regex(value)} is not a regex: {reason}; {remedy}")


def _split(value: EnvironmentText) -> Iterable[object]:
    if value.lstrip().startswith("["):
        import json  # noqa: PLC0415 - hardly ever needed

        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f'{show(value)} is not a JSON list; write ["a", "b"] or a,b') from None
        return list(items)
    return [item.strip() for item in value.split(",")]
