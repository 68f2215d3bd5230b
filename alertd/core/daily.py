"""
A time of day, every day.

Where clocks are put forward, a time that none of them shows counts as much later as they were put
forward: 02:30 is the moment at which they show 03:30.  Where they are put back, and so show it
twice, the first time counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from alertd.core.windows import HALF_TICK

if TYPE_CHECKING:
    from datetime import time, tzinfo

_DAYS = (-1, 0, 1)
"""Around a day: the next such moment is one of theirs, even past a gap at midnight."""


@dataclass(frozen=True, slots=True)
class Daily:
    """
    A time of day in a time zone.

    Attributes:
        clock: What clocks show then.
        zone: Where they are.
    """

    clock: time
    zone: tzinfo

    def __str__(self) -> str:
        return f"{self.shown} {self.zone}"

    @property
    def shown(self) -> str:
        """What clocks show then, to the minute if it is a full one."""
        return self.clock.isoformat("seconds" if self.clock.second else "minutes")

    def after(self, moment: float) -> float:
        """Give the first such moment that is later, both in Unix seconds."""
        today = datetime.fromtimestamp(moment, self.zone).date()
        # What is not there, or is there twice, is as said above because `fold` is 0.
        near = [
            datetime.combine(today + timedelta(day), self.clock, self.zone).timestamp()
            for day in _DAYS
        ]
        return min(each for each in near if each > moment)

    def since(self, moment: float) -> float:
        """Give the first such moment that is not earlier, both in Unix seconds."""
        return self.after(moment - HALF_TICK)
