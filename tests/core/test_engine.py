"""The engine hands every match to its rule, keeps its memory bounded, and moves its state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from core.examples import match, rule

from alertd.core import engine
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.events import BEGUN, PASSED
from alertd.core.keyspace import Keyspace

if TYPE_CHECKING:
    from alertd.core.events import Match
    from alertd.core.rules import Rule

PER_IP: dict[str, Any] = {"group_by": ("ip",)}


def test_each_rule_counts_its_own_matches() -> None:
    """Alerts come in the order of the matches that raised them."""
    subject = Engine([rule("one", more_than=0), rule("two", more_than=1)])
    matches = [match(0, rule="two"), match(1, rule="one"), match(2, rule="two")]

    assert [("one", 1), ("two", 2)] == [(a.rule, a.time) for a in subject.feed(matches)]


def test_time_alone_raises_nothing_for_rules_that_count() -> None:
    """They have no deadline, and nobody need tell them from when on they watch."""
    subject = Engine([rule()])
    stream = ("app",)

    assert ([], math.inf) == (list(subject.advance(stream, 1e9)), subject.next_deadline(stream))
    assert subject.has_begun(stream)


def test_state_moves_to_another_engine_as_bytes() -> None:
    """Two events before, one after: the third rings."""
    first = Engine([rule()])
    first.feed([match(0), match(1)])
    second = Engine([rule()], {"fatal": first.freeze("fatal"), "gone": first.freeze("fatal")})

    assert frozenset({"fatal"}) == second.taken_up
    assert [2] == [alert.time for alert in second.feed([match(2)])]


def test_state_of_a_rule_that_changed_its_meaning_is_not_taken_up() -> None:
    """What it counted is not what the rule counts now."""
    first = Engine([rule()])
    first.feed([match(0), match(1)])
    second = Engine([rule(more_than=3)], {"fatal": first.freeze("fatal")})

    assert frozenset() == second.taken_up
    assert {"fatal": 0} == second.keys()


def test_a_reload_keeps_windows_and_applies_new_settings() -> None:
    """Torture G7: a longer window counts what was retained; the cooldown is not reset."""
    old = Engine([rule(), rule("gone")])
    old.feed([match(0), match(1), match(2), match(30)])
    new = Engine([rule(within=300, cooldown=100), rule("added")])
    new.adopt(old)

    assert frozenset({"fatal"}) == new.taken_up
    assert [102] == [alert.time for alert in new.feed([match(101), match(102)])]


def test_evictions_are_counted_by_rule() -> None:
    """Somebody must be told that keys were lost."""
    subject = Engine([rule(max_keys=1, **PER_IP)])
    subject.feed([match(0, ("a",)), match(1, ("b",))])

    assert ({"fatal": 1}, {"fatal": 1}) == (subject.evictions(), subject.keys())


def test_all_evidence_together_is_bounded() -> None:
    """However many keys hold long lines; the count stays exact."""
    subject = Engine([rule(max_keys=100_000, **PER_IP), rule("small")])
    per_key = 750
    count = engine.EVIDENCE_BYTES // per_key + 2 * engine.EVIDENCE_CHECK
    subject.feed([match(n / count, (str(n),), line="x" * 500, offset=n) for n in range(count)])

    held = subject._keyspaces["fatal"].held
    assert count == subject.keys()["fatal"]
    assert engine.EVIDENCE_BYTES // 3 < held <= engine.EVIDENCE_BYTES


def test_the_worst_case_grows_with_keys_values_and_limit() -> None:
    """A rule without ``group_by`` has one key, whatever ``max_keys`` says."""
    assert worst_case_bytes(rule()) < 2_000
    assert worst_case_bytes(rule(more_than=100_000)) > 3_000_000
    assert 10_000_000 < worst_case_bytes(rule(**PER_IP)) < 40_000_000
    assert worst_case_bytes(rule(**PER_IP)) < worst_case_bytes(rule(group_by=("ip", "user")))


def test_many_keys_are_frozen_in_steps() -> None:
    """So that whoever freezes them can let others have their turns."""
    subject = Engine([rule(**PER_IP)])
    subject.feed([match(0, (str(n),)) for n in range(2_500)])
    steps = subject.freezing("fatal")

    taken = 0
    try:
        while True:
            next(steps)
            taken += 1
    except StopIteration as end:
        frozen = end.value

    assert 2 == taken
    assert subject.freeze("fatal") == frozen


@pytest.mark.parametrize("changes", [{"recipients": ("new@example.com",)}, {"cooldown": 1.0}])
def test_a_reload_goes_on_with_what_was_counted(changes: dict[str, Any]) -> None:
    """Whether the rule's keys go on as they are, or are taken up by a rule that differs."""
    before, after = Engine([rule(**PER_IP)]), Engine([rule(**PER_IP, **changes)])
    before.feed([match(0, ("a",)), match(1, ("a",))])

    after.adopt(before)

    assert {"fatal"} == after.taken_up
    assert [3] == [alert.count for alert in after.feed([match(2, ("a",))])]


