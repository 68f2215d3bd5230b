"""
What keeps files from being read.

It is said once per cause, and kept for whoever watches alertd itself.
"""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_KEPT: Final = 1000

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE})


@dataclass(frozen=True, slots=True)
class Problem:
    """
    Something that made alertd blind, or might have.

    Attributes:
        kind: ``permission denied``, ``not a regular file``, ``lines lost`` and so on.
        source: Which source.
        path: Which file.
        detail: What happened and what to do, in a sentence.
        lost: Bytes that may be lost, at most.
    """

    kind: str
    source: str
    path: str
    detail: str
    lost: int = 0


class Troubles:
    """Says each problem once until it is over."""

    def __init__(self) -> None:
        self._current: dict[tuple[str, str, str], Problem] = {}
        self._new: deque[Problem] = deque(maxlen=_KEPT)

    def current(self) -> list[Problem]:
        """Return what lasts."""
        return list(self._current.values())

    def take_new(self) -> list[Problem]:
        """Return what began or happened since the last call."""
        taken = list(self._new)
        self._new.clear()
        return taken

    def begin(self, problem: Problem) -> None:
        """Say a lasting problem, unless it has been said."""
        key = (problem.kind, problem.source, problem.path)
        if key not in self._current:
            self._current[key] = problem
            self.happen(problem)

    def cannot_read(self, source: str, path: str, error: OSError) -> None:
        """Say why a file cannot be read and what to do about it."""
        if error.errno in _DENIED:
            kind = "permission denied; retrying"
            remedy = "let alertd's user read it, for example through its group"
        elif error.errno in EXHAUSTED:
            kind = "too many open files; retrying"
            remedy = "raise LimitNOFILE"
            path = ""
        elif error.errno == errno.ENOENT:
            return
        else:
            kind = "file cannot be read; retrying"
            remedy = "see the reason"
        reason = error.strerror or type(error).__name__
        self.begin(Problem(kind, source, path, f"{path or source}: {reason}; retrying: {remedy}"))

    def end(self, source: str, path: str) -> None:
        """Take note that nothing is wrong with a file any more."""
        for key in [key for key in self._current if key[1:] == (source, path)]:
            del self._current[key]

    def happen(self, problem: Problem) -> None:
        """Say something that happened and is over."""
        self._new.append(problem)
        facts: dict[str, str | int] = {"source": problem.source, "path": problem.path}
        if problem.lost:
            facts["lost_up_to_bytes"] = problem.lost
        log.warning(problem.kind, detail=problem.detail, **facts)
