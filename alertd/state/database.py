"""
One SQLite file, one thread that uses it, and a start that no damage can stop.

SQLite keeps a transaction whole across a crash; what is here is the rest: files that only we can
read, a check before anything is believed, damaged state put aside and not mended, a newer schema
left untouched, and errors that say whether to wait or to give up.

Traps:

- A write-ahead log belongs to its database by name alone.  Left behind, it would be replayed onto
  a fresh one, so it is put aside together with it.
- ``quick_check`` reads structure, not content: a flipped bit inside a blob is seen by its seal.
- SQLite goes on writing happily into a file that has been deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

import structlog

from alertd.state.directory import Lock, not_writable, prepare, refuse_foreign, sync
from alertd.state.errors import EX_CONFIG, EX_IOERR, StateError, explained, is_about_access
from alertd.state.schema import APPLICATION_ID, MIGRATIONS, SEALED, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
Connection = sqlite3.Connection

log = structlog.get_logger(__name__)

NAME: Final = "state.db"
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_WAL_VERSIONS: Final = b"\2\2"
SEAL_BYTES: Final = 4
_BUSY_SECONDS: Final = 5.0
_WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024


class _DamagedError(Exception):
    """What is on disk is not a state that can be believed."""


def seal(key: bytes | str | int, value: bytes) -> bytes:
    """Put a checksum over ``key`` and ``value`` before ``value``."""
    return zlib.crc32(value, zlib.crc32(_as_bytes(key))).to_bytes(SEAL_BYTES, "big") + value


def unseal(sealed: bytes) -> bytes:
    """Take the checksum off again; it has been verified when the database was opened."""
    return sealed[SEAL_BYTES:]


def _as_bytes(key: bytes | str | int) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()


class Database:
    """
    The file, opened, checked and locked.

    Every job runs in the one thread, in the order of the calls.  A job cannot be abandoned half
    way: cancelling the caller leaves it to finish, and no call has a deadline of its own (a disk
    that hangs is the watchdog's business).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / NAME
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._lock: Lock | None = None
        self._connection: Connection | None = None
        self._inode = 0
        self._is_doubtful = False

    async def open(self) -> None:
        """
        Open the state, or a fresh one in place of what is missing or damaged.

        Raises:
            StateError: See ``State.open``.
        """
        try:
            await self._run(self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise

    async def read(self, job: Callable[[Connection], T]) -> T:
        """
        Run ``job`` on the connection, in the thread.

        Raises:
            StateError: It could not be read.
        """
        return await self._run(lambda: self._read(job))

    async def write(self, job: Callable[[Connection], T]) -> T:
        """
        Run ``job`` in one transaction: when this returns, it is durable.

        Raises:
            StateError: Nothing has changed.
        """
        return await self._run(lambda: self._write(job))

    async def close(self) -> None:
        """Finish what has begun, then let go of the file and of the lock."""
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    # What follows runs in the thread.

    def _open(self) -> None:
        prepare(self._directory)
        self._lock = Lock(self._directory)
        try:
            self._connection = self._opened()
            self._inode = self._path.stat().st_ino
        except sqlite3.Error as error:
            self._close()
            raise explained(error) from error
        except OSError as error:
            self._close()
            raise not_writable(self._directory, error) from error
        except StateError:
            self._close()
            raise

    def _opened(self) -> Connection:
        fresh, log_file = self._beside(".new"), self._beside("-wal")
        for path in (fresh, self._beside(".new-journal"), self._beside(".new-wal")):
            if refuse_foreign(path):
                path.unlink()
        has_log = refuse_foreign(log_file)
        refuse_foreign(self._beside("-shm"))
        if not refuse_foreign(self._path) and not has_log:
            self._create("new")
        try:
            return self._checked()
        except _DamagedError as damage:
            self._put_aside(str(damage))
            return self._checked()

    def _checked(self) -> Connection:
        """Connect to a database that has shown itself to be ours and whole."""
        self._check_header()
        connection = self._connected()
        try:
            _check_content(connection)
            self._migrate(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error) and not is_about_access(error):
                raise _DamagedError(str(error)) from error
            raise
        return connection

    def _check_header(self) -> None:
        """Decide by the first bytes, because merely opening a database may change its files."""
        try:
            with self._path.open("rb") as file:
                header = file.read(_HEADER_BYTES)
        except FileNotFoundError:
            raise _DamagedError("the database is missing, its log is there") from None
        if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
            raise _DamagedError("not a database")
        # A write version that it does not know would make SQLite take it for read-only.
        is_ours = int.from_bytes(header[68:72], "big") == APPLICATION_ID
        if not is_ours or header[18:20] != _WAL_VERSIONS:
            raise _DamagedError("not a database of alertd")
        self._refuse_newer(int.from_bytes(header[60:64], "big"))

    def _refuse_newer(self, version: int) -> None:
        if version > VERSION:
            raise StateError(
                f"{NAME}: schema {version} newer than supported {VERSION}; nothing changed; "
                "run the alertd that wrote it, or move the file away",
                exit_code=EX_CONFIG,
            )

    def _connected(self) -> Connection:
        # Only we can write in the directory, and `refuse_foreign` has looked: nothing can have
        # become a symlink since.
        self._path.chmod(0o600)
        connection = sqlite3.connect(
            f"file:{quote(str(self._path))}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=_BUSY_SECONDS,
            check_same_thread=False,
        )
        try:
            for setting in (
                "journal_mode = WAL",
                "synchronous = FULL",
                f"journal_size_limit = {_WAL_LIMIT_BYTES}",
                "temp_store = MEMORY",
                "trusted_schema = OFF",
                "cell_size_check = ON",
            ):
                connection.execute(f"PRAGMA {setting}").fetchall()
        except sqlite3.Error as error:
            connection.close()
            if is_about_access(error):
                raise
            raise _DamagedError(str(error)) from error
        return connection

    def _migrate(self, connection: Connection) -> None:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        self._refuse_newer(version)
        if version < VERSION:
            _apply(connection, version)
            # The header decides at the next start, so it must not lag behind in the log.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _create(self, origin: str) -> None:
        """
        Put a complete, empty database in place in one step.

        An empty ``state.db`` is therefore always damage, never a start that was interrupted.
        """
        fresh = self._beside(".new")
        os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(fresh, isolation_level=None)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _apply(connection, 0)
            connection.execute(
                "INSERT INTO fact VALUES ('origin', ?)", (seal("origin", origin.encode()),)
            )
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        finally:
            connection.close()
        fresh.rename(self._path)
        sync(self._directory)

    def _put_aside(self, reason: str) -> None:
        """Keep what is damaged under another name, and start afresh."""
        aside = f".corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        number = 0
        while (target := self._beside(f"{aside}{f'-{number}' if number else ''}")).exists():
            number += 1
        # In this order a crash at any point leaves something that is seen to be damaged, or that
        # is whole: never a fresh database with an old log.
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(target)
        with contextlib.suppress(FileNotFoundError):
            self._beside("-wal").rename(target.with_name(f"{target.name}-wal"))
        with contextlib.suppress(FileNotFoundError):
            self._beside("-shm").unlink()
        self._create("lost")
        log.error("state lost", reason=reason, kept_as=str(target))

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(f"{NAME}{suffix}")

    def _in_use(self) -> Connection:
        try:
            is_there = self._path.stat().st_ino == self._inode
        except OSError:
            is_there = False
        if not is_there:
            raise StateError(
                f"{self._path}: state removed while in use; restart alertd", exit_code=EX_IOERR
            )
        if self._connection is None:
            raise StateError(f"{self._path}: closed", exit_code=EX_IOERR)
        return self._connection

    def _read(self, job: Callable[[Connection], T]) -> T:
        try:
            return job(self._in_use())
        except sqlite3.Error as error:
            raise explained(error) from error
        except _DamagedError as error:
            raise StateError(f"{NAME}: {error}; restart alertd", exit_code=EX_IOERR) from error

    def _write(self, job: Callable[[Connection], T]) -> T:
        return self._read(lambda connection: self._transaction(connection, job))

    def _transaction(self, connection: Connection, job: Callable[[Connection], T]) -> T:
        if self._is_doubtful:
            fresh = self._connected()
            connection.close()
            connection = self._connection = fresh
            self._is_doubtful = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = job(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                connection.rollback()
            # What the kernel holds for these descriptors is unknown: write through new ones.
            code = getattr(error, "sqlite_errorcode", 0)
            self._is_doubtful |= code & 0xFF == sqlite3.SQLITE_IOERR
            raise
        return result

    def _close(self) -> None:
        if self._connection is not None:
            # A failing checkpoint loses nothing: the log is replayed at the next start.
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _apply(connection: Connection, version: int) -> None:
    """Bring the schema from ``version`` to the current one, all of it or nothing."""
    script = "".join(MIGRATIONS[version:])
    connection.executescript(
        f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {VERSION};\nCOMMIT;"
    )


def _check_content(connection: Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _DamagedError(str(found))
    for table, column, content in SEALED:
        # The names are constants of the schema.
        rows = connection.execute(
            f"SELECT {column}, {content} FROM {table} WHERE {content} IS NOT NULL"  # noqa: S608
        )
        for key, value in rows:
            if not isinstance(value, bytes) or seal(key, unseal(value)) != value:
                raise _DamagedError(f"{table} {key!r}: checksum mismatch")
