"""The keys of a rule are bounded, and no flood of new ones re-arms an old one."""

from __future__ import annotations

from typing import Any

from core.examples import match, rule
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.keyspace import Keyspace


def keyspace(**changes: Any) -> Keyspace:
    """Make an empty keyspace of a rule grouped by ip."""
    return Keyspace(rule(group_by=("ip",), **changes))


def rung(keys: Keyspace, *events: tuple[float, str]) -> list[tuple[float, str]]:
    """Feed events, each a time and a key; return the time and key of each alert."""
    alerts = [keys.feed(match(time, (key,))) for time, key in events]
    return [(alert.time, alert.key[0][1]) for alert in alerts if alert is not None]


def test_every_key_has_a_window_of_its_own() -> None:
    """Two events of one key and two of another are not four."""
    events = [(0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "a")]

    assert [(4, "a")] == rung(keyspace(), *events)


def test_at_the_limit_the_key_seen_longest_ago_goes() -> None:
    """It is forgotten and counted; the others keep their events."""
    keys = keyspace(max_keys=2)

    assert [(5, "a")] == rung(keys, (0, "a"), (1, "b"), (2, "a"), (3, "c"), (5, "a"))
    assert (2, 1) == (len(keys), keys.evictions)
    assert [] == rung(keys, (6, "b"), (7, "b"))


def test_an_evicted_key_keeps_its_cooldown() -> None:
    """Torture N4: churn of keys cannot make a key ring again before its time."""
    keys = keyspace(max_keys=4, cooldown=600)
    rung(keys, (0, "a"), (1, "a"), (2, "a"))
    churn = [(3.0 + number, f"churn-{number}") for number in range(20)]

    assert [] == rung(keys, *churn, (30, "a"), (31, "a"), (32, "a"))
    assert [(700, "a")] == rung(keys, (698, "a"), (699, "a"), (700, "a"))


def test_an_idle_key_is_forgotten_silently() -> None:
    """What can change no later answer is no loss, and is not counted as one."""
    keys = keyspace(max_keys=100)
    rung(keys, (0, "a"), (1, "b"), (100, "c"))

    assert (1, 0) == (len(keys), keys.evictions)


def test_a_key_with_hidden_events_stays_while_there_is_room() -> None:
    """The next mail about it shall say what was hidden."""
    keys = keyspace(max_keys=3, cooldown=10)
    rung(keys, (0, "a"), (0, "a"), (0, "a"), (1, "a"), (1000, "b"), (2000, "c"))
    assert (3, 0) == (len(keys), keys.evictions)

    rung(keys, (2001, "d"))
    assert (2, 0) == (len(keys), keys.evictions)


def test_kept_cooldowns_are_bounded_too() -> None:
    """A quarter of ``max_keys``; those that are over go first, then the oldest."""
    keys = keyspace(max_keys=8, more_than=0, cooldown=100)
    rung(keys, *((float(number), f"key-{number}") for number in range(50)))
    assert [("key-40",), ("key-41",)] == [key for key, _ in keys.freeze().cooling]

    rung(keys, *((1000.0 + number, f"late-{number}") for number in range(9)))
    assert [("late-0",)] == [key for key, _ in keys.freeze().cooling]


def test_evidence_is_accounted_for_and_can_be_shed() -> None:
    """Half of the keys, those seen longest ago, lose their lines; every alert stays right."""
    keys = keyspace()
    rung(keys, (0, "a"), (1, "a"), (2, "b"), (3, "c"))
    before = keys.held
    keys.shed()

    assert 0 < keys.held < before
    assert [(4, "a")] == rung(keys, (4, "a"))


EVENTS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcdef")), max_size=60)


@given(EVENTS, st.integers(0, 60), st.integers(1, 4))
def test_a_restart_changes_nothing(
    steps: list[tuple[int, str]], interrupted_after: int, max_keys: int
) -> None:
    """Frozen and taken up again anywhere, also with evictions: the same alerts, the same state."""
    time, events = 0.0, []
    for gap, key in steps:
        time += gap
        events.append((time, key))
    straight = keyspace(max_keys=max_keys, cooldown=50)
    broken = keyspace(max_keys=max_keys, cooldown=50)

    expected = rung(straight, *events)
    actual = rung(broken, *events[:interrupted_after])
    resumed = Keyspace(broken.rule, broken.freeze())
    actual += rung(resumed, *events[interrupted_after:])

    assert expected == actual
    assert straight.freeze() == resumed.freeze()
    assert len(straight) <= max_keys


def test_a_snapshot_is_meant_for_a_rule_of_the_same_meaning() -> None:
    """A lower limit or a new cooldown changes no meaning; a raised limit needs more history."""
    snapshot = keyspace().freeze()

    assert snapshot.is_meant_for(rule(group_by=("ip",), more_than=1, cooldown=5))
    assert not snapshot.is_meant_for(rule(group_by=("ip",), more_than=3))
    assert not snapshot.is_meant_for(rule(group_by=("host",)))


def test_half_of_what_a_single_key_holds_is_all_of_it() -> None:
    """Its lines go together; what was counted stays."""
    keys = Keyspace(rule())
    keys.feed(match(0))
    keys.feed(match(1))

    keys.shed()

    assert 0 == keys.held
    alert = keys.feed(match(2))
    assert alert is not None
    assert (3, 1) == (alert.count, len(alert.last))
