"""Ratios and metrics, whose windows slide over a grid, find what brute force finds."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, get_args

import pytest
from core.detectors.oracles import ORACLES, Event, Found, with_cooldown
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.detectors import DETECTORS
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.events import Notice
from alertd.core.grid import SLICES, Grid
from alertd.core.grid import worst_case_bytes as grid_bytes
from alertd.core.render import alert_as_json
from alertd.core.render.story import tell
from alertd.core.rules import HIT, MISS, Metric, Pattern

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Alert
    from alertd.core.rules import Rule

METRICS = get_args(Metric)
NUMBERS = ["0", "-1.5", "2", "1e3", "0.1", " 7 ", "2.50", "1e100"]


def raised(by: Rule, happened: Sequence[Event], frozen_after: int = 0) -> list[Alert]:
    """Feed an engine that is frozen and taken up again after so many events."""
    matches = [
        match(event.time, (event.key, behind(by, event)), rule=by.name) for event in happened
    ]
    engine = Engine([by])
    alerts = engine.feed(matches[:frozen_after])
    again = Engine([by], {by.name: engine.freeze(by.name)})
    assert again.taken_up == {by.name}
    return alerts + again.feed(matches[frozen_after:])


def behind(by: Rule, event: Event) -> str:
    """Give what stands behind the key."""
    if by.kind == "metric":
        return event.value
    return HIT if event.value == "x" else MISS


def told(alerts: Sequence[Alert]) -> list[Found]:
    """Give what an oracle knows of alerts."""
    return [Found(alert.time, dict(alert.key)["key"], alert.count, ()) for alert in alerts]


def events(gaps: Sequence[tuple[int, str, str]]) -> list[Event]:
    """Put events into time order, from the quarters of a second between them."""
    made, now = [], 1_790_000_000.0
    for gap, key, value in gaps:
        now += gap / 4
        made.append(Event(now, key, value))
    return made


GAPS = st.one_of(st.integers(0, 8), st.integers(0, 400))
WITHIN = st.sampled_from([1.0, 7.0, 30.0, 60.0, 100.7])
COOLDOWN = st.sampled_from([0.0, 3.0, 60.0])


@given(
    gaps=st.lists(st.tuples(GAPS, st.sampled_from("ab"), st.sampled_from("xxyz")), max_size=60),
    frozen_after=st.integers(0, 60),
    share=st.sampled_from([(0, 100), (25, 100), (333, 1000), (50, 100), (999, 1000)]),
    min_total=st.integers(1, 5),
    within=WITHIN,
    cooldown=COOLDOWN,
)
@settings(max_examples=500)
def test_a_ratio_rings_when_brute_force_does(
    *,
    gaps: list[tuple[int, str, str]],
    frozen_after: int,
    share: tuple[int, int],
    min_total: int,
    within: float,
    cooldown: float,
) -> None:
    """Whatever the order of keys and hits, and across a restart."""
    by = rule(
        kind="ratio",
        group_by=("key",),
        more_than=0,
        share=share,
        min_total=min_total,
        within=within,
        cooldown=cooldown,
    )
    happened = events(gaps)

    expected = with_cooldown(by.cooldown, ORACLES["ratio"](by, happened))

    assert expected == told(raised(by, happened, frozen_after))


@given(
    gaps=st.lists(st.tuples(GAPS, st.sampled_from("ab"), st.sampled_from(NUMBERS)), max_size=60),
    frozen_after=st.integers(0, 60),
    metric=st.sampled_from(METRICS),
    bound=st.sampled_from([-1.5, 0.0, 0.1, 2.0, 2.5, 3.0, 7.0, 1000.0]),
    is_below=st.booleans(),
    min_total=st.integers(1, 5),
    within=WITHIN,
    cooldown=COOLDOWN,
)
@settings(max_examples=900)
def test_a_metric_rings_when_brute_force_does(
    *,
    gaps: list[tuple[int, str, str]],
    frozen_after: int,
    metric: Metric,
    bound: float,
    is_below: bool,
    min_total: int,
    within: float,
    cooldown: float,
) -> None:
    """A percentile, too, is exact, although no value is kept."""
    by = rule(
        kind="metric",
        group_by=("key",),
        value="value",
        more_than=0,
        metric=metric,
        bound=bound,
        is_below=is_below,
        min_total=min_total,
        within=within,
        cooldown=cooldown,
    )
    happened = events(gaps)

    expected = with_cooldown(by.cooldown, ORACLES["metric"](by, happened))

    assert expected == told(raised(by, happened, frozen_after))


def a_ratio(**changes: Any) -> Rule:
    """Make a rule that rings when more than a quarter are hits."""
    settings: dict[str, Any] = {"kind": "ratio", "share": (25, 100), "cooldown": 0.0}
    return rule(group_by=("key",), more_than=0, **{**settings, **changes})


def a_metric(metric: Metric, bound: float, **changes: Any) -> Rule:
    """Make a rule about a field called ms."""
    settings: dict[str, Any] = {"kind": "metric", "value": "ms", "cooldown": 0.0, "more_than": 0}
    return rule(group_by=("key",), metric=metric, bound=bound, **{**settings, **changes})


def test_exactly_the_share_is_not_too_much() -> None:
    """One of four is not more than 25 %, two of five are."""
    happened = [Event(time, "a", value) for time, value in enumerate("yyyxx")]

    (alert,) = raised(a_ratio(), happened)

    assert (4.0, 2, 5, 25.0, 3.0) == (
        alert.time,
        alert.count,
        alert.total,
        alert.bound,
        alert.since,
    )


def test_two_events_a_window_apart_never_count_together() -> None:
    """The window is made of whole slices, and never longer than ``within``."""
    by = a_metric("count", 1.0)

    assert [] == raised(by, [Event(7.3, "a", "1"), Event(67.3, "a", "1")])
    assert 1 == len(raised(by, [Event(7.3, "a", "1"), Event(66.5, "a", "1")]))


def test_what_is_no_hit_is_not_shown() -> None:
    """A mail's lines are hits, and its bars count them."""
    happened = [Event(time, "a", value) for time, value in enumerate("xyyx")]

    alert = raised(a_ratio(), happened)[-1]

    assert [0.0, 3.0] == [sample.time for sample in alert.last]
    assert 2 == sum(alert.histogram)
    assert 1 == alert.histogram[-1]


