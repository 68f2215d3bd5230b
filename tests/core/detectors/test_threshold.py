"""One rule, one key: when it rings, when it rests, and what it says."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from core.examples import MINUTE, match, rule
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.detectors.detector import alert_id
from alertd.core.detectors.threshold import Threshold

if TYPE_CHECKING:
    from alertd.core.events import Alert
    from alertd.core.rules import Rule


def fed(detector: Threshold, *times: float) -> list[Alert]:
    """Feed matches at these times; return the alerts."""
    alerts = []
    for time in times:
        event = match(time)
        detector.evidence.add(event, MINUTE)
        alert = detector.feed(event)
        if alert is not None:
            alerts.append(alert)
    return alerts


def test_it_rings_on_the_event_past_the_limit() -> None:
    """``more_than = 2`` rings on the third, and says what it counted."""
    [alert] = fed(Threshold(rule(), ()), 0, 10, 20)

    assert (20, 3, 2, 0, 3) == (alert.time, alert.count, alert.limit, alert.since, alert.since_last)
    assert [0, 0, 10, 20] == [alert.first.time, *(sample.time for sample in alert.last)]
    assert ("/var/log/app.log", 20_000, "Fatal at 20") == (alert.path, alert.offset, alert.line)


def test_a_cooldown_ends_exactly_when_it_is_over() -> None:
    """After an alert at *t* the next one is at or after *t + cooldown*."""
    detector = Threshold(rule(cooldown=30), ())

    assert [20, 50] == [alert.time for alert in fed(detector, 0, 10, 20, 30, 40, 49.999999, 50)]


def test_what_the_cooldown_hid_is_in_the_next_alert() -> None:
    """``since_last`` counts every event since the alert before."""
    detector = Threshold(rule(cooldown=30), ())
    first, second = fed(detector, 0, 10, 20, 25, 30, 35, 40, 45, 50)

    assert (3, None) == (first.since_last, first.previous)
    assert (6, 20) == (second.since_last, second.previous)


def test_an_alert_does_not_clear_the_window() -> None:
    """Events that rang once count on: the next event past the limit rings after the cooldown."""
    detector = Threshold(rule(cooldown=15), ())

    assert [20, 35] == [alert.time for alert in fed(detector, 0, 10, 20, 35)]


def test_without_cooldown_every_event_past_the_limit_rings_with_an_id_of_its_own() -> None:
    """Also when they happen at the very same time."""
    alerts = fed(Threshold(rule(cooldown=0), ()), 0, 0, 0, 0, 0, 1)

    assert [0, 0, 0, 1] == [alert.time for alert in alerts]
    assert 4 == len({alert.id for alert in alerts})


def test_a_quiet_key_that_never_rang_starts_counting_anew() -> None:
    """Whether it was forgotten meanwhile must not show in a mail."""
    [alert] = fed(Threshold(rule(), ()), 0, 1000, 1001, 1002)

    assert 3 == alert.since_last


def test_a_key_is_idle_when_forgetting_it_changes_nothing() -> None:
    """Its window is empty, its cooldown over, and nothing was hidden."""
    detector = Threshold(rule(cooldown=90), ())
    fed(detector, 0)
    assert (False, True) == (detector.is_idle(59), detector.is_idle(60))

    fed(detector, 100, 101, 102)
    assert (False, True) == (detector.is_idle(191), detector.is_idle(192))

    fed(detector, 110)
    assert (False, True) == (detector.is_idle(1000), detector.is_spent(1000))


def test_an_id_is_derived_from_what_the_alert_is_about() -> None:
    """Anyone can recompute it, to the microsecond; text that is no Unicode does no harm."""
    first = alert_id("fatal", ("a",), 0.1, 0)

    assert first == alert_id("fatal", ("a",), 0.1 + 1e-9, 0)
    assert 20 == len(first)
    others = {
        alert_id("fatal", ("a",), 0.100001, 0),
        alert_id("fatal", ("a",), 0.1, 1),
        alert_id("fatal", ("b",), 0.1, 0),
        alert_id("fatal", ("a", ""), 0.1, 0),
        alert_id("other", ("a",), 0.1, 0),
        alert_id("fatal", ("\udcff",), 0.1, 0),
        first,
    }
    assert 7 == len(others)


@given(
    st.lists(st.integers(0, 40), max_size=60),
    st.integers(0, 4),
    st.integers(1, 30),
    st.integers(0, 50),
    st.integers(0, 60),
)
def test_alerts_are_those_of_a_brute_force_count(
    gaps: list[int], limit: int, within: int, cooldown: int, frozen_after: int
) -> None:
    """Counting every event anew each time gives the same alerts, also across a restart."""
    settings = rule(more_than=limit, within=float(within), cooldown=float(cooldown))
    times, now = [], 0
    for gap in gaps:
        now += gap
        times.append(now)
    expected, previous = [], -math.inf
    for index, time in enumerate(times):
        count = sum(time - other < within for other in times[: index + 1])
        if count > limit and time >= previous + cooldown:
            expected.append(time)
            previous = time

    assert expected == [alert.time for alert in interrupted(settings, times, frozen_after)]


def interrupted(settings: Rule, times: list[int], after: int) -> list[Alert]:
    """Feed a detector that is frozen and taken up again after so many events."""
    detector = Threshold(settings, ())
    alerts = fed(detector, *times[:after])
    return alerts + fed(Threshold(settings, (), detector.freeze()), *times[after:])
