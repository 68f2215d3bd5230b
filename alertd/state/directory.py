"""
The directory that is ours alone, and the lock that says who is in it.

Refuses a place in which somebody else could plant or read a file: the state holds log lines, and
whoever can write it can silence every alert.

Trap: the directory itself may be a symlink (systemd's DynamicUser= makes it one); what is inside
may not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from alertd.state.errors import EX_CANTCREAT, EX_NOPERM, EX_TEMPFAIL, StateError

if TYPE_CHECKING:
    from pathlib import Path

_PID_DIGITS = 20


def prepare(directory: Path) -> None:
    """
    Make sure that ``directory`` exists and that only we can write in it.

    Raises:
        StateError: It cannot be made, or others may write in it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = directory.stat()
    except FileExistsError as error:
        raise StateError(
            f"{directory}: not a directory; name another under [state] directory",
            exit_code=EX_CANTCREAT,
        ) from error
    except OSError as error:
        raise not_writable(directory, error) from error
    if about.st_uid != os.geteuid():
        raise StateError(
            f"{directory}: belongs to user id {about.st_uid}, but alertd runs as {os.geteuid()}; "
            "run it as that user, or chown the directory",
            exit_code=EX_NOPERM,
        )
    if about.st_mode & 0o022:
        raise StateError(
            f"{directory}: others may write in it (mode {stat.S_IMODE(about.st_mode):04o}); "
            f"run: chmod 700 {directory}",
            exit_code=EX_NOPERM,
        )


def refuse_foreign(path: Path) -> bool:
    """
    Look at a file before it is opened by someone who would follow a symlink.

    Returns:
        Whether it exists.

    Raises:
        StateError: It is a symlink, no regular file, or somebody else's.
    """
    try:
        about = path.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(about.st_mode):
        raise StateError(f"{path}: is a symlink; remove it", exit_code=EX_NOPERM)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
        raise StateError(f"{path}: is not a file of ours; remove it", exit_code=EX_NOPERM)
    return True


def not_writable(directory: Path, error: OSError) -> StateError:
    """Say that nothing can be written, and why."""
    return StateError(
        f"{directory}: state dir not writable: {os.strerror(error.errno or errno.EIO)}",
        exit_code=EX_CANTCREAT,
    )


def sync(directory: Path) -> None:
    """Make the names in ``directory`` durable: a new file without its name is no file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """
    The right to be the only alertd on a state directory, held until ``release`` or death.

    The file stays when the lock goes: deleting it would let two processes lock two files of one
    name.
    """

    def __init__(self, directory: Path) -> None:
        path = directory / "state.lock"
        refuse_foreign(path)
        try:
            self._descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise not_writable(directory, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, _PID_DIGITS, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StateError(
                f"{directory}: in use by pid {holder or 'unknown'}; "
                "stop it first, or name another [state] directory",
                exit_code=EX_TEMPFAIL,
            ) from error
        # The pid is only a courtesy to whoever comes second: a full disk may swallow it.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another alertd in."""
        os.close(self._descriptor)
