"""
Which files a source means, for who looks once and follows none.

The tailer looks for itself, again and again; importing it takes longer than ``alertd check`` does
all the rest.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.core.rules import Source


def files_of(source: Source) -> list[Path]:
    """List the files that a source's globs match now."""
    found = {
        path
        for pattern in source.paths
        for path in glob.glob(pattern, recursive=True)  # noqa: PTH207 - an absolute pattern
        if os.path.isfile(path)  # noqa: PTH113 - a str from glob
    }
    if source.exclude:
        from alertd.tail.globs import excludes  # noqa: PLC0415 - slow, and rarely needed

        leaves_out = excludes(source.exclude)
        found = {path for path in found if not leaves_out(path)}
    return [Path(path) for path in sorted(found)]
