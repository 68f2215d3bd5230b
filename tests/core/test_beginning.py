"""From when on something has been watched: the time of the first line that has one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from core.examples import rule

from alertd.core.beginning import FIRST_LINES, first_time
from alertd.core.events import Batch
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.rules import Source

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def looked_at(*lines: str, offset: int = 0, **changes: Any) -> float | None:
    """Look for the first time in some lines."""
    source = Source("app", ("/a.log",), UTC, **changes)
    framing = Framing()
    data = "".join(f"{line}\n" for line in lines).encode()
    batch = Batch("1", "app", "/a.log", offset, data, NOON)
    time = first_time(Matcher(source, [rule()]), batch, framing)

    assert Framing() == framing
    return time


def test_it_is_that_of_the_first_line_that_has_one() -> None:
    """The rest of a stack trace comes before it, and says nothing."""
    assert NOON == looked_at("  at x.py", "2026-03-01T12:00:00Z a", "2026-03-01T11:00:00Z b")


def test_it_is_looked_for_in_a_few_lines_only() -> None:
    """A file without times costs no more than that."""
    assert None is looked_at(*["x"] * FIRST_LINES, "2026-03-01T12:00:00Z a")


@pytest.mark.parametrize(("offset", "expected"), [(0, NOON), (10, None)])
def test_the_first_line_of_a_csv_names_its_fields(offset: int, expected: float | None) -> None:
    """But only where the file begins: elsewhere it is known what they are, or it is not."""
    lines = ("when,what", "2026-03-01T12:00:00Z,x")

    assert expected == looked_at(*lines, offset=offset, format="csv", timestamp="when")
