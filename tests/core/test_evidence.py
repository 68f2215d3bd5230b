"""Evidence is the first line of a window and the last few, each cut to a bearable length."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from core.examples import match

from alertd.core.evidence import LAST_LINES, LINE_CHARS, Evidence, shortened

if TYPE_CHECKING:
    from alertd.core.events import Match


def test_evidence_keeps_the_first_line_and_the_last_ones() -> None:
    """How it began and where it stands; not the hundred lines between."""
    evidence = Evidence()
    for time in range(10):
        evidence.add(match(time), span=60)

    assert [0, *range(10 - LAST_LINES, 10)] == [sample.time for sample in evidence.samples()]


def test_a_first_line_that_left_the_window_is_not_shown_as_its_first() -> None:
    """The oldest line still known inside the window takes its place."""
    evidence = Evidence()
    for time in (0, 50, 60):
        evidence.add(match(time), span=60)

    assert [50, 60] == [sample.time for sample in evidence.samples()]


def test_a_lonely_line_stays_however_old() -> None:
    """The line that has just been counted is always there."""
    evidence = Evidence()
    evidence.add(match(0), span=60)

    assert [0] == [sample.time for sample in evidence.samples()]


def test_a_long_line_is_cut() -> None:
    """A log may hold lines of any length; a mail may not."""
    evidence = Evidence()
    evidence.add(match(0, line="x" * 10_000), span=60)

    assert "x" * (LINE_CHARS - 1) + "…" == evidence.samples()[0].line
    short = match(0, line="short", event_time=5.0)
    assert short is shortened(short)


def test_the_weight_is_that_of_as_many_as_heavy_as_the_heaviest() -> None:
    """It is never less than what is held, whatever comes in which order."""
    evidence = Evidence()
    held = 0
    for number, line in enumerate(["x" * 9, "x" * 50, "x", "\U0001f600" * 499, "x", "x", "x", "x"]):
        held += evidence.add(match(number, ("\U0001f600" * 200,), line=line), span=600)

        assert held == evidence.weight >= sum(map(size, evidence.lines))
    assert evidence.room == 499
    assert held == evidence.clear()
    assert (0, 0, ()) == (evidence.weight, evidence.room, evidence.samples())


def test_evidence_that_was_stored_weighs_at_least_what_it_takes() -> None:
    """And has room for no line that would make it heavier."""
    lines = [match(0, line="x" * 20), match(1, line="\xe9" * 30)]

    again = Evidence(lines)

    assert again.weight >= sum(map(size, lines))
    assert again.room == 20


def size(one: Match) -> int:
    """Measure what a match alone holds."""
    parts = (one, one.key, *one.key, one.line, one.time, one.offset)
    return sum(map(sys.getsizeof, parts))