def test_a_reload_does_not_make_anew_what_judges_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million keys go on without being frozen and thawed, whoever is told now."""
    before = Engine([rule(**PER_IP)])
    after = Engine([rule(**PER_IP, recipients=("new@example.com",))])
    before.feed([match(0, ("a",)), match(1, ("a",))])
    monkeypatch.delattr(Keyspace, "freezing")

    after.adopt(before)

    assert [3] == [alert.count for alert in after.feed([match(2, ("a",))])]


def waiting(name: str = "fatal", **changes: Any) -> Rule:
    """Make a rule that rings after 10 seconds without an event."""
    settings = {"kind": "absence", "more_than": 0, "within": 10.0, "cooldown": 0.0}
    return rule(name, **{**settings, **changes})


def test_time_passes_for_all_rules_of_a_stream_before_a_later_match_of_any() -> None:
    """The earliest deadline first; a match at a deadline comes before it."""
    subject = Engine([waiting("slow"), waiting("fast"), rule("every", more_than=0, cooldown=0)])
    subject.begin(("app",), 0.0)
    subject.begun(("app",), 99.0)
    early = subject.feed([match(4.0, rule="slow"), match(10.0, rule="every")])
    late = subject.feed([match(30.0, rule="every")])

    assert [("every", 10.0)] == [(alert.rule, alert.time) for alert in early]
    assert [("fast", 10.0), ("slow", 14.0), ("every", 30.0)] == [
        (alert.rule, alert.time) for alert in late
    ]


def test_a_stream_whose_time_is_not_up_says_when_it_will_be() -> None:
    """Only its own rules count."""
    subject = Engine([waiting("one", sources=("a",)), waiting("other", sources=("b",))])
    subject.begun(("a",), 0.0)

    assert subject.has_begun(("a",))
    assert not subject.has_begun(("b",))
    assert 10.0 == subject.next_deadline(("a",))
    assert float("inf") == subject.next_deadline(("b",))
    assert [] == list(subject.advance(("a",), 10.0))
    assert [1] == [len(alerts) for alerts in subject.advance(("a",), 10.5)]


def test_what_was_done_is_done_again_after_a_crash_and_no_more() -> None:
    """
    Each rule has its own snapshot, so it cannot be told from others' matches what time did to it.

        begin   4       30
        --------x---!---x--  killed
    """
    rules = [waiting(), rule("every", more_than=0, cooldown=0)]
    trail: list[Match] = []
    subject = Engine(rules)
    subject.begin(("app",), 1.0, trail)
    subject.begun(("app",), 1.0, trail)
    shards = {each.name: Engine(rules).freeze(each.name) for each in rules}
    subject.feed([match(4.0), match(30.0, rule="every")], trail)

    again = Engine(rules, shards)
    again.repeat(trail)
    only_mine = Engine(rules, shards)
    only_mine.repeat(each for each in trail if each.rule == "fatal")

    assert [BEGUN, 4000, PASSED, 30_000] == [each.offset for each in trail]
    assert again.has_begun(("app",))
    assert {each.name: subject.freeze(each.name) for each in rules} == {
        each.name: again.freeze(each.name) for each in rules
    }
    assert subject.freeze("fatal") == only_mine.freeze("fatal")


def test_a_reload_goes_on_waiting_and_a_new_rule_begins() -> None:
    """What has been waited for is not waited for anew."""
    old = Engine([waiting(), waiting("changed")])
    old.begun(("app",), 0.0)
    subject = Engine(
        [
            waiting(recipients=("x@example.com",)),
            waiting("changed", within=20.0),
            waiting("new"),
        ]
    )
    subject.adopt(old)

    assert not subject.has_begun(("app",))
    subject.begun(("app",), 7.0)
    assert [("fatal", 10.0), ("new", 17.0), ("changed", 20.0)] == [
        (alert.rule, alert.time) for alerts in subject.advance(("app",), 50.0) for alert in alerts
    ]
