"""Work in steps, between which whoever waits may have a turn: a generator that returns a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Generator

Result = TypeVar("Result")


def at_once(steps: Generator[None, None, Result]) -> Result:
    """Take all steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("Result", end.value)
