"""
What keeps a regex from holding everything up: an outside watch that may interrupt it.

The core cannot tell the time.  It only says which of its steps is running; a watch that sees the
same step twice raises ``Overdue`` inside it (see ``alertd.deadline``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


class Overdue(Exception):  # noqa: N818 - not an error: the answer is that there is none in time
    """A regex was stopped; whether its line matches is not known."""


class Deadline(Protocol):
    """
    Watches while it is entered.

    Attributes:
        step: A number that differs from one step to the next; None between steps, when nothing
            may be interrupted.
        is_due: So much time has passed that the rest should wait for another turn.
    """

    step: int | None
    is_due: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class NoDeadline:
    """A watch that never interrupts: for threads other than the main one."""

    step: int | None = None
    is_due = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass
