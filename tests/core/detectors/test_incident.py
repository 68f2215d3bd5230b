"""What was too much is over when it has not been for a whole window, and that is said once."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from core.detectors.oracles import (
    ORACLES,
    Event,
    Found,
    Resolved,
    resolutions,
    too_many,
    with_cooldown,
)
from core.examples import match, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core.detectors import DETECTORS, RESOLVING
from alertd.core.detectors.incident import Resolving, incident_bytes, resolution_id
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.events import PASSED
from alertd.core.rules import HIT, MISS, Pattern, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.core.events import Alert, Match
    from alertd.core.rules import Rule

STREAM = ("app",)
START = 1_790_000_000.0
KINDS: dict[str, dict[str, Any]] = {
    "threshold": {},
    "distinct": {"value": "value"},
    "ratio": {"more_than": 0, "share": (50, 100), "min_total": 2},
    "metric": {"more_than": 0, "metric": "sum", "value": "value", "bound": 4.0},
    "metric below": {
        "more_than": 0,
        "metric": "p50",
        "value": "value",
        "bound": 3.0,
        "is_below": True,
    },
}


def made(kind: str, **changes: Any) -> Rule:
    """Make a rule of a kind that says when it is over."""
    name = kind.partition(" ")[0]
    return rule(**{"kind": name, "group_by": ("key",), "resolve": True, **KINDS[kind], **changes})


def matches(by: Rule, happened: Sequence[Event]) -> list[Match]:
    """Give events as matches; a hit's value is 1."""
    if by.kind == "threshold":
        return [match(event.time, (event.key,)) for event in happened]
    if by.kind == "ratio":
        happened = [event._replace(value=HIT if event.value == "1" else MISS) for event in happened]
    return [match(event.time, (event.key, event.value)) for event in happened]


def events(gaps: Sequence[tuple[int, str, str]]) -> list[Event]:
    """Put events into time order, from the quarters of a second between them."""
    found, now = [], START
    for gap, key, value in gaps:
        now += gap / 4
        found.append(Event(now, key, value))
    return found


def passings(by: Rule, happened: Sequence[Event]) -> list[Found]:
    """Find every event at which the limit is passed."""
    if by.kind == "ratio":
        happened = [event._replace(value="x" if event.value == "1" else "y") for event in happened]
    return list((too_many if by.kind == "threshold" else ORACLES[by.kind])(by, happened))


def judged(by: Rule, fed: Sequence[Match], frozen_after: int, killed_after: int) -> list[Alert]:
    """
    Feed an engine that stops twice, up to the time of the last match.

    It is frozen after so many matches; later it is killed, and what it did since then is repeated
    by one that takes up what was frozen.
    """
    trail: list[Match] = []
    first = Engine([by])
    alerts = first.feed(fed[:frozen_after])
    frozen = {by.name: first.freeze(by.name)}
    alerts += first.feed(fed[frozen_after:killed_after], trail)
    second = Engine([by], frozen)
    second.repeat(trail)
    alerts += second.feed(fed[max(frozen_after, killed_after) :])
    end = max((one.time for one in fed), default=START)
    return alerts + [alert for some in second.advance(STREAM, end) for alert in some]


def resolved(alert: Alert) -> Resolved:
    """Give what an oracle knows of a resolution."""
    end = alert.end
    assert end is not None
    key = dict(alert.key)["key"]
    return Resolved(alert.time, key, end.began, end.ended, end.events, end.alerts)


@pytest.mark.parametrize("kind", KINDS)
@given(
    gaps=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 8), st.integers(0, 400)),
            st.sampled_from("ab"),
            st.sampled_from("11234"),
        ),
        max_size=60,
    ),
    frozen_after=st.integers(0, 60),
    killed_after=st.integers(0, 60),
    within=st.sampled_from([1.0, 7.0, 30.0, 100.7]),
    cooldown=st.sampled_from([0.0, 3.0, 60.0]),
)
@settings(max_examples=500)
def test_resolutions_are_those_of_brute_force(
    *,
    kind: str,
    gaps: list[tuple[int, str, str]],
    frozen_after: int,
    killed_after: int,
    within: float,
    cooldown: float,
) -> None:
    """Whatever is hidden by a cooldown, and across a restart and a crash; alerts stay the same."""
    by = made(kind, within=within, cooldown=cooldown)
    happened = events(gaps)
    found = passings(by, happened)
    end = max((event.time for event in happened), default=START)

    alerts = judged(by, matches(by, happened), frozen_after, killed_after)

    rang = [alert for alert in alerts if alert.end is None]
    over = [alert for alert in alerts if alert.end is not None]
    ids = {alert.id for alert in rang}
    assert resolutions(by, found, end) == sorted(map(resolved, over))
    assert len({alert.id for alert in alerts}) == len(alerts)
    assert all(alert.end and alert.end.alert in ids for alert in over)
    assert [one[:2] for one in with_cooldown(cooldown, iter(found))] == [
        (alert.time, dict(alert.key)["key"]) for alert in rang
    ]


