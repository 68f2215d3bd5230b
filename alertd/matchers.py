"""
From settings to matchers, one for each source that some rule watches.

Compiling a thousand patterns takes a second and leaves memory behind, so what was made of them is
kept beside the state.

Trap: a kept plan that is stale or damaged would lose lines in silence.  The matcher knows whether
one is for its rules; here it is made sure that it was made by this code, on such a machine, and is
as it was written.  In every other case it is made anew.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import alertd.core
from alertd.core.matching import Matcher
from alertd.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alertd.core.rules import Rule, Source

_DIGEST_BYTES = 32
_SAMPLE_BYTES = 64 * 1024
_SAMPLED_FILES = 16


def watched(sources: Iterable[Source], rules: Iterable[Rule]) -> list[Source]:
    """Return the sources that some rule watches."""
    names = {name for rule in rules for name in rule.sources}
    return [source for source in sources if source.name in names]


def compile_matchers(
    sources: Iterable[Source], rules: Iterable[Rule], *, cache: Path | None = None
) -> dict[str, Matcher]:
    """
    Compile the rules of every watched source.

    Args:
        sources: All of them.
        rules: All of them.
        cache: A directory for what is compiled; made if it is not there.

    Returns:
        Matchers by the name of their source.
    """
    rules = list(rules)
    kept = None if cache is None else _Kept(cache)
    matchers = {}
    for source in watched(sources, rules):
        own = [rule for rule in rules if source.name in rule.sources and not rule.watches]
        known = None if kept is None else kept.load(source.name)
        matcher = matchers[source.name] = Matcher(
            source,
            own,
            database=known,
            deadline=Deadline(),
            sample=partial(sample_of, source),
        )
        if kept is not None:
            made = matcher.dump()
            if made != known:
                kept.save(source.name, made)
    return matchers


def sample_of(source: Source) -> bytes:
    """Return some lines that are in a source's files now: of the first that has any."""
    import glob  # noqa: PLC0415 - only where rules are compiled anew

    from alertd.tail.content import NotRegularError, open_content  # noqa: PLC0415

    found = (path for pattern in source.paths for path in glob.iglob(pattern, recursive=True))  # noqa: PTH207 - an absolute pattern
    for path in islice(found, _SAMPLED_FILES):
        try:
            content = open_content(path)
        except (OSError, NotRegularError):
            continue
        try:
            data = content.read(_SAMPLE_BYTES, 0)
        except OSError:
            continue
        finally:
            content.close()
        if (end := data.rfind(b"\n") + 1) > 0:
            return data[:end]
    return b""


class _Kept:
    """Files with what was compiled, each headed by a digest of it and of what made it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._maker = _maker()

    def load(self, name: str) -> bytes | None:
        """Give what was saved under a name, if this code on this machine made it."""
        try:
            content = self._path(name).read_bytes()
        except OSError:
            return None
        digest, made = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return made if digest == self._digest(made) else None

    def save(self, name: str, made: bytes) -> None:
        """Keep something for the next start; that may fail, since it can be made anew."""
        path = self._path(name)
        fresh = path.with_suffix(".new")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
                file.write(self._digest(made) + made)
            fresh.replace(path)
        except OSError:
            with suppress(OSError):
                fresh.unlink()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.hsdb"

    def _digest(self, made: bytes) -> bytes:
        return hashlib.blake2b(made, digest_size=_DIGEST_BYTES, key=self._maker).digest()


def _maker() -> bytes:
    """Tell this code, with the Python that runs it and the machine, from any other."""
    digest = hashlib.blake2b(repr((alertd.__version__, sys.version, os.uname().machine)).encode())
    for directory in alertd.core.__path__:
        # A version number would not do: it stays the same while the code is worked on.
        for path in sorted(Path(directory).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.digest()
