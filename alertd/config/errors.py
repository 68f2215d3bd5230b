"""
How a configuration is refused: where, what, and what to do about it.

Every text here ends on somebody's terminal while they fix a file, so values are shown as they
would be written in TOML, shortened, and with nothing in them that a terminal obeys.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alertd.core.escape import quoted, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN = 120


class ConfigError(Exception):
    """
    A configuration that alertd does not start with.

    Attributes:
        errors: All that is wrong, one line each: ``FILE: place: what; remedy``.
        exit_code: The sysexits code that says why: 78 invalid, 66 missing, 77 not readable.
    """

    def __init__(self, errors: Sequence[str], *, exit_code: int = os.EX_CONFIG) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that is wrong.

    Attributes:
        place: The path of keys to it: ``("rule", "ssh", "match")``; empty for the file itself.
        text: What is wrong, and the remedy.
    """

    place: tuple[str, ...]
    text: str


class RefusedError(ValueError):
    """
    A value in which several things are wrong at once.

    Attributes:
        findings: Their places are relative to the value.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(finding.text for finding in self.findings))


@dataclass(slots=True)
class Report:
    """
    What was found so far.

    Attributes:
        errors: What alertd does not start with.
        warnings: What it starts with, although it is probably not meant.
    """

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def refuse(self, place: tuple[str, ...], text: str) -> None:
        """Add an error."""
        self.errors.append(Finding(place, text))

    def warn(self, place: tuple[str, ...], text: str) -> None:
        """Add a warning."""
        self.warnings.append(Finding(place, text))


def show(value: object) -> str:
    """Write a value as TOML would, on one line and not too long."""
    match value:
        case str():
            shown = quoted(value[:_SHOWN])
            return f"{shown[:-1]}…{shown[-1]}" if len(value) > _SHOWN else shown
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table" if value else "an empty table"
        case list() | tuple():
            items = (show(item) if not isinstance(item, list) else "[…]" for item in value[:_SHOWN])
            return _shorten(f"[{', '.join(items)}]")
        case int() if value.bit_length() > _SHOWN * 3:
            return "a huge number"
        case _:
            return _shorten(visible(str(value)))


def show_regex(regex: str) -> str:
    """Write a regex as one should in TOML: in single quotes, where a backslash is one."""
    return f"'{_shorten(visible(regex))}'"


def reason_of(error: Exception) -> str:
    """Say in the system's words why something failed, without the path in them."""
    known = error.strerror if isinstance(error, OSError) else None
    return (known or str(error)).lower()


def closest(name: str, known: Iterable[str]) -> str | None:
    """Find what was probably meant by ``name``, whatever its case, among what is ``known``."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a wrong file needs it

    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name[:64].lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """
    Ask for what was probably meant.

    Returns:
        ``; did you mean "more_than"?``, or nothing when nothing known is like it.
    """
    close = closest(name, known)
    return f"; did you mean {show(close)}?" if close else ""


def _shorten(text: str) -> str:
    return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