def test_what_a_cooldown_hides_is_counted() -> None:
    """Of a ratio hits, of a metric values."""
    happened = [Event(time, "a", value) for time, value in enumerate("xyxyx")]

    alerts = raised(a_ratio(cooldown=4.0), happened, 2)
    measured = raised(
        a_metric("sum", 0.5, cooldown=4.0), [Event(time, "a", "1") for time in range(5)], 2
    )

    assert [1, 2] == [alert.since_last for alert in alerts]
    assert [1, 4] == [alert.since_last for alert in measured]


def test_a_key_whose_window_is_empty_is_as_new() -> None:
    """Whether it was forgotten changes no number in a mail."""
    happened = [Event(0.0, "a", "x"), Event(300.0, "a", "x"), Event(301.0, "a", "x")]

    (alert,) = raised(a_ratio(min_total=2), happened)
    (measured,) = raised(a_metric("count", 1.0), [event._replace(value="5") for event in happened])

    assert (2, 2) == (alert.since_last, measured.since_last)


@pytest.mark.parametrize("by", [a_ratio(), a_metric("p99", 5.0)], ids=lambda by: str(by.kind))
def test_a_detector_is_empty_once_nothing_counts(by: Rule) -> None:
    """Then its key may go before one that counts."""
    detector = DETECTORS[by.kind](by, ("a",))
    was_empty = detector.is_empty(0.0)
    detector.feed(match(0.0, ("a", "0")))

    assert [True, False, True] == [was_empty, detector.is_empty(59.4), detector.is_empty(60.0)]


@pytest.mark.parametrize(
    "changes",
    [
        {"within": 30.0},
        {"bound": 7.0},
        {"metric": "p90"},
        {"is_below": True},
        {"match": (Pattern("x"),)},
    ],
)
def test_sums_are_not_taken_up_by_a_rule_that_asks_something_else(changes: dict[str, Any]) -> None:
    """Another grid or another bound has no use for them."""
    by = a_metric("p95", 5.0)
    engine = Engine([by])

    assert (
        frozenset() == Engine([replace(by, **changes)], {"fatal": engine.freeze("fatal")}).taken_up
    )


def test_another_share_or_least_total_takes_up_what_was_counted() -> None:
    """Both are only asked when a hit is judged."""
    by = a_ratio()
    engine = Engine([by])
    other = replace(by, share=(1, 100), min_total=9)

    assert {"fatal"} == Engine([other], {"fatal": engine.freeze("fatal")}).taken_up


