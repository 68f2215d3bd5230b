"""
From settings to matchers, one for each source that some rule watches.

Compiling a thousand patterns takes a second and leaves memory behind, so what Hyperscan made of
them is kept beside the state.  A stale or damaged copy is recognised and made anew.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alertd.core.matching import Matcher
from alertd.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from alertd.core.rules import Rule, Source


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
        cache: A directory for compiled databases; made if it is not there.

    Returns:
        Matchers by the name of their source.
    """
    rules = list(rules)
    matchers = {}
    for source in watched(sources, rules):
        own = [rule for rule in rules if source.name in rule.sources]
        path = None if cache is None else cache / f"{source.name}.hsdb"
        known = _load(path)
        matcher = matchers[source.name] = Matcher(source, own, database=known, deadline=Deadline())
        made = matcher.dump()
        if path is not None and made != known:
            _save(path, made)
    return matchers


def _load(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError:
        return None


def _save(path: Path, database: bytes) -> None:
    """Keep a database for the next start; that may fail, since it can be made anew."""
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(database)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
