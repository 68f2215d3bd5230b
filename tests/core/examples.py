"""Rules and matches that the core's tests are made of."""

from __future__ import annotations

from typing import Any

from alertd.core.events import Match
from alertd.core.rules import Pattern, Rule

MINUTE = 60.0


def rule(name: str = "fatal", **changes: Any) -> Rule:
    """Make a rule that fires on the third event within a minute and then rests for ten."""
    settings: dict[str, Any] = {
        "name": name,
        "sources": ("app",),
        "match": (Pattern("Fatal"),),
        "more_than": 2,
        "within": MINUTE,
        "cooldown": 10 * MINUTE,
        "recipients": ("ops@example.com",),
    }
    return Rule(**{**settings, **changes})


def match(time: float, key: tuple[str, ...] = (), **changes: Any) -> Match:
    """Make a match at a time."""
    settings: dict[str, Any] = {
        "rule": "fatal",
        "key": key,
        "time": time,
        "path": "/var/log/app.log",
        "offset": round(time * 1000),
        "line": f"Fatal at {time}",
    }
    return Match(**{**settings, **changes})
