"""Keys for which time alone counts, too."""

from __future__ import annotations

from typing import Any

from core.examples import match, rule

from alertd.core.events import PASSED
from alertd.core.timed import TimedKeyspace


def keyspace(**changes: Any) -> TimedKeyspace:
    """Make the keys of a rule that rings after 10 seconds without an event."""
    settings = {"kind": "absence", "more_than": 0, "within": 10.0, "cooldown": 0.0}
    return TimedKeyspace(rule(**{**settings, **changes}))


def test_nothing_is_due_before_it_is_known_from_when_on_the_rule_watches() -> None:
    """Then what is expected has a deadline, although nothing of it has come."""
    subject = keyspace()

    assert float("inf") == subject.due
    assert subject.begin(5.0)
    assert 15.0 == subject.due


def test_until_the_first_match_the_beginning_may_move_back() -> None:
    """The second file's first line may be older than the first one's; a newer one is no news."""
    subject = keyspace()

    assert [True, True, False] == [subject.begin(time) for time in (5.0, 3.0, 4.0)]
    assert 13.0 == subject.due


def test_what_is_fed_before_anybody_said_so_is_the_beginning() -> None:
    """Who feeds matches directly begins with the first of them."""
    subject = keyspace()

    assert None is subject.feed(match(7.0))
    assert 7.0 == subject.since
    assert 17.0 == subject.due


def test_what_comes_after_its_time_was_judged_takes_that_time() -> None:
    """What was told cannot be undone; what the line itself said stays known."""
    subject = keyspace()
    subject.begin(0.0)
    passing = subject.passing()
    alert = subject.expire(passing)
    subject.feed(match(4.0))

    assert (10.0, PASSED, ()) == (passing.time, passing.offset, passing.key)
    assert alert is not None
    assert 10.0 == alert.time
    assert 20.0 == subject.settled()


def test_a_passing_that_is_repeated_for_a_key_that_is_gone_changes_nothing() -> None:
    """After a reload there may be keys in the journal that nobody remembers."""
    subject = keyspace(group_by=("host",))
    subject.feed(match(0.0, ("a",)))

    assert None is subject.expire(match(5.0, ("gone",), offset=PASSED))
    assert None is subject.expire(match(5.0, ("a",), offset=PASSED))
    assert 10.0 == subject.due


def test_a_snapshot_keeps_since_when_and_up_to_when() -> None:
    """Deadlines are not stored: they follow from what is."""
    subject = keyspace()
    subject.begin(0.0)
    subject.feed(match(8.0))
    again = TimedKeyspace(subject.rule, subject.freeze())

    assert 18.0 == again.due
    assert 0.0 == again.since
    again.expire(again.passing())
    assert 18.0 == TimedKeyspace(subject.rule, again.freeze()).passed
