"""A window knows whether there were more than so many within so long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alertd.core.windows import Window

DURATIONS = st.integers(1, 100_000_000).map(lambda micros: micros / 1_000_000)
TODAY = 1_795_478_400


def test_window_is_full_with_one_event_more_than_its_limit() -> None:
    """
    ``more_than = 2`` holds on the third event, not before.

        0s   20s  40s
        x----x----x
        (---------]   → more than 2
    """
    window = Window(limit=2, span=60)

    assert [False, False, True] == [window.add(time) for time in (0, 20, 40)]


def test_window_forgets_an_event_exactly_one_span_old() -> None:
    """
    A window is open at its old end: two events exactly one span apart never share it.

        0s          60s
        x-----------x
         (----------]   → 1
    """
    window = Window(limit=1, span=60)
    window.add(0)

    assert not window.add(60)
    assert [60] == window.inside(60)


def test_window_spans_the_boundary_of_a_calendar_minute() -> None:
    """Five events before the minute and six after are eleven in a row."""
    window = Window(limit=10, span=60)
    times = [55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65]

    assert [False] * 10 + [True] == [window.add(time) for time in times]


def test_limit_zero_is_exceeded_by_each_event() -> None:
    """``more_than = 0`` asks for every single event."""
    window = Window(limit=0, span=1)

    assert [True, True] == [window.add(time) for time in (0, 1000)]


@given(st.lists(DURATIONS, max_size=30), st.integers(0, 5), DURATIONS)
def test_window_agrees_with_counting_all_events(gaps: list[float], limit: int, span: float) -> None:
    """Remembering ``limit + 1`` times answers as counting everything does, to the microsecond."""
    window = Window(limit, span)
    micros: list[int] = []
    now = 0
    for gap in gaps:
        now += round(gap * 1_000_000)
        micros.append(now)
        counted = sum(now - other < round(span * 1_000_000) for other in micros)

        assert (counted > limit) == window.add(TODAY + now / 1_000_000)
        assert min(counted, limit + 1) == len(window.inside(TODAY + now / 1_000_000))


def test_window_is_empty_when_its_newest_event_is_a_span_old() -> None:
    """Only then can nothing in it count any more."""
    window = Window(limit=3, span=60)

    assert window.is_empty(0)
    window.add(0)
    assert not window.is_empty(59.9)
    assert window.is_empty(60)


def test_histogram_has_the_oldest_slice_first() -> None:
    """
    Every slice is an equal part of the span; the newest event lies in the last.

        (0s  15s  30s  45s  60s]
           1    0    1    2
    """
    window = Window(limit=9, span=60)
    for time in (0, 10, 40, 50, 60):
        window.add(time)

    assert (1, 0, 1, 2) == window.histogram(60, slices=4)
