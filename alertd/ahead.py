"""
Do the next piece of work while the last one is being used.

To read a megabyte takes a quarter of the time that it takes to judge it, and neither needs the
other: a thread reads while Hyperscan scans.

Refuses to hold more than one piece, so that memory stays bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

T = TypeVar("T")


class Ahead(Generic[T]):
    """A thread that does one thing at a time, and what it has done."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._begun: tuple[object, Future[T]] | None = None

    def begin(self, key: object, work: Callable[[], T]) -> None:
        """
        Begin some work; what has been begun before must have been taken or dropped.

        Args:
            key: What it is known by.
            work: What is to be done.
        """
        if self._thread is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for large files

            self._thread = ThreadPoolExecutor(1, "ahead")
        self._begun = key, self._thread.submit(work)

    def take(self, key: object) -> T | None:
        """
        Wait for what was begun last, if it is known by this; drop it if it is known by another.

        Raises:
            Exception: What the work raised.
        """
        if self._begun is None:
            return None
        (begun, future), self._begun = self._begun, None
        # Whoever drops it may close what it reads from, so it must be over.
        future.exception()
        return future.result() if begun == key else None

    def close(self) -> None:
        """End the thread, after what it is doing."""
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
