"""
The kernel's hints that something happened in a directory.

They only ever hasten a look that would be taken anyway: they get lost when the queue overflows,
they never come from network file systems, and they name files by names that may be stale.

Trap: a watch on a file goes blind when the file is renamed, so directories are watched; and one
on a directory goes blind when that is removed, so each watch is bound to the directory's inode.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchfiles._rust_notify import RustNotify

    from alertd.tail.survey import View

log = structlog.get_logger(__name__)

STEP_MS: Final = 6
"""How often watchfiles looks for changes: it reports them after one to two of these."""

IDLE_STEP_MS: Final = 25
"""The same when nothing has changed for a while: each look costs 60 µs, and that adds up."""

_ACTIVE: Final = 5.0
"""Seconds after a change during which the next one is expected soon."""

_ENDLESS_MS: Final = 3_600_000

_RETRY: Final = 30.0
"""Seconds before trying again to watch, after the kernel refused to."""

_ADDED: Final = 1
"""What watchfiles calls a name that is new, be it by renaming."""

_MOST: Final = 8192
"""Directories watched; the scan alone looks after more."""


class Hints:
    """
    Watches directories and reports the paths of what changed in them.

    Args:
        report: Told the paths of what changed.
        on_start: Called when changes begin to be reported: earlier ones were not.
        catch: Told new names at once, in a thread that waits for nobody.

    Attributes:
        parents: Watched only because what is wanted below them does not exist yet.
    """

    def __init__(
        self,
        report: Callable[[set[str]], None],
        on_start: Callable[[], None],
        catch: Callable[[list[str]], None],
    ) -> None:
        self._report = report
        self._on_start = on_start
        self._catch = catch
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._wanted: frozenset[tuple[str, int, int]] = frozenset()
        self._is_changed = asyncio.Event()
        self._is_refused = False
        self.parents: frozenset[str] = frozenset()

    def watch(self, view: View) -> None:
        """Watch the directories that were looked into, and the way to those that are missing."""
        wanted = {(directory, *listing.identity) for directory, listing in view.listings.items()}
        parents = set()
        for _, glob in view.empty:
            parent, next_name = _nearest(glob)
            if parent is not None:
                path, identity = parent
                wanted.add((path, *identity))
                parents.add(next_name)
        self.parents = frozenset(parents)
        if self._wanted != wanted:
            self._wanted = frozenset(wanted)
            self._is_changed.set()

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            self._is_changed.clear()
            if not self._wanted:
                await self._is_changed.wait()
                continue
            stop = asyncio.Event()
            paths = [path for path, *_ in self._wanted]
            watching = asyncio.create_task(self._watch(paths, stop))
            changing = asyncio.create_task(self._is_changed.wait())
            try:
                await asyncio.wait((watching, changing), return_when=asyncio.FIRST_COMPLETED)
            finally:
                # The thread must be out of it before it is closed: it ends within a step.
                stop.set()
                changing.cancel()
                await asyncio.wait((watching, changing))
            if not watching.cancelled() and watching.exception() is not None:
                await self._wait_after(watching.exception())

    async def _watch(self, directories: list[str], stop: asyncio.Event) -> None:
        # `awatch` itself keeps one step for good, hence what it is made of.
        from watchfiles._rust_notify import RustNotify  # noqa: PLC0415 - takes 30 ms

        with RustNotify(
            sorted(directories)[:_MOST],
            False,  # noqa: FBT003 - positional only: debug,
            False,  # noqa: FBT003 - polling,
            0,  # its delay,
            False,  # noqa: FBT003 - subdirectories,
            True,  # noqa: FBT003 - directories that may not be looked into are left out
        ) as notify:
            self._on_start()
            await asyncio.to_thread(self._listen, notify, stop, asyncio.get_running_loop())

    def _listen(
        self, notify: RustNotify, stop: asyncio.Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Hear of changes until told to stop, however busy everybody else is."""
        step = IDLE_STEP_MS
        while True:
            patience = 1000 * _ACTIVE if step == STEP_MS else _ENDLESS_MS
            changes = notify.watch(0, step, int(patience), stop)
            if isinstance(changes, set):
                step = STEP_MS
                self._is_refused = False
                self._catch([path for kind, path in changes if kind == _ADDED])
                with self._lock:
                    is_told = bool(self._changed)
                    self._changed.update(path for _, path in changes)
                if not is_told:
                    loop.call_soon_threadsafe(self._tell)
            elif changes == "timeout":
                step = IDLE_STEP_MS
            else:
                return

    def _tell(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
        self._report(changed)

    async def _wait_after(self, error: BaseException | None) -> None:
        """Wait before watching again: until the directories change, or for a while."""
        if not self._is_refused:
            self._is_refused = True
            log.warning("watching refused; scanning only", reason=str(error))
        try:
            async with asyncio.timeout(_RETRY):
                await self._is_changed.wait()
        except TimeoutError:
            pass


def _nearest(glob: str) -> tuple[tuple[str, tuple[int, int]] | None, str]:
    """Find the deepest directory on the way to what a glob means, and the name wanted in it."""
    parts = [part for part in glob.split("/") if part]
    literal = []
    for part in parts[:-1]:
        if any(character in part for character in "*?["):
            break
        literal.append(part)
    while True:
        path = "/" + "/".join(literal)
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            literal.pop()
            continue
        following = parts[len(literal)]
        return (path, (status.st_dev, status.st_ino)), f"{path.rstrip('/')}/{following}"
