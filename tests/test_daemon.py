"""The daemon keeps its loops going, and knows when to give up."""

from __future__ import annotations

import asyncio

import pytest

from alertd import daemon
from alertd.daemon import RepeatedFailureError, supervised


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a failed loop again at once."""
    monkeypatch.setattr(daemon, "FIRST_PAUSE_SECONDS", 0.0)


class Loop:
    """A loop that fails so many times and then ends."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0

    async def run(self) -> None:
        """Fail, or end."""
        self.starts += 1
        if self.starts <= self.failures:
            raise ValueError(f"failure {self.starts}")


def test_a_failed_loop_is_started_again() -> None:
    """Its siblings never notice."""
    loop = Loop(failures=4)
    asyncio.run(supervised("loop", loop.run))

    assert 5 == loop.starts


def test_a_loop_that_fails_again_and_again_ends_the_process() -> None:
    """Torture P9: five times within a minute; a new process may do better."""
    loop = Loop(failures=100)

    with pytest.raises(RepeatedFailureError, match="the loop failed 5 times in a minute"):
        asyncio.run(supervised("loop", loop.run))
    assert 5 == loop.starts
