"""
Stop a regex that takes too long, by a signal.

Python's ``re`` looks for signals while it works, but only in the main thread, so that is where a
Deadline works.  It counts the process's own computing time: a machine that is busy with other
things stops no regex.

Trap: arming a timer costs as much as several regexes, so it is armed once for many of them, and its
tick stops only what was already running at the tick before.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Self

from alertd.core.deadline import Overdue

if TYPE_CHECKING:
    from types import FrameType, TracebackType


# Ticks after which others should have their turn.  With one more step, which may take two, nothing
# waits longer than 40 ms.
TICKS_OF_A_TURN = 3


class Deadline:
    """
    Lets no step take longer than two ticks, and says when a turn has been long enough.

    Attributes:
        step: What is running, or None when nothing may be stopped.
        is_due: The turn has been long enough.
    """

    def __init__(self, tick: float = 0.008) -> None:
        """
        Prepare, without touching any signal.

        Args:
            tick: Seconds of computing time; a step is stopped after one to two of them.
        """
        self.step: int | None = None
        self.is_due = False
        self._ticks = 0
        self._tick = tick
        self._seen: int | None = None
        self._previous: signal._HANDLER = None
        self._timer = (0.0, 0.0)

    def __enter__(self) -> Self:
        self.step = self._seen = None
        self.is_due = False
        self._ticks = 0
        self._previous = signal.signal(signal.SIGVTALRM, self._on_tick)
        self._timer = signal.setitimer(signal.ITIMER_VIRTUAL, self._tick, self._tick)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.step = None
        signal.setitimer(signal.ITIMER_VIRTUAL, *self._timer)
        signal.signal(signal.SIGVTALRM, self._previous)

    def _on_tick(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._ticks += 1
        self.is_due = self._ticks >= TICKS_OF_A_TURN
        if self.step is not None and self.step == self._seen:
            # A second tick while the first is being dealt with must not stop the next step.
            self._seen = None
            raise Overdue
        self._seen = self.step
