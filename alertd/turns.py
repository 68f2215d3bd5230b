"""
Whose turn it is: which file is read next, so that none holds up the others.

The file that has waited longest comes first.  But between any two turns of those that take several
to read, one is for a file that was read to its end in one turn: neither a backlog nor ten thousand
new files may delay the next line of a file that is kept up with.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alertd.tail import FollowedFile

LOOK_SECONDS = 0.02
"""A look at which files are behind serves for so long, if that many have turns to take, …"""

LOOK_SHARE = 4
"""… and so many times as long as it took: with ten thousand files it takes longer than a turn."""


class Turns:
    """The order in which files that are behind are read."""

    def __init__(self) -> None:
        self._taken = 0
        self._last: dict[tuple[str, str], int] = {}
        self._quick: set[tuple[str, str]] = set()
        self._ready: deque[FollowedFile] = deque()
        self._look_began = 0.0
        self._look_again_at = 0.0

    def __len__(self) -> int:
        return len(self._ready)

    @property
    def is_look_due(self) -> bool:
        """Whether to look again at which files are behind."""
        return not self._ready or time.monotonic() >= self._look_again_at

    def begin_look(self) -> None:
        """Measure how long it takes to find out which files are behind."""
        self._look_began = time.monotonic()

    def line_up(self, readable: Sequence[FollowedFile]) -> None:
        """Take up which files can be read."""
        last, quick = self._last, self._quick
        waiting = sorted(readable, key=lambda file: last.get((file.source, file.id), 0))
        ahead = [file for file in waiting if (file.source, file.id) in quick]
        others = [file for file in waiting if (file.source, file.id) not in quick]
        pairs = chain.from_iterable(zip_longest(ahead, others))
        self._ready = deque(file for file in pairs if file is not None)
        now = time.monotonic()
        self._look_again_at = now + max(LOOK_SECONDS, LOOK_SHARE * (now - self._look_began))

    def take(self) -> FollowedFile:
        """Return the file whose turn it is."""
        file = self._ready.popleft()
        self._taken += 1
        self._last[file.source, file.id] = self._taken
        return file

    def ended(self, file: FollowedFile) -> None:
        """Note how far a turn has brought a file."""
        if file.is_behind:
            self._quick.discard((file.source, file.id))
        else:
            self._quick.add((file.source, file.id))

    def clear(self) -> None:
        """Look again before the next turn."""
        self._ready.clear()

    def keep(self, files: Iterable[tuple[str, str]]) -> None:
        """Forget all files but these: rotation makes new ones for ever."""
        followed = frozenset(files)
        self._quick &= followed
        self._last = {file: turn for file, turn in self._last.items() if file in followed}
