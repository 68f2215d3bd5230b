"""
Do the next piece of work while the last one is being used.

To read a megabyte takes a quarter of the time that it takes to judge it, and neither needs the
other: a thread reads while Hyperscan scans.

Refuses to hold more than one piece, so that memory stays bounded.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Ahead(Generic[T]):
    """A thread that does one thing at a time, and what it has done."""

    def __init__(self) -> None:
        self._wanted: SimpleQueue[Callable[[], T] | None] = SimpleQueue()
        self._done: SimpleQueue[T | Exception] = SimpleQueue()
        self._thread: Thread | None = None
        self._key: object = None

    def begin(self, key: object, work: Callable[[], T]) -> None:
        """
        Begin some work; what has been begun before must have been taken or dropped.

        Args:
            key: What it is known by; not None.
            work: What is to be done.
        """
        if self._thread is None:
            self._thread = Thread(target=self._work, name="ahead", daemon=True)
            self._thread.start()
        self._key = key
        self._wanted.put(work)

    def take(self, key: object) -> T | None:
        """
        Wait for what was begun last, if it is known by this; drop it if it is known by another.

        Raises:
            Exception: What the work raised.
        """
        if self._key is None:
            return None
        is_meant, self._key = self._key == key, None
        done = self._done.get()
        if not is_meant:
            return None
        if isinstance(done, Exception):
            raise done
        return done

    def close(self) -> None:
        """End the thread, after what it is doing."""
        if self._thread is not None:
            self._wanted.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (work := self._wanted.get()) is not None:
            try:
                self._done.put(work())
            except Exception as error:  # noqa: BLE001 - whoever takes it has it raised
                self._done.put(error)
