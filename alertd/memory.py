"""
Give memory back that is no longer needed, and keep what soon is.

glibc makes an arena for every few threads, and learns from large blocks that come and go to keep
them for ever.  For a daemon that reads megabytes in threads, and then nothing for hours, both are
wrong.  But to return every block at once, and have the next one zeroed page by page, takes as long
as to judge what is read into it.  So some are kept, and returned when there is nothing to do.
"""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 4 * 1024 * 1024
_KEPT = 16 * 1024 * 1024


def economise() -> None:
    """Let the C library keep a few freed megabytes and no more, where it can do that."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return what is kept, where that can be done; it takes some milliseconds."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def collect_seldom() -> None:
    """Let the garbage collector look less often: most of what is made lives for one batch."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
