"""
Give memory back that is no longer needed.

glibc makes an arena for every few threads, and learns from large blocks that come and go to keep
them.  For a daemon that reads megabytes in threads, and then nothing for hours, both are wrong.
"""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 256 * 1024


def economise() -> None:
    """Let large blocks be returned when they are freed, where the C library can do that."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, 1)


def collect_seldom() -> None:
    """Let the garbage collector look less often: most of what is made lives for one batch."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
