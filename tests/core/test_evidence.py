"""Evidence is the first line of a window and the last few, each cut to a bearable length."""

from __future__ import annotations

from core.examples import match

from alertd.core.evidence import LAST_LINES, LINE_CHARS, Evidence, shortened


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


def test_the_weight_is_known_without_measuring_it_again() -> None:
    """It grows with the first lines; those that take their place are taken to be as long."""
    evidence = Evidence()
    held = sum(evidence.add(match(time * 7, line="x" * 9), span=600) for time in range(50))

    assert held == evidence.weight == Evidence(evidence.lines).weight
    assert held == evidence.clear()
    assert (0, ()) == (evidence.weight, evidence.samples())
