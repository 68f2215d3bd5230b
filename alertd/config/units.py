"""
Lengths of time and amounts of memory, as people write them.

A bare number is refused for a length of time: ``within = 5`` is five of what?
"""

# All that is wrong with a value is a ValueError, which is what `tables` collects.
# ruff: noqa: TRY004

from __future__ import annotations

import re

from alertd.config.errors import show

_MICROSECONDS = {
    "w": 604_800_000_000,
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
}
_BYTES = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "k": 2**10,
    "m": 2**20,
    "g": 2**30,
    "t": 2**40,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_PART = re.compile(rf"({_NUMBER})(ms|[wdhms])")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|[wdhms]) ?)+")
_WORDS = re.compile(rf"({_NUMBER})\s*(milli|w|d|h|m|s)[a-z]*", re.IGNORECASE)
_SIZE = re.compile(rf"({_NUMBER}) ?([a-z]*)", re.IGNORECASE)
# Ten years: beyond it nobody means it, and times would lose their microseconds.
_LONGEST = 315_360_000.0
DAY = 86_400.0
MOST_DAYS = 31


def duration(value: object) -> float:
    """
    Read a length of time such as ``"90s"``, ``"1h30m"`` or ``"500ms"``.

    Returns:
        Seconds; 0 is possible.

    Raises:
        ValueError: It is none; the text says what to write.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = f"{value:g}" if abs(value) < _LONGEST else "10"
        raise ValueError(f'{show(value)} has no unit; write "{number.lstrip("-")}s" or "10m"')
    if not isinstance(value, str):
        raise ValueError(f'expected a length of time, got {show(value)}; write it like "10m"')
    text = value.strip()
    if text.startswith("-"):
        raise ValueError(f'{show(value)} is negative; write a length of time like "10m"')
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{show(value)} is not a length of time; {_meant(text)}")
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    if sorted(set(units), key=list(_MICROSECONDS).index) != units:
        raise ValueError(
            f"{show(value)} is not a length of time; "
            'write each unit once, the longest first: "1h30m"'
        )
    seconds = sum(round(float(number) * _MICROSECONDS[unit]) for number, unit in parts) / 1e6
    if seconds > _LONGEST:
        raise ValueError(f'{show(value)} is longer than ten years; write at most "3650d"')
    return seconds


def positive_duration(value: object) -> float:
    """Read a length of time as ``duration`` does, and refuse none at all."""
    seconds = duration(value)
    if seconds == 0:
        raise ValueError(f'{show(value)} is no time at all; write a length of time like "10m"')
    return seconds


def days(value: object) -> int:
    """
    Read a length of time as ``duration`` does, and refuse what is no number of whole days.

    Returns:
        Days, from 1 to 31.
    """
    number, rest = divmod(duration(value), DAY)
    if rest or not 1 <= number <= MOST_DAYS:
        raise ValueError(
            f'{show(value)} is not a number of whole days from "1d" to "{MOST_DAYS}d"; '
            'write it like "7d"'
        )
    return int(number)


def size(value: object) -> int:
    """
    Read an amount of memory such as ``"512MiB"``, ``"1GiB"`` or a number of bytes.

    Raises:
        ValueError: It is none; the text says what to write.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (
        isinstance(value, str)
        and (found := _SIZE.fullmatch(value.strip()))
        and (unit := found[2].lower()) in _BYTES
    ):
        number = int(float(found[1]) * _BYTES[unit])
    else:
        raise ValueError(f'{show(value)} is not a size; write it like "512KiB" or "1GiB"')
    if not 0 < number < 2**60:
        raise ValueError(f'{show(value)} is not a possible size; write it like "512KiB" or "1GiB"')
    return number


def spell_size(number: int) -> str:
    """Write a number of bytes for a person: ``1.5 GiB``."""
    for unit in ("GiB", "MiB", "KiB"):
        if number >= _BYTES[unit.lower()]:
            return f"{number / _BYTES[unit.lower()]:.1f}".removesuffix(".0") + f" {unit}"
    return f"{number} bytes"


def _meant(text: str) -> str:
    parts = _WORDS.findall(text)
    if parts and not _WORDS.sub("", text).strip(" ,and"):
        short = "".join(
            number + ("ms" if unit.lower() == "milli" else unit.lower()) for number, unit in parts
        )
        return f'did you mean "{short}"?'
    return 'write numbers with the units ms, s, m, h, d, w, like "90s" or "1h30m"'
