"""What can go wrong with the state, as a person and as the caller need to know it."""

from __future__ import annotations

import os
import sqlite3
from typing import Final

EX_IOERR: Final = os.EX_IOERR
EX_CANTCREAT: Final = os.EX_CANTCREAT
EX_TEMPFAIL: Final = os.EX_TEMPFAIL
EX_NOPERM: Final = os.EX_NOPERM
EX_CONFIG: Final = os.EX_CONFIG

_FATAL: Final = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})

_ACCESS: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    }
)


class StateError(Exception):
    """
    The state cannot be used, or cannot be used just now; nothing has changed.

    Attributes:
        exit_code: The sysexits code for a program that ends because of this.
        is_temporary: The same call may succeed later: wait, then make it again.
        is_full: It is space that lacks.
    """

    def __init__(
        self, message: str, *, exit_code: int, is_temporary: bool = False, is_full: bool = False
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.is_temporary = is_temporary
        self.is_full = is_full


def explained(error: sqlite3.Error) -> StateError:
    """
    Say in our words what SQLite means.

    A failed fsync is final: the kernel has dropped the dirty pages and the next fsync on the same
    descriptor would claim success.  Only a restart, which reads what is really there, is safe.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    text = f"state.db: {error}"
    if code in _FATAL:
        return StateError(f"{text}; alertd must be restarted", exit_code=EX_IOERR)
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return StateError(
                f"{text}; free some space", exit_code=EX_IOERR, is_temporary=True, is_full=True
            )
        case sqlite3.SQLITE_READONLY:
            return StateError(
                f"{text}; make it writable again", exit_code=EX_CANTCREAT, is_temporary=True
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StateError(
                f"{text}; another program holds it open",
                exit_code=EX_TEMPFAIL,
                is_temporary=True,
            )
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN:
            return StateError(
                f"{text}; see the kernel's log", exit_code=EX_IOERR, is_temporary=True
            )
        case _:
            return StateError(f"{text}; alertd must be restarted", exit_code=EX_IOERR)


def is_about_access(error: sqlite3.Error) -> bool:
    """Tell a disk, a lock or a permission in the way from content that makes no sense."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _ACCESS
