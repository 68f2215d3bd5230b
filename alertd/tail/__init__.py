"""
Follow log files: across rename, truncation, copies, deletion and restarts, each line once.

A ``Tailer`` hands out ``Batch``es of complete lines and keeps each file's position, which moves
only when it is told that lines took effect.

    tailer.py       the interface; reading; when to look
    hints.py        what the kernel says has changed; caught.py, the new files among it, open
    survey.py       what lies in the directories; globs.py, which of it a glob means
    look.py         one such look, as the steps that judge it pass it on
    placement.py    where each file begins or continues: the steps, in their order
      whereabouts.py  what the followed files are called now
      truncation.py   which of them were emptied, and where their copies are
      resumption.py   where the files of earlier positions have gone
      unseen.py       generations that came and went between two looks
      newcomers.py    what is really new
      copies.py       copies of what is still there
      siblings.py     what lies beside a file; rotation.py, the names that rotated files get
    enrolment.py    how a file comes to be followed
    roster.py       what is followed and remembered, and what of it is to be stored
    descriptors.py  which of it is open
    followed.py     one file: how far it has been read, and how we would know it again
    identity.py     what makes a file the same file; what is stored of it
    growth.py       how large a file has been, and how fast it grows
    content.py      the bytes of one open file, plain or compressed
    trouble.py      what keeps files from being read
    away.py         work that may block
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.tail.followed import FollowedFile
    from alertd.tail.identity import FileKey, StoredFile
    from alertd.tail.survey import Own
    from alertd.tail.tailer import CHUNK, Tailer
    from alertd.tail.trouble import Problem

__all__ = ["CHUNK", "FileKey", "FollowedFile", "Own", "Problem", "StoredFile", "Tailer"]

_HOMES = {
    "CHUNK": "tailer",
    "FileKey": "identity",
    "FollowedFile": "followed",
    "Own": "survey",
    "Problem": "trouble",
    "StoredFile": "identity",
    "Tailer": "tailer",
}


def __getattr__(name: str) -> object:
    """Import what is asked for: whoever only reads a file needs no event loop, and starts fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