def alone(kind: str, times: Sequence[float], end: float, **changes: Any) -> list[Alert]:
    """Judge a value of 5 at each time, then let time pass."""
    by = made(kind, group_by=(), **changes)
    engine = Engine([by])
    behind: tuple[str, ...] = () if by.kind == "threshold" else ("5",)
    alerts = engine.feed([match(START + time, behind) for time in times])
    return alerts + [alert for some in engine.advance(STREAM, START + end) for alert in some]


def test_an_event_a_whole_window_later_goes_on_with_the_incident() -> None:
    """
    The end is not over before that very moment is.

        0s            60s          120s
        x-------------x-------------|   within = 60 s, each one is too many
    """
    [rang, over] = alone("threshold", [0, 60], 121, more_than=0, within=60.0)

    assert over.end is not None
    assert (START, START + 60, START + 120) == (rang.time, over.end.ended, over.time)
    assert 2 == over.end.events
    assert [rang] == alone("threshold", [0, 60], 120, more_than=0, within=60.0)


def test_what_begins_again_within_the_cooldown_is_hidden_and_has_no_end() -> None:
    """An incident begins with an alert, and its end does not end the cooldown."""
    alerts = alone("threshold", [0, 30], 100, more_than=0, within=10.0, cooldown=60.0)

    assert [(START, False), (START + 10, True)] == [(a.time, a.end is not None) for a in alerts]


def test_a_resolution_is_the_alert_once_more_with_what_became_of_it() -> None:
    """It says what was too much, when, and how often; it shows the last lines."""
    [rang, later, over] = alone(
        "metric", [0, 3, 8, 9], 100, within=10.0, cooldown=5.0, metric="max", bound=4.0
    )

    assert over.end is not None
    assert (rang.id, rang.time, START + 9) == (over.end.alert, over.end.began, over.end.ended)
    assert ("max of value above 4 in 10 seconds", 4, 2) == (
        over.end.what,
        over.end.events,
        over.end.alerts,
    )
    assert (later.time, 1) == (over.previous, over.since_last)
    assert (rang.key, rang.bound, rang.path) == (over.key, over.bound, over.path)
    assert (resolution_id(rang.id), PASSED, "") == (over.id, over.offset, over.line)
    assert [f"Fatal at {START + time}" for time in (3.0, 8.0, 9.0)] == [s.line for s in over.last]


@pytest.mark.parametrize(
    ("kind", "changes", "values", "worst"),
    [
        ("metric", {"metric": "max"}, "57261", 7.0),
        ("metric", {"metric": "min", "is_below": True, "bound": 3.0}, "21344", 1.0),
        ("metric below", {"metric": "p50"}, "11111", 100.0),
        ("metric below", {"metric": "p50"}, "151", 100.0),
        ("ratio", {"min_total": 1}, "01110", 75.0),
    ],
)
def test_the_worst_is_kept(kind: str, changes: dict[str, Any], values: str, worst: float) -> None:
    """The greatest or the least; of a percentile the greatest share beyond the bound."""
    by = made(kind, group_by=(), within=20.0, cooldown=600.0, **changes)
    engine = Engine([by])
    engine.feed([match(START + at, (value,)) for at, value in enumerate(values)])
    [[over]] = list(engine.advance(STREAM, START + 100))

    assert over.end is not None
    assert worst == over.end.worst


