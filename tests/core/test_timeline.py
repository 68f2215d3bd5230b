"""When lines came and when rules rang, in a row of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.examples import match, rule
from hypothesis import given
from hypothesis import strategies as st

from alertd.core import timeline as module
from alertd.core.engine import Engine
from alertd.core.timeline import MOST_SLOTS, Row, Timeline, Watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def drawn(times: Sequence[float], *, begin: float, end: float, width: int = 10) -> Row:
    """Let a rule that rings on the third event within a minute have events; draw its row."""
    timeline = Timeline(["fatal"])
    Watched([rule()], timeline).feed([match(time) for time in times])
    [row] = timeline.rows(begin, end, width)
    return row


def test_time_goes_from_left_to_right_and_what_is_dense_is_dark() -> None:
    """
    The fullest part is the darkest, and a single line is seen.

        0   400 s    1000 s
        |:  =#    :|
    """
    few, many = (310.0, 365.0), (405.0, 436.0, 467.0, 498.0)

    row = drawn([0.0, *few, *many, 999.0], begin=0.0, end=1000.0)

    assert (":  =#    :", 8, 0) == (row.drawn, row.lines, row.alerts)


def test_an_alert_is_marked_where_it_rang() -> None:
    """In the place of the lines there."""
    row = drawn([0.0, 505.0, 506.0, 507.0, 950.0], begin=0.0, end=1000.0)

    assert ("-    !   -", 5, 1) == (row.drawn, row.lines, row.alerts)


def test_each_rule_has_a_row_also_without_lines() -> None:
    """In the order of the configuration."""
    timeline = Timeline(["silent", "fatal"])
    timeline.count([match(1.0)])

    assert [("silent", "    ", 0), ("fatal", "#   ", 1)] == [
        (row.rule, row.drawn, row.lines) for row in timeline.rows(0.0, 5.0, 4)
    ]


def test_what_lies_outside_is_at_the_edge() -> None:
    """Nothing is lost, nothing is out of the picture."""
    row = drawn([0.0, 5000.0], begin=1000.0, end=2000.0)

    assert "#        #" == row.drawn


def test_the_span_holds_everything() -> None:
    """Up to a tick beyond the newest, so that it is never empty."""
    timeline = Timeline(["fatal"])
    assert timeline.span() is None

    timeline.count([])
    assert timeline.span() is None
    timeline.count([match(7.0)])

    assert (7.0, 7.001) == timeline.span()


@given(st.lists(st.floats(0, 1e8), min_size=1, max_size=50), st.integers(1, 80))
def test_lines_are_counted_where_they_are(times: list[float], width: int) -> None:
    """As exactly as a slot is long, of which a character has many; none is lost."""
    timeline = Timeline(["fatal"])
    for time in times:
        timeline.count([match(time)])
    span = timeline.span()
    assert span is not None
    begin, end = span

    columns = timeline.columns("fatal", begin, end, width)

    assert len(times) == sum(columns)
    slot = 2 * (end - begin) / MOST_SLOTS + 0.002
    for column in range(1, width):
        edge = begin + (end - begin) * column / width
        before = sum(columns[:column])
        assert sum(time < edge - slot for time in times) <= before
        assert before <= sum(time < edge + slot for time in times)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots get longer, not more; alerts move with the lines."""
    monkeypatch.setattr(module, "MOST_SLOTS", 8)
    timeline = Timeline(["fatal"])
    watched = Watched([rule(more_than=0, cooldown=0.0)], timeline)
    for time in range(0, 1000, 7):
        watched.feed([match(float(time))])

    [row] = timeline.rows(0.0, 1000.0, 4)

    assert ("!!!!", 143, 143) == (row.drawn, row.lines, row.alerts)
    assert len(timeline._lines["fatal"]) <= 8
    assert len(timeline._alerts["fatal"]) <= 8


def test_watching_changes_no_alert() -> None:
    """The engine is the same."""
    matches = [match(float(time)) for time in (0, 1, 2, 700, 701, 702)]

    assert Engine([rule()]).feed(matches) == Watched([rule()], Timeline(["fatal"])).feed(matches)