TEN = [Event(time, "a", value) for time, value in enumerate(["1", "9", "9"])]


@pytest.mark.parametrize(
    ("by", "happened", "subject", "measure"),
    [
        (
            a_ratio(share=(25, 1000)),
            [Event(time, "a", value) for time, value in enumerate("yyx")],
            "fatal: key a - more than 2.5 % in 1 minute on web1",
            "1 of 3 lines, 33.33 %; the limit is 2.5 % in 1 minute.",
        ),
        (
            a_metric("p95", 5.0),
            TEN,
            "fatal: key a - p95 of ms above 5 in 1 minute on web1",
            "66.67 % of 3 values of ms in 1 minute are above 5; at p95 5 % may be.",
        ),
        (
            a_metric("p50", 9.5, is_below=True),
            TEN,
            "fatal: key a - p50 of ms below 9.5 in 1 minute on web1",
            "100 % of 3 values of ms in 1 minute are below 9.5; at p50 fewer than 50 % may be.",
        ),
        (
            a_metric("avg", 5.0),
            TEN,
            "fatal: key a - avg of ms above 5 in 1 minute on web1",
            "The avg of 3 values of ms in 1 minute is 6.333333333; the limit is 5.",
        ),
        (
            a_metric("min", 5.0, is_below=True),
            [Event(0.0, "a", "-1e20")],
            "fatal: key a - min of ms below 5 in 1 minute on web1",
            "The min of 1 value of ms in 1 minute is -1e+20; the limit is 5.",
        ),
    ],
)
def test_a_mail_says_what_was_found(
    by: Rule, happened: list[Event], subject: str, measure: str
) -> None:
    """In the subject and in a sentence, with what the reader needs to verify it."""
    alert = raised(by, happened)[-1]
    notice = Notice(alert, ("ops@example.com",), "critical", "", 1.0)

    story = tell(notice, host="web1", timezone=UTC, sent_at=2.0, limit=1000)

    assert (subject, measure) == (story.subject, story.measure)


def test_programs_are_told_the_numbers() -> None:
    """Beside what every alert has."""
    share = alert_as_json(raised(a_ratio(), [Event(0.0, "a", "x")])[0])
    metric = alert_as_json(raised(a_metric("max", 5.0), TEN)[0])

    assert '"total": 1, "bound": 25.0}' in share
    assert '"total": 2, "bound": 5.0, "metric": "max", "measured": 9.0, "is_below": false' in metric


@given(
    times=st.lists(st.integers(0, 10**10), min_size=1, max_size=200).map(sorted),
    span=st.integers(10**6, 10**9),
)
def test_a_slice_is_what_its_definition_says(times: list[int], span: int) -> None:
    """In whole microseconds, also for events whose slice is not computed anew."""
    grid = Grid(span / 1e6, "q")
    for time in times:
        grid.enter(time / 1e6)
        grid.columns[0][-1] += 1

        assert time * SLICES // span == grid.slices[-1]
    last = times[-1] * SLICES // span
    inside = [time for time in times if time * SLICES // span > last - SLICES]
    assert len(inside) == sum(grid.columns[0]) == sum(grid.bars(0))


@pytest.mark.parametrize("types", ["qqd", "qd", "qdd"])
def test_a_grid_takes_no_more_than_its_worst_case(types: str) -> None:
    """With every slice taken, after ten windows."""
    grid = Grid(60.0, types)
    for step in range(10 * SLICES):
        grid.enter(step / 2)

    held = [grid, grid.slices, grid.columns, *grid.columns]

    assert SLICES == len(grid.slices)
    assert sum(map(sys.getsizeof, held)) <= grid_bytes(len(types))


@pytest.mark.parametrize("by", [a_ratio(), a_metric("p95", 5.0)], ids=lambda by: str(by.kind))
def test_a_thousand_keys_take_no_more_than_their_worst_case(by: Rule) -> None:
    """What check says is what a process comes to hold, lines for mails apart."""
    by = replace(by, max_keys=1000)
    keys = [f"{number:0256}" for number in range(1000)]
    tracemalloc.start()
    try:
        engine = Engine([by])
        for step in range(SLICES + 5):
            for key in keys:
                engine.feed([match(step / 2, (key, "0"), line="", path="")])
        for keyspace in engine._keyspaces.values():
            keyspace.shed()
            keyspace.shed()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert {by.name: 1000} == engine.keys()
    assert worst_case_bytes(by) / 3 < held < worst_case_bytes(by)