def test_a_key_that_is_pushed_out_takes_its_incident_with_it() -> None:
    """And when it comes back within its cooldown, nothing is left of it."""
    by = made("threshold", more_than=0, within=60.0, cooldown=600.0, max_keys=8)
    engine = Engine([by])
    alerts = engine.feed([match(START + at, (key,)) for at, key in enumerate("abcdefghia")])
    over = [alert.key[0][1] for some in engine.advance(STREAM, START + 500) for alert in some]

    assert list("abcdefghi") == [alert.key[0][1] for alert in alerts]
    assert list("cdefghi") == over


def test_a_key_is_not_idle_before_its_incident_is_over() -> None:
    """A window of slices may be empty a little earlier; who comes then takes nobody's place."""
    by = made("metric", within=120.0, cooldown=10.0)
    engine = Engine([by])
    engine.feed([match(START + 0.9, ("a", "9")), match(START + 120.5, ("b", "1"))])
    over = [alert for some in engine.advance(STREAM, START + 200) for alert in some]

    assert [(START + 120.9, "a")] == [(alert.time, alert.key[0][1]) for alert in over]


def test_who_need_not_say_it_any_more_forgets_what_has_passed() -> None:
    """A journal may hold times that passed for a rule that was told since not to resolve."""
    by = made("threshold", more_than=0, within=60.0, cooldown=0.0)
    trail: list[Match] = []
    before = Engine([by])
    frozen = before.freeze("fatal")
    before.feed([match(START, ("a",))], trail)
    ended = [alert for some in before.advance(STREAM, START + 100, trail) for alert in some]
    after = Engine([replace(by, resolve=False)], {"fatal": frozen})
    after.repeat(trail)

    assert 1 == len(ended)
    assert {"fatal": 1} == after.keys()
    [alert] = after.feed([match(START + 200, ("a",))])
    assert (START, 1) == (alert.previous, alert.since_last)


def test_a_reload_that_turns_it_on_begins_with_the_next_alert() -> None:
    """What rang before has no end; windows and cooldowns go on."""
    by = made("threshold", more_than=0, within=60.0, cooldown=10.0, resolve=False)
    before = Engine([by])
    before.feed([match(START, ("a",))])
    after = Engine([replace(by, resolve=True)])
    after.adopt(before)
    alerts = after.feed([match(START + 5, ("a",)), match(START + 70, ("a",))])
    alerts += [alert for some in after.advance(STREAM, START + 200) for alert in some]

    assert [(70, False), (130, True)] == [(a.time - START, a.end is not None) for a in alerts]


def test_a_kind_with_a_time_of_its_own_keeps_it() -> None:
    """A step that is missing rings at its time, whatever is over before."""
    steps = (Step((Pattern("A"),), (), 1), Step((Pattern("B"),), (), 1, is_absent=True))
    by = rule(kind="sequence", more_than=0, within=10.0, cooldown=0.0, steps=steps, resolve=True)
    engine = Engine([by])
    alerts = engine.feed([match(START, ("1",)), match(START + 10.5, ("1",))])
    alerts += [alert for some in engine.advance(STREAM, START + 100) for alert in some]

    assert [(10, False), (20, True), (20.5, False), (30.5, True)] == [
        (alert.time - START, alert.end is not None) for alert in alerts
    ]


def test_it_takes_memory_only_where_it_is_asked_for() -> None:
    """Detectors of other rules have no place for it; an open one is within its bound."""
    by = made("threshold", group_by=("key",), more_than=0)
    plain = replace(by, resolve=False)
    kind, other = (RESOLVING["threshold"], DETECTORS["threshold"])
    fields = ("\U0001f642" * 256,)
    detector = kind(by, fields)
    assert isinstance(detector, Resolving)
    detector.feed(match(START, fields))
    incident = detector._incident
    assert incident is not None
    size = sum(map(sys.getsizeof, (incident, incident.what, incident.alert, incident.alert.first)))
    size += sum(
        sys.getsizeof(getattr(incident.alert, name))
        for name in incident.alert.__struct_fields__
        if name not in {"rule", "kind", "first", "path"}
    )

    assert size < incident_bytes(by)
    assert not hasattr(other(plain, fields), "_incident")
    assert sys.getsizeof(other(plain, fields)) < sys.getsizeof(detector)
    assert worst_case_bytes(by) - worst_case_bytes(plain) >= by.max_keys * incident_bytes(by)
