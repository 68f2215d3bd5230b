"""
What lies in the directories: names, inodes, and what the globs mean.

It looks and remembers what it saw; it opens nothing and decides nothing.  It may block, so it
runs in a thread, one look at a time.

Trap: a directory's time of modification tells whether it must be listed again, but only once that
time is safely past.  Whatever happens in the same tick of the clock leaves it unchanged.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from alertd.tail.globs import Glob, excludes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alertd.core.rules import Source

_SETTLED_NS: Final = 100_000_000
_OLDEST: Final = 10.0
"""Seconds after which a listing is not believed any more: network file systems cache times."""

_LISTINGS: Final = 5
"""Times that a directory is listed again in which names change all the time."""

_MOST_WITHIN: Final = 64
"""Directories within one into which is looked for a file that is gone."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory."""

    inode: int
    is_directory: bool
    is_link: bool


@dataclass(slots=True)
class Listing:
    """What a directory held."""

    identity: tuple[int, int]
    mtime_ns: int
    looked_at: float
    looked_at_ns: int
    names: dict[str, Entry]

    @property
    def device(self) -> int:
        """The device of what lies in it, mounts apart."""
        return self.identity[0]


@dataclass(frozen=True, slots=True)
class Found:
    """
    A file that a source's globs mean.

    Attributes:
        path: Its name.
        target: Where the name leads, if it is a symbolic link, else ``path``.
        status: Of the file itself.
        globs: The patterns that mean it.
    """

    path: str
    target: str
    status: os.stat_result
    globs: tuple[str, ...]

    @property
    def is_regular(self) -> bool:
        """It is no FIFO, socket, device or directory."""
        return stat.S_ISREG(self.status.st_mode)


@dataclass(frozen=True, slots=True)
class Own:
    """
    What alertd itself writes.

    Attributes:
        files: Device and inode.
        directory: All that lies in it, and beneath; empty for none.
    """

    files: frozenset[tuple[int, int]] = frozenset()
    directory: str = ""

    def holds(self, target: str, status: os.stat_result) -> bool:
        """Tell whether a file is among that."""
        return (status.st_dev, status.st_ino) in self.files or (
            bool(self.directory) and target.startswith(f"{self.directory}/")
        )


NOTHING: Final = Own()


@dataclass(slots=True)
class View:
    """
    What one look saw.

    Attributes:
        found: By source and path.
        listings: By directory.
        empty: Source and glob of patterns that mean nothing now.
        refused: Kind of trouble, source, path and detail of what the globs mean and nobody reads.
        is_changed: It differs from what the look before saw.
    """

    found: dict[str, dict[str, Found]] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    empty: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, str, str]] = field(default_factory=list)
    is_changed: bool = True

    def directories_in(self, directory: str) -> list[str]:
        """Return the directories that lie in one that was listed, as many as one may look into."""
        listing = self.listings.get(directory)
        names = [] if listing is None else sorted(listing.names)
        return [
            f"{directory.rstrip('/')}/{name}"
            for name in names
            if listing is not None
            and listing.names[name].is_directory
            and not listing.names[name].is_link
        ][:_MOST_WITHIN]


