"""
Which files a glob means, found by listing directories that somebody else lists.

Python's ``glob`` lists anew each time, follows links into loops under ``**``, and does not say
which directories it looked into; those are what has to be watched.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alertd.tail.survey import Entry

_DEEPEST: Final = 32
"""Levels that ``**`` descends: no log lies deeper, and a loop ends here."""

_MAGIC: Final = re.compile(r"[*?\[]")


class Glob:
    """
    An absolute pattern in the shell's manner; ``**`` stands for any number of directories.

    As in a shell, a wildcard at the beginning of a name does not match a leading dot.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = tuple(_Part(part) for part in text.split("/") if part)

    def matches(self, path: str) -> bool:
        """Tell whether the pattern means ``path``, whether or not that exists."""
        return self._matches(tuple(part for part in path.split("/") if part), 0, 0)

    def walk(self, listing: Callable[[str], Mapping[str, Entry]]) -> Iterator[str]:
        """
        Find the names that match.

        Args:
            listing: Tells what a directory holds; nothing if it cannot be listed.
        """
        yield from self._walk("", 0, 0, listing)

    def _matches(self, names: tuple[str, ...], at: int, part: int) -> bool:
        if part == len(self._parts):
            return at == len(names)
        if self._parts[part].is_deep:
            return any(
                self._matches(names, later, part + 1)
                for later in range(at, len(names) + 1)
                if not any(name.startswith(".") for name in names[at:later])
            )
        return (
            at < len(names)
            and self._parts[part].matches(names[at])
            and self._matches(names, at + 1, part + 1)
        )

    def _walk(  # noqa: C901 - one branch for each kind of part
        self, directory: str, part: int, depth: int, listing: Callable[[str], Mapping[str, Entry]]
    ) -> Iterator[str]:
        wanted = self._parts[part]
        is_last = part == len(self._parts) - 1
        if wanted.literal is not None and not is_last:
            # Parents of a log directory may be searchable without being readable.
            yield from self._walk(f"{directory}/{wanted.literal}", part + 1, depth, listing)
            return
        if wanted.is_deep and not is_last:
            yield from self._walk(directory, part + 1, depth, listing)
        for name, entry in listing(directory or "/").items():
            path = f"{directory}/{name}"
            if wanted.is_deep:
                if name.startswith("."):
                    continue
                if is_last:
                    yield path
                if entry.is_directory and not entry.is_link and depth < _DEEPEST:
                    yield from self._walk(path, part, depth + 1, listing)
            elif wanted.matches(name):
                if is_last:
                    yield path
                elif entry.is_directory:
                    yield from self._walk(path, part + 1, depth, listing)


class _Part:
    """One name of a pattern."""

    def __init__(self, text: str) -> None:
        self.is_deep = text == "**"
        self.literal = None if _MAGIC.search(text) else text
        self._regex = re.compile(fnmatch.translate(text))
        self._sees_dots = text.startswith(".")

    def matches(self, name: str) -> bool:
        if self.literal is not None:
            return name == self.literal
        if name.startswith(".") and not self._sees_dots:
            return False
        return self._regex.match(name) is not None


def excludes(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """
    Return what tells whether one of ``patterns`` leaves a path out.

    A pattern without a slash is about names in any directory.
    """
    globs = [Glob(pattern if "/" in pattern else f"/**/{pattern}") for pattern in patterns]
    return lambda path: any(glob.matches(path) for glob in globs)
