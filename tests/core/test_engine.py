"""The engine hands every match to its rule, keeps its memory bounded, and moves its state."""

from __future__ import annotations

import math
from typing import Any

import pytest
from core.examples import match, rule

from alertd.core import engine
from alertd.core.engine import Engine, worst_case_bytes
from alertd.core.keyspace import Keyspace

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
