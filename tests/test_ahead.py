"""What is done ahead is had once, in order, or not at all."""

from __future__ import annotations

import threading

import pytest

from alertd.ahead import Ahead


def test_what_was_begun_is_taken_once() -> None:
    """By its key; there is nothing before it is begun, and nothing after it was taken."""
    ahead: Ahead[int] = Ahead()

    taken = [ahead.take("a")]
    ahead.begin("a", lambda: 1)
    taken += [ahead.take("a"), ahead.take("a")]
    ahead.close()

    assert [None, 1, None] == taken


def test_what_nobody_asks_for_is_dropped() -> None:
    """Another key drops it, and the next work gives its own result."""
    ahead: Ahead[int] = Ahead()
    ahead.begin("a", lambda: 1)

    taken = [ahead.take("b")]
    ahead.begin("b", lambda: 2)
    taken += [ahead.take("b"), ahead.take("a")]
    ahead.close()

    assert [None, 2, None] == taken


def test_an_error_is_raised_where_the_result_is_taken() -> None:
    """And no other work suffers from it; one that is dropped is raised nowhere."""
    ahead: Ahead[float] = Ahead()
    ahead.begin("a", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ahead.take("a")
    ahead.begin("a", lambda: 1 / 0)
    assert ahead.take("b") is None
    ahead.begin("b", lambda: 3)

    assert ahead.take("b") == 3
    ahead.close()


def test_its_thread_ends() -> None:
    """Also while it holds what nobody took; without work there is none."""
    ahead: Ahead[int] = Ahead()
    ahead.close()
    before = threading.active_count()
    ahead.begin("a", lambda: 1)
    ahead.close()
    ahead.close()

    assert before == threading.active_count()
