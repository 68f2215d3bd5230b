"""Spikes, against the window before and against earlier days, are what brute force finds."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from core.detectors.oracles import Event, Found, spikes, with_cooldown
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import msgpack

from alertd.core.days import STEP, Days
from alertd.core.days import worst_case_bytes as days_bytes
from alertd.core.detectors.spike import Spike
from alertd.core.engine import Engine
from alertd.core.events import Notice
from alertd.core.grid import SLICES, Grid
from alertd.core.grid import worst_case_bytes as grid_bytes
from alertd.core.render import alert_as_json
from alertd.core.render.story import tell
from alertd.core.sentences import sentence
from alertd.core.streams import streams_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Alert
    from alertd.core.rules import Rule

DAY = 86_400.0
START = 1_790_000_000.0
LONG_AGO = START - 99 * DAY


def a_spike(**changes: Any) -> Rule:
    """Make a rule that rings for more than twice as many, three at least, a minute."""
    settings: dict[str, Any] = {"times": (2, 1), "min_total": 3, "cooldown": 0.0}
    return rule(kind="spike", more_than=0, **{"group_by": ("key",), **settings, **changes})


def raised(
    by: Rule, happened: Sequence[Event], *, since: float = LONG_AGO, frozen_after: int = 0
) -> list[Alert]:
    """Feed an engine that is frozen and taken up again after so many events."""
    matches = [match(event.time, (event.key,), rule=by.name) for event in happened]
    engine = Engine([by])
    engine.begin(streams_of([by])[by.name], since)
    alerts = engine.feed(matches[:frozen_after])
    again = Engine([by], {by.name: engine.freeze(by.name)})
    assert again.taken_up == {by.name}
    return alerts + again.feed(matches[frozen_after:])


def told(alerts: Sequence[Alert]) -> list[Found]:
    """Give what an oracle knows of alerts."""
    return [Found(alert.time, dict(alert.key)["key"], alert.count, ()) for alert in alerts]


def events(gaps: Sequence[tuple[float, str]], start: float = START) -> list[Event]:
    """Put events into time order, from the seconds between them."""
    made, now = [], start
    for gap, key in gaps:
        now = round(now + gap, 6)
        made.append(Event(now, key, ""))
    return made


TIMES = st.sampled_from([(1, 1), (3, 2), (2, 1), (21, 10), (3, 1)])
KEYS = st.sampled_from("aab")
WITHIN = st.sampled_from([1.0, 7.0, 30.0, 60.0, 100.7])
COOLDOWN = st.sampled_from([0.0, 3.0, 60.0])


@given(
    gaps=st.lists(
        st.tuples(st.one_of(st.integers(0, 8), st.integers(0, 400)).map(lambda n: n / 4), KEYS),
        max_size=60,
    ),
    frozen_after=st.integers(0, 60),
    since=st.sampled_from([LONG_AGO, START - 100.0, START, START + 3.25, START + 30.0]),
    times=TIMES,
    min_count=st.integers(1, 5),
    within=WITHIN,
    cooldown=COOLDOWN,
)
@settings(max_examples=700)
def test_a_spike_rings_when_brute_force_does(
    *,
    gaps: list[tuple[float, str]],
    frozen_after: int,
    since: float,
    times: tuple[int, int],
    min_count: int,
    within: float,
    cooldown: float,
) -> None:
    """Whatever the order of keys, whenever watching began, and across a restart."""
    by = a_spike(times=times, min_total=min_count, within=within, cooldown=cooldown)
    happened = events(gaps)

    expected = with_cooldown(by.cooldown, spikes(by, happened, since))

    assert expected == told(raised(by, happened, since=since, frozen_after=frozen_after))


@st.composite
def daily(draw: st.DrawFn, within: float) -> list[tuple[float, str]]:
    """Make gaps such that events meet those of earlier days, more or less."""
    gaps: list[tuple[float, str]] = []
    near = st.integers(0, 24).map(lambda part: part * within / 48)
    for _ in range(draw(st.integers(1, 8))):
        away = draw(st.integers(-30, 30)) * within / 24
        gaps += draw(st.lists(st.tuples(near, KEYS), max_size=12))
        days = draw(st.sampled_from([0, 1, 1, 1, 2, 5]))
        gaps.append((max(0.0, days * DAY - sum(gap for gap, _ in gaps) % DAY + away), "a"))
    return gaps


@given(data=st.data(), within=st.sampled_from([60.0, 600.0, 7 * 60.0, 3600.0, 5 * 3600.0, DAY]))
@settings(max_examples=700)
def test_a_spike_against_earlier_days_rings_when_brute_force_does(
    *, data: st.DataObject, within: float
) -> None:
    """Also for windows that do not go into a day, and while fewer days than asked were watched."""
    by = a_spike(
        times=data.draw(TIMES),
        min_total=data.draw(st.integers(1, 4)),
        within=within,
        cooldown=data.draw(COOLDOWN),
        baseline=data.draw(st.sampled_from([1, 2, 7, 31])),
    )
    start = START + data.draw(st.integers(0, 100)) * within / 100
    happened = events(data.draw(daily(within)), start)
    since = data.draw(st.sampled_from([LONG_AGO, start - DAY, start - within, start, start + DAY]))
    frozen_after = data.draw(st.integers(0, len(happened)))

    expected = with_cooldown(by.cooldown, spikes(by, happened, since))

    assert expected == told(raised(by, happened, since=since, frozen_after=frozen_after))


def at(*times: float, key: str = "a") -> list[Event]:
    """Make events at times after the start."""
    return [Event(START + time, key, "") for time in times]


def test_exactly_so_many_times_as_many_is_not_too_much() -> None:
    """Twice two are four: the fifth is too many."""
    happened = at(0, 0, 60, 60, 60, 60, 60)

    (alert,) = raised(a_spike(), happened)

    assert (5, 2.0, 2.0, 0) == (alert.count, alert.bound, alert.measured, alert.days)
    assert (START + 60, 5) == (alert.since, sum(alert.histogram))


def test_a_fraction_is_compared_as_it_is_written() -> None:
    """1.1 times 10 are 11, which in doubles are a bit more."""
    happened = at(*[0] * 10, *[60] * 12)

    (alert,) = raised(a_spike(times=(11, 10), min_total=11), happened)

    assert 12 == alert.count


def test_less_than_min_count_is_never_too_much() -> None:
    """Two after none is many times as many, but few."""
    assert [3] == [alert.count for alert in raised(a_spike(), at(0, 1, 2))]


def test_nothing_is_judged_before_both_windows_were_watched() -> None:
    """Else every start in the middle of a busy hour would ring."""
    by = a_spike()
    busy = at(*(number / 2 for number in range(400)))

    early = raised(by, busy, since=START)
    quiet_at_first = raised(by, at(100, 100, 100, 119, 119.5, 120), since=START)

    assert [] == early
    assert [START + 119.5, START + 120] == [alert.time for alert in quiet_at_first]


def test_a_key_that_is_new_to_a_rule_that_has_long_watched_is_compared_with_none() -> None:
    """A service that begins to fail is what one wants to hear of."""
    happened = [*at(0, 50), *at(200, 200, 200, key="b")]

    assert ["b"] == [dict(one.key)["key"] for one in raised(a_spike(), happened, since=START)]


def test_days_on_which_nothing_was_watched_do_not_lower_the_mean() -> None:
    """On the third day there are two to compare with, whatever is asked for."""
    by = a_spike(baseline=7)
    happened = at(60, 61, DAY + 60, 2 * DAY + 60, *[2 * DAY + 61] * 5)

    first, *_ = raised(by, happened, since=START)

    assert (4, 1.5, 2) == (first.count, first.measured, first.days)


def test_what_happened_on_days_before_those_asked_for_is_forgotten() -> None:
    """With a baseline of a day, the day before yesterday counts no more."""
    happened = at(*[0] * 9, DAY, DAY, 2 * DAY, *[2 * DAY] * 4)

    (alert,) = raised(a_spike(baseline=1), happened, since=START)

    assert (5, 2.0, 1) == (alert.count, alert.measured, alert.days)


def test_what_a_cooldown_hides_is_counted() -> None:
    """In the next mail."""
    alerts = raised(a_spike(cooldown=4.0), at(0, 1, 2, 3, 4, 6), frozen_after=4)

    assert [3, 3] == [alert.since_last for alert in alerts]


def test_what_earlier_days_are_compared_with_is_not_forgotten() -> None:
    """Nor is it said as if the key were new."""
    (alert,) = raised(a_spike(baseline=1), at(0, DAY, DAY, DAY))

    assert 4 == alert.since_last


def test_a_window_that_does_not_go_into_a_day_is_compared_with_one_a_bit_earlier() -> None:
    """24 hours are 7,975.4 slices of 1,300 seconds: they count as 7,976, also across a step."""
    days = Days(1300.0, 1)
    days.add(4)
    days.add(5)

    assert (1, 1) == days.earlier(7976 + 4, -math.inf)
    assert (2, 1) == days.earlier(7976 + 5, -math.inf)


@pytest.mark.parametrize("baseline", [0, 1])
def test_a_key_of_which_nothing_counts_is_as_new(baseline: int) -> None:
    """Whether it was forgotten changes no number in a mail."""
    away = 120 + DAY * baseline
    (alert,) = raised(a_spike(baseline=baseline), at(0, away, away, away))

    assert 3 == alert.since_last


@pytest.mark.parametrize(("baseline", "until"), [(0, 120.0), (1, DAY + 60)])
def test_a_detector_is_empty_once_nothing_can_be_compared(baseline: int, until: float) -> None:
    """Not sooner: its counts are what a spike is measured by."""
    detector = Spike(a_spike(baseline=baseline), ("a",))
    was_empty = detector.is_empty(START)
    detector.feed(match(START, ("a",)))

    assert was_empty
    assert not detector.is_empty(START + until - 0.5)
    assert detector.is_empty(START + until)


@pytest.mark.parametrize(
    ("changes", "is_taken_up"),
    [
        ({"within": 30.0}, False),
        ({"baseline": 1}, False),
        ({"times": (9, 2), "min_total": 9}, True),
    ],
)
def test_counts_are_taken_up_by_a_rule_that_cuts_time_alike(
    changes: dict[str, Any], *, is_taken_up: bool
) -> None:
    """How many times as many are too many is only asked when an event is judged."""
    engine = Engine([a_spike()])

    again = Engine([a_spike(**changes)], {"fatal": engine.freeze("fatal")})

    assert is_taken_up == bool(again.taken_up)


@pytest.mark.parametrize(
    ("changes", "happened", "subject", "measure"),
    [
        (
            {"times": (5, 2)},
            at(0, 61, 61, 61),
            "fatal: key a - more than 2.5 times as many in 1 minute as before on web1",
            "3 events in 1 minute, 3 times the 1 of the 1 minute before; the limit is 2.5 times "
            "as many.",
        ),
        (
            {},
            at(0, 0, 0),
            "fatal: key a - more than 2 times as many in 1 minute as before on web1",
            "3 events in 1 minute, and none in the 1 minute before; the limit is 2 times as many.",
        ),
        (
            {"baseline": 3},
            at(0, DAY, 2 * DAY, 2 * DAY, *[3 * DAY] * 3),
            "fatal: key a - more than 2 times as many in 1 minute as on earlier days on web1",
            "3 events in 1 minute, 2.25 times the 1.33 of the same 1 minute of the 3 days before "
            "on average; the limit is 2 times as many.",
        ),
        (
            {"baseline": 1},
            at(0, *[DAY] * 3),
            "fatal: key a - more than 2 times as many in 1 minute as on earlier days on web1",
            "3 events in 1 minute, 3 times the 1 of the same 1 minute of the day before; "
            "the limit is 2 times as many.",
        ),
    ],
)
def test_a_mail_says_what_was_found(
    changes: dict[str, Any], happened: list[Event], subject: str, measure: str
) -> None:
    """In the subject and in a sentence, with what the reader needs to verify it."""
    alert = raised(a_spike(**changes), happened)[-1]
    notice = Notice(alert, ("ops@example.com",), "critical", "", 1.0)

    story = tell(notice, host="web1", timezone=UTC, sent_at=2.0, limit=1000)

    assert (subject, measure) == (story.subject, story.measure)


def test_programs_are_told_the_numbers() -> None:
    """Beside what every alert has."""
    alert = raised(a_spike(baseline=2), at(*[0] * 3))[-1]

    assert '"bound": 2.0, "measured": 0.0, "days": 2}' in alert_as_json(alert)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"group_by": (), "times": (3, 1), "min_total": 50, "within": 600.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' that makes such lines within "
            "10 minutes (in slices of 5 seconds) at least 50 and more than 3 times those of the "
            "10 minutes before (so 50 are too many after 16, but not after 17), once it has "
            "watched these 20 minutes; then again on every further line past that limit.",
        ),
        (
            {"times": (5, 2), "min_total": 5, "baseline": 7, "cooldown": 60.0},
            "fatal: mails ops@example.com on a line matching 'Fatal' that makes such lines within "
            "1 minute (in slices of 0.5 seconds, earlier days in steps of 2.5 seconds) at least 5 "
            "and more than 2.5 times the mean of the same 1 minute of the 7 days before (so 5 are "
            "too many after a mean of 1, but not after a mean of 2), counted per key, once it has "
            "watched the same 1 minute of the day before; then stays quiet about that key for "
            "1 minute.",
        ),
    ],
)
def test_a_rule_in_one_sentence(changes: dict[str, Any], expected: str) -> None:
    """With an example that its reader can verify."""
    assert expected == sentence(a_spike(**changes))


@given(
    numbers=st.lists(st.integers(0, 500_000), min_size=1, max_size=100).map(sorted),
    days=st.integers(1, 3),
    span=st.sampled_from([600.0, 1300.0, 3600.0]),
    frozen_after=st.integers(0, 100),
)
@settings(max_examples=300)
def test_days_add_up_whole_steps(
    numbers: list[int], days: int, span: float, frozen_after: int
) -> None:
    """Of each earlier day the 24 that end where the window ended, whatever was forgotten."""
    held = Days(span, days)
    for count, number in enumerate(numbers):
        held.add(number)
        if count == frozen_after:
            held = Days(span, days, held.freeze())

    last = numbers[-1]
    ends = [(last - math.ceil(day * DAY * SLICES / span)) // STEP for day in range(1, days + 1)]
    expected = sum(end - 24 < number // STEP <= end for end in ends for number in numbers)
    assert (expected, days) == held.earlier(last, -math.inf)


def test_a_state_of_a_machine_that_writes_numbers_the_other_way_round_is_understood() -> None:
    """State may be moved."""
    here = Days(600.0, 1)
    for number in (1, 7, 7):
        here.add(number)
    order, first, steps = msgpack.decode(here.freeze())
    swapped = b"".join(steps[at : at + 4][::-1] for at in range(0, len(steps), 4))

    there = Days(600.0, 1, msgpack.encode((order[::-1], first, swapped)))

    assert here.freeze() == there.freeze()


def test_days_take_no_more_than_their_worst_case() -> None:
    """With every step taken, after all of them were replaced."""
    days = Days(600.0, 7)
    for number in range(0, 2 * 8 * 144 * SLICES, STEP):
        days.add(number)

    held = [days, days._shifts, *days._shifts, days._steps]

    assert sum(map(sys.getsizeof, held)) <= days_bytes(600.0, 7)


def test_two_windows_take_no_more_than_their_worst_case() -> None:
    """With every slice taken."""
    grid = Grid(60.0, "qd", windows=2)
    for step in range(10 * SLICES):
        grid.enter(step / 2)

    held = [grid, grid.slices, grid.columns, *grid.columns]

    assert 2 * SLICES == len(grid.slices)
    assert sum(map(sys.getsizeof, held)) <= grid_bytes(2, windows=2)


@pytest.mark.parametrize("baseline", [0, 1, 31])
def test_a_key_has_a_worst_case(baseline: int) -> None:
    """A day is 24 steps for each window that goes into it, of four bytes."""
    by = replace(a_spike(), within=3600.0, baseline=baseline)
    days = 4 * 24 * (24 * baseline + 1)

    assert days < Spike.worst_case_bytes(by) < 8_000 + 1.3 * days
