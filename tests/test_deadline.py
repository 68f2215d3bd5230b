"""A regex that takes too long is stopped, and nothing else is."""

from __future__ import annotations

import re
import signal
import time

import pytest

from alertd.core.deadline import NoDeadline, Overdue
from alertd.deadline import Deadline


def busy(seconds: float) -> None:
    """Compute for a while, in user mode: looking at the clock is not what the timer counts."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(5_000))


def test_a_step_that_takes_two_ticks_is_stopped() -> None:
    """Even inside a single call of ``re``."""
    with Deadline(0.004) as deadline:
        deadline.step = 1
        with pytest.raises(Overdue):
            re.search(r"(a+)+$", "a" * 40 + "!")
        deadline.step = None


def test_many_short_steps_are_not() -> None:
    """However long they take together."""
    with Deadline(0.02) as deadline:
        for step in range(30):
            deadline.step = step
            busy(0.003)
        deadline.step = None


def test_nothing_is_stopped_between_steps() -> None:
    """Reading a time or a field may take as long as it takes."""
    with Deadline(0.004):
        busy(0.05)


def test_a_turn_is_due_after_some_ticks() -> None:
    """The next one begins anew."""
    with Deadline(0.004) as deadline:
        assert not deadline.is_due
        busy(0.05)
        assert deadline.is_due

    with deadline:
        assert not deadline.is_due


def test_what_was_there_before_is_back_afterwards() -> None:
    """The handler and the timer, also when something else went wrong."""
    before = signal.getsignal(signal.SIGVTALRM)

    deadline = Deadline(0.004)
    with pytest.raises(KeyError), deadline:
        raise KeyError

    assert before == signal.getsignal(signal.SIGVTALRM)
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_VIRTUAL)
    assert deadline.step is None


def test_without_a_deadline_nothing_is_stopped() -> None:
    """That is for threads other than the main one."""
    with NoDeadline() as deadline:
        deadline.step = 1
        busy(0.05)

    assert 1 == deadline.step
