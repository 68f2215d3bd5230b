"""Matches of many files reach the rules in time order, and none is ever dropped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from core.examples import match
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.ordering import FROZEN_AT_ONCE, File, Ordering

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from alertd.core.events import Match

A: File = ("/a.log", "1")
B: File = ("/b.log", "2")


def at(*times: float, path: str = "/a.log") -> list[Match]:
    """Make matches of one file at these times, one after the other."""
    return [match(time, path=path, offset=index * 10) for index, time in enumerate(times)]


def read(ordering: Ordering, file: File, *times: float, at_end: bool, read_at: float = 0) -> None:
    """Read matches at these times from a file, to its end or not."""
    ordering.add(file, at(*times, path=file[0]), front=max(times), read_at=read_at)
    if at_end:
        ordering.at_end(file)
    else:
        ordering.behind(file, max(times))


def times(matches: Sequence[Match]) -> list[float]:
    """Return the times of matches."""
    return [match.time for match in matches]


def test_nothing_waits_when_all_files_are_at_their_end() -> None:
    """Live work: what is read is judged."""
    ordering = Ordering(0)
    read(ordering, A, 1, 2, 3, at_end=True)

    assert [1, 2, 3] == times(ordering.release())
    assert 0 == ordering.waiting


def test_a_lonely_file_that_is_behind_waits_for_nobody() -> None:
    """Its own next lines come after those that have been read."""
    ordering = Ordering(0)
    read(ordering, A, 1, 2, at_end=False)

    assert [1, 2] == times(ordering.release())


def test_matches_wait_until_every_file_that_is_behind_was_read_past_them() -> None:
    """Torture N3: one file is eight hours behind the other."""
    ordering = Ordering(0)
    ordering.behind(B, None)
    read(ordering, A, 1, 5, 9, at_end=True)
    assert ([], 3, {B}) == (ordering.release(), ordering.waiting, ordering.slowest())

    read(ordering, B, 2, 6, at_end=False)
    assert [1, 2, 5, 6] == times(ordering.release())

    read(ordering, B, 7, at_end=True)
    assert [7, 9] == times(ordering.release())
    assert set() == ordering.slowest()


def test_equal_times_keep_the_order_of_their_files_and_offsets() -> None:
    """So that the same line triggers, whatever is read first."""
    ordering = Ordering(0)
    ordering.behind(A, None)
    read(ordering, B, 5, 5, at_end=True)
    read(ordering, A, 5, 5, at_end=False)

    assert ["/a.log", "/a.log"] == [match.path for match in ordering.release()]
    ordering.at_end(A)
    released = ordering.release()
    assert [("/b.log", 0), ("/b.log", 10)] == [(match.path, match.offset) for match in released]


def test_many_matches_that_wait_are_frozen_in_steps() -> None:
    """So that whoever freezes them can let others have their turns."""
    ordering = Ordering(0)
    ordering.behind(B, None)
    count = 2 * FROZEN_AT_ONCE + 1
    read(ordering, A, *range(count), at_end=True)

    steps = ordering.freezing()
    assert 3 == len(list(steps))
    restored = Ordering(0, ordering.freeze())
    assert list(range(count)) == [match.time for match in restored.flush()]


def test_what_others_wait_for_is_every_file_of_which_nothing_is_known() -> None:
    """Of ten thousand new ones, reading one after the other would take ten thousand looks."""
    ordering = Ordering(0)
    ordering.behind(A, None)
    ordering.behind(B, None)
    ordering.behind(("/c.log", "3"), 5.0)

    assert {A, B} == ordering.slowest()


def test_one_place_may_hold_two_lines_of_one_time() -> None:
    """A truncated file begins again, and may do so within the second of what it held before."""
    ordering = Ordering(0)
    ordering.behind(B, None)
    for line in ("before", "after"):
        again = [match(1, path=A[0], offset=0, line=line)]
        ordering.add(A, again, front=1, read_at=0)
    restored = Ordering(0, ordering.freeze())
    ordering.at_end(B)

    assert ["before", "after"] == [match.line for match in ordering.release()]
    assert ["before", "after"] == [match.line for match in restored.flush()]


def test_a_match_that_comes_too_late_takes_the_newest_time_and_keeps_its_own() -> None:
    """It is counted as late and never dropped."""
    ordering = Ordering(0)
    read(ordering, A, 10, at_end=True)
    ordering.release()
    read(ordering, B, 4, 12, at_end=True)
    late, punctual = ordering.release()

    assert (10, 4, 1) == (late.time, late.event_time, ordering.late)
    assert (12, None) == (punctual.time, punctual.event_time)


def test_another_rule_is_not_concerned_by_what_one_has_seen() -> None:
    """Each rule has a time of its own."""
    ordering = Ordering(0)
    read(ordering, A, 10, at_end=True)
    ordering.release()
    ordering.add(A, [match(4, rule="other")], front=10, read_at=0)

    assert [4] == times(ordering.release())


def test_rules_that_take_turns_are_not_concerned_by_each_other_either() -> None:
    """In one batch, as nearly always: each line matches several rules."""
    ordering = Ordering(0)
    batch = [match(time, rule=rule) for time in (10, 8, 12) for rule in ("one", "other")]
    ordering.add(A, batch, front=12, read_at=0)
    released = [(match.rule, match.time) for match in ordering.release()]
    ordering.add(A, [match(11, rule="one"), match(13, rule="other")], front=13, read_at=0)

    assert [(rule, time) for time in (10, 10, 12) for rule in ("one", "other")] == released
    assert [12, 13] == times(ordering.release())
    assert 3 == ordering.late


def test_within_one_file_the_order_of_lines_counts() -> None:
    """A backlog is judged as it would have been live, line by line, whoever else is behind."""
    live, behind = Ordering(0), Ordering(0)
    expected = []
    for event in at(10, 4, 12):
        live.add(A, [event], front=12, read_at=0)
        expected += live.release()
    behind.behind(B, None)
    behind.add(A, at(10, 4, 12), front=12, read_at=0)
    behind.at_end(A)
    assert [] == behind.release()
    behind.at_end(B)

    assert expected == behind.release()
    assert [10, 10, 12] == times(expected)


def test_a_time_that_the_matcher_brought_back_stays_known() -> None:
    """``event_time`` is what the line said, whoever moved it."""
    ordering = Ordering(0)
    ordering.add(A, [match(10), match(5, event_time=99)], front=10, read_at=0)

    assert [None, 99] == [match.event_time for match in ordering.release()]


def test_lateness_sorts_writers_that_are_out_of_step() -> None:
    """Torture T7: matches wait until an event that much later has been read."""
    ordering = Ordering(5)
    read(ordering, A, 10, 8, 12, at_end=True)
    assert [] == ordering.release()

    read(ordering, A, 9, 16, at_end=True)
    assert [8, 9, 10] == times(ordering.release())
    assert 0 == ordering.late


def test_lateness_ends_when_the_clock_has_gone_that_far() -> None:
    """Or else the last events before a silence would never be judged."""
    ordering = Ordering(5)
    assert ordering.deadline() is None
    read(ordering, A, 10, 12, at_end=True, read_at=100)
    read(ordering, A, 11, 14, at_end=True, read_at=103)

    assert 105 == ordering.deadline()
    assert [] == ordering.release(now=104.9)
    assert [10, 11, 12] == times(ordering.release(now=105))
    assert 108 == ordering.deadline()
    assert [14] == times(ordering.release(now=108))
    assert ordering.deadline() is None


def test_t2_a_clock_that_was_set_back_holds_nothing() -> None:
    """What was read an hour from now waits no longer than what is read now."""
    ordering = Ordering(5)
    read(ordering, A, 1, 2, at_end=True, read_at=3600)

    assert [] == times(ordering.release(100))
    assert 105 == ordering.deadline()
    assert [] == times(ordering.release(104))
    assert [1, 2] == times(ordering.release(105))


def test_t2_what_is_read_after_the_clock_was_set_back_waits_no_longer_than_it_must() -> None:
    """Nor does what came before: neither was read later than the last of them."""
    ordering = Ordering(5)
    read(ordering, A, 1, at_end=True, read_at=100)
    read(ordering, A, 2, at_end=True, read_at=86_500)
    read(ordering, A, 3, at_end=True, read_at=101)

    assert [1] == times(ordering.release(now=105))
    assert [2, 3] == times(ordering.release(now=106))


def test_lateness_counts_from_the_slowest_file_while_one_is_behind() -> None:
    """What it still holds may be older than its newest line by as much."""
    ordering = Ordering(5)
    read(ordering, A, 10, 20, at_end=True, read_at=0)
    read(ordering, B, 14, at_end=False, read_at=0)
    assert [] == ordering.release(now=1000)
    assert ordering.deadline() is None

    read(ordering, B, 16, at_end=False, read_at=0)
    assert [10] == times(ordering.release(now=1000))


def test_a_batch_without_matches_moves_the_front_all_the_same() -> None:
    """Lines that nobody looks for tell the time too."""
    ordering = Ordering(5)
    read(ordering, A, 10, at_end=True, read_at=100)
    ordering.add(A, [], front=15, read_at=101)

    assert [10] == times(ordering.release(now=101))


def test_a_batch_without_matches_is_nothing_to_release() -> None:
    """Most batches of most logs."""
    ordering = Ordering(0)
    ordering.add(A, [], front=15, read_at=101)

    assert [] == ordering.release()


def test_portions_are_what_one_release_would_be() -> None:
    """Both of what just passes and of what has waited for another file, or for the clock."""
    passing, waiting, late = Ordering(0), Ordering(0), Ordering(5)
    read(passing, A, 1, 2, 3, at_end=True)
    waiting.behind(B, None)
    read(waiting, A, 1, 2, 3, at_end=True)
    waiting.at_end(B)
    read(late, A, 1, 2, 3, at_end=True, read_at=100)

    for ordering in (passing, waiting, late):
        assert [[1, 2], [3]] == [times(portion) for portion in ordering.releases(105, 2)]
        assert 0 == ordering.waiting


def test_flush_releases_everything() -> None:
    """At the end of a replay nothing more will come."""
    ordering = Ordering(5)
    ordering.behind(B, None)
    read(ordering, A, 3, 1, at_end=False)

    assert [1, 3] == times(ordering.flush())
    assert 0 == ordering.waiting


STEPS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=60)


def test_what_is_known_of_fronts_does_not_grow_while_nothing_waits() -> None:
    """A file is behind a little at every look, for months, and nothing in it matches."""
    ordering = Ordering(0)
    for second in range(10_000):
        ordering.behind(A, second)
    ordering.behind(B, 20_000)
    read(ordering, B, 9_998, 9_999, 20_000, at_end=False)

    assert 100 > len(ordering._by_front)
    assert {A} == ordering.slowest()
    assert [9_998] == times(ordering.release())


@given(STEPS, st.randoms(use_true_random=False), st.integers(0, 60))
def test_any_interleaving_gives_one_sorted_stream(
    steps: list[tuple[int, int]], choice: random.Random, frozen_after: int
) -> None:
    """Three files, each in order, read in pieces of any size and with a restart in between."""
    files = [(f"/{number}.log", str(number)) for number in range(3)]
    unread: dict[File, list[Match]] = {file: [] for file in files}
    time = 0
    for gap, number in steps:
        time += gap
        queue = unread[files[number]]
        queue.append(match(time, path=files[number][0], offset=len(queue)))
    expected = sorted(
        (event for queue in unread.values() for event in queue),
        key=lambda event: (event.time, event.path, event.offset),
    )
    ordering = Ordering(0)
    for file in files:
        ordering.behind(file, None)

    actual, fronts = [], dict.fromkeys(files, 0.0)
    for step in range(1000):
        if not any(unread.values()):
            break
        file = choice.choice([file for file in files if unread[file]])
        size = choice.randint(1, 5)
        piece, unread[file] = unread[file][:size], unread[file][size:]
        fronts[file] = piece[-1].time
        ordering.add(file, piece, front=fronts[file], read_at=0)
        if step == frozen_after:
            ordering = Ordering(0, ordering.freeze())
        for other in files:
            if unread[other]:
                ordering.behind(other, fronts[other])
            else:
                ordering.at_end(other)
        actual += ordering.release()

    assert expected == actual
    assert 0 == ordering.late


def test_what_is_settled_is_what_was_read_and_does_not_wait() -> None:
    """
    Before the first match that waits, and nowhere while a file is behind, nothing is left.

    With `lateness` there is always one that waits: that must not hold up what is older.
    """
    ordering = Ordering(lateness=10)

    assert math.inf == ordering.settled
    read(ordering, A, 100, at_end=False)
    assert -math.inf == ordering.settled
    ordering.at_end(A)
    assert 100 == ordering.settled
    ordering.release(now=110)
    assert math.inf == ordering.settled
