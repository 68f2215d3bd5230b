"""Other limits and windows, judged from what was found once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from core.examples import match, rule
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.engine import Engine
from alertd.core.tuning import MOST_MATCHES, SHARES, Recorder, Tuning

if TYPE_CHECKING:
    from alertd.core.rules import Rule

EVENTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.sampled_from("vwxyz")), max_size=60
)
LARGEST = 100


def tuning(tuned: Rule, *events: tuple[float, tuple[str, ...]], largest: int = LARGEST) -> Tuning:
    """Record events, each a time and a key."""
    recorder = Recorder(tuned, MOST_MATCHES)
    recorder.feed([match(time, key) for time, key in events])
    return Tuning(tuned, recorder, largest=largest)


@pytest.mark.parametrize("kind", ["threshold", "distinct"])
@given(EVENTS, st.integers(0, 6), st.sampled_from((1.0, 7.5, 30.0)), st.sampled_from((0.0, 20.0)))
def test_a_setting_rings_as_often_as_a_rule_that_has_it(
    kind: str, events: list[tuple[int, str, str]], limit: int, within: float, cooldown: float
) -> None:
    """With the rule's own cooldown and keys."""
    tuned = rule(
        kind=kind,
        group_by=("key",),
        value="value" if kind == "distinct" else "",
        cooldown=cooldown,
        more_than=3,
        within=10.0,
    )
    made, time = [], 0.0
    for gap, key, value in events:
        time += gap / 4
        made.append((time, (key, value) if kind == "distinct" else (key,)))

    changed = Engine([replace(tuned, more_than=limit, within=within)])
    expected = len(changed.feed([match(time, key) for time, key in made]))

    assert expected == tuning(tuned, *made).alerts(limit, within)


@given(EVENTS, st.integers(0, 12))
def test_the_limit_for_so_many_alerts_is_the_lowest(
    events: list[tuple[int, str, str]], most: int
) -> None:
    """Found by halves, it is what trying them all would find."""
    tuned = rule(group_by=("key",), cooldown=15.0)
    made, time = [], 0.0
    for gap, key, _ in events:
        time += gap / 4
        made.append((time, (key,)))

    subject = tuning(tuned, *made)
    lowest = next(limit for limit in range(99) if subject.alerts(limit, tuned.within) <= most)

    assert lowest == subject.limit_for(most)


def test_where_no_limit_is_high_enough_there_is_none() -> None:
    """The greatest that a rule may have still gives too many."""
    events = [(float(second), ()) for second in range(30)]

    assert tuning(rule(cooldown=0.0), *events, largest=7).limit_for(3) is None


def test_limits_are_around_the_rule_s_own() -> None:
    """Which is among them; a low one is joined by some that are not the same, none is too high."""
    assert [2, 4, 8, 16, 32] == tuning(rule(more_than=8)).limits(SHARES)
    assert [0, 1, 2, 4, 8, 16] == tuning(rule(more_than=1)).limits(SHARES)
    assert [20, 40, 80, 100] == tuning(rule(more_than=80)).limits(SHARES)


def test_windows_are_around_the_rule_s_own() -> None:
    """In whole microseconds, of which there is one at least."""
    assert [15.0, 30.0, 60.0, 120.0, 240.0] == tuning(rule()).windows()
    assert [1e-6, 1e-6, 1e-6, 2e-6, 4e-6] == tuning(rule(within=1e-6)).windows()


def test_what_does_not_fit_is_left_out() -> None:
    """And it can be told, so that whoever reads on can stop."""
    recorder = Recorder(rule(), most=3)

    assert [] == recorder.feed([match(1.0), match(2.0)])
    assert not recorder.is_full
    recorder.feed([match(3.0), match(4.0)])

    assert recorder.is_full
    assert [1.0, 2.0, 3.0] == list(recorder.times)