class Survey:
    """Looks at the directories of some sources."""

    def __init__(self, sources: Sequence[Source], own: Own = NOTHING) -> None:
        self._own = own
        self._listings: dict[str, Listing] = {}
        self._sources: list[tuple[str, list[Glob], tuple[str, ...]]] = []
        for source in sources:
            globs = [Glob(path) for path in source.paths]
            self._sources.append((source.name, globs, source.exclude))
        self._excludes = {source.name: excludes(source.exclude) for source in sources}

    def means(self, source: str, path: str) -> bool:
        """Tell whether a source's globs mean a path, whether or not it exists."""
        return any(
            name == source
            and not self._excludes[name](path)
            and any(glob.matches(path) for glob in globs)
            for name, globs, _ in self._sources
        )

    def is_of_interest(self, path: str) -> bool:
        """Tell whether any source's globs mean a path."""
        return any(self.means(name, path) for name, _, _ in self._sources)

    def look(self, directories: Iterable[str], *, is_forced: bool) -> View:  # noqa: C901 - in steps
        """
        See what there is now.

        Args:
            directories: Looked into besides those that the globs name.
            is_forced: Believe no earlier listing.
        """
        before = self._listings
        if before and not is_forced and before.keys() >= set(directories):
            seen = {name: self._list(name, listing) for name, listing in before.items()}
            if all(seen[name] is listing for name, listing in before.items()):
                return View(is_changed=False)
        view = View()
        self._listings = view.listings

        def listing(directory: str) -> Mapping[str, Entry]:
            if directory not in view.listings:
                seen = self._list(directory, None if is_forced else before.get(directory))
                if seen is None:
                    return {}
                view.listings[directory] = seen
            return view.listings[directory].names

        for directory in directories:
            listing(directory)
        paths: dict[str, dict[str, list[str]]] = {}
        for name, globs, _ in self._sources:
            mine = paths.setdefault(name, {})
            for glob in globs:
                is_empty = True
                for path in glob.walk(listing):
                    if not self._excludes[name](path):
                        is_empty = False
                        mine.setdefault(path, []).append(glob.text)
                if is_empty:
                    view.empty.append((name, glob.text))
        view.is_changed = (
            is_forced
            or before.keys() != view.listings.keys()
            or any(before[directory] is not seen for directory, seen in view.listings.items())
        )
        if view.is_changed:
            for name, mine in paths.items():
                view.found[name] = self._stat(name, mine, view)
        return view

    def _stat(self, source: str, paths: dict[str, list[str]], view: View) -> dict[str, Found]:
        found = {}
        for path, globs in sorted(paths.items()):
            links = _links(path, view)
            try:
                status = os.stat(path)  # noqa: PTH116 - ten thousand of them
            except OSError:
                continue  # gone since, or a dangling link
            if stat.S_ISDIR(status.st_mode) and any(glob.endswith("*") for glob in globs):
                continue  # nobody who writes `dir/*` means the directories in it
            target = os.path.realpath(path) if links else path
            stranger = _stranger(links, status)
            if stranger is not None:
                detail = (
                    f"{path}: {stranger} is a symlink whose maker does not own what it"
                    f" leads to ({target}): name that file in paths, or chown -h root the link"
                )
                view.refused.append(("symlink of a stranger", source, path, detail))
                continue
            if self._own.holds(target, status):
                detail = f"{path}: would watch own output, skipped: narrow the glob or exclude it"
                view.refused.append(("would watch own output", source, path, detail))
                continue
            found[path] = Found(path, target, status, tuple(globs))
        return found

    @staticmethod
    def _list(directory: str, before: Listing | None) -> Listing | None:
        try:
            status = os.stat(directory)  # noqa: PTH116 - see above
            identity = (status.st_dev, status.st_ino)
            now = time.monotonic()
            if (
                before is not None
                and before.identity == identity
                and before.mtime_ns == status.st_mtime_ns
                and before.looked_at_ns - before.mtime_ns > _SETTLED_NS
                and now - before.looked_at < _OLDEST
            ):
                return before
            looked_at_ns = time.time_ns()
            names = _names(directory)
            # A file that is renamed while its directory is listed may be seen under no name, or
            # under two: what changes is listed until it is seen twice alike.
            for _ in range(_LISTINGS if before is None or names != before.names else 0):
                seen, names = names, _names(directory)
                if seen == names:
                    break
        except OSError:
            return None
        if before is not None and before.identity == identity and before.names == names:
            before.mtime_ns = status.st_mtime_ns
            before.looked_at = now
            before.looked_at_ns = looked_at_ns
            return before
        return Listing(identity, status.st_mtime_ns, now, looked_at_ns, names)


def _names(directory: str) -> dict[str, Entry]:
    with os.scandir(directory) as entries:
        return {
            entry.name: Entry(entry.inode(), _is_directory(entry), entry.is_symlink())
            for entry in entries
        }


def _links(path: str, view: View) -> list[str]:
    """Return which of the names on the way to a file, as far as globs chose them, are links."""
    links = []
    while path:
        directory, _, name = path.rpartition("/")
        listing = view.listings.get(directory or "/")
        if listing is not None and name in listing.names and listing.names[name].is_link:
            links.append(path)
        path = directory
    return links


def _stranger(links: list[str], status: os.stat_result) -> str | None:
    """
    Return a link that its maker may have laid to have a file read that he may not read himself.

    One made by root, by us, or by the owner of what it leads to betrays nothing.
    """
    trusted = {0, os.geteuid(), status.st_uid}
    for link in links:
        try:
            owner = os.lstat(link).st_uid
        except OSError:
            continue
        if owner not in trusted:
            return link
    return None


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
