"""
How a configuration is refused: where, what, and what to do about it.

Every text here ends on somebody's terminal while they fix a file, so values are shown as they
would be written in TOML, shortened, and with nothing in them that a terminal obeys.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from alertd.core.sentences import quoted, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SHOWN = 60


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


def suggestion(name: str, known: Iterable[str], quote: str = '"') -> str:
    """
    Ask for what was probably meant.

    Args:
        name: What was written; its case does not matter.
        known: What could have been written.
        quote: Around the suggestion.

    Returns:
        ``; did you mean "more_than"?``, or nothing when nothing known is like it.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name[:64].lower(), by_lower, n=1)
    return f"; did you mean {quote}{by_lower[close[0]]}{quote}?" if close else ""


def _shorten(text: str) -> str:
    return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text
