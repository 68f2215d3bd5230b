"""
What must survive a crash: one SQLite file, in which everything changes together.

Positions, what changed in the engine and the alerts it raised are committed in one transaction,
so a line takes effect once, whatever dies when.  Never decides what any of it means: positions,
snapshots and journal are other people's bytes; only the outbox is understood here, because what
has been sent to whom is decided row by row.

Trap: the journal is cut at the oldest snapshot.  A shard that has never been written is unknown
here and protects nothing, so the first commit that writes any snapshot must write all of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alertd.state.database import SEAL_BYTES, Database, seal, unseal
from alertd.state.errors import StateError
from alertd.state.outbox import (
    Copy,
    Counts,
    Cut,
    Dropped,
    Entry,
    Frozen,
    Judged,
    Outbox,
    PastAlert,
    Pending,
    Queued,
    Record,
    Retained,
    Retried,
    SentMail,
    Undelivered,
    enqueue,
    prune,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alertd.core.events import Notice

__all__ = [
    "Change",
    "Copy",
    "Counts",
    "Cut",
    "Dropped",
    "Entry",
    "Frozen",
    "Judged",
    "Loaded",
    "Outbox",
    "PastAlert",
    "Pending",
    "Queued",
    "Record",
    "Retained",
    "Retried",
    "SentMail",
    "State",
    "StateError",
    "StoredBlob",
    "Undelivered",
]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A file's position, as the tailer wrote it."""

    key: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    Everything that was committed.

    Attributes:
        files: Positions.
        shards: Snapshots of the engine by name, each with the journal's number that it includes.
        journal: What was applied, by number, in order; a shard needs those after its own number.
        waiting: Matches that wait for their turn.
        is_first_start: Nothing has ever been committed here.
        was_lost: There was a state, but it was damaged, and nothing has been committed since.
        complaints: What alertd has said about itself, as ``State.report`` was given it.
    """

    files: list[StoredBlob]
    shards: dict[str, tuple[int, bytes]]
    journal: list[tuple[int, bytes]]
    waiting: bytes
    is_first_start: bool
    was_lost: bool
    complaints: bytes = b""


@dataclass(frozen=True, slots=True)
class Change:
    """
    What is to be committed together.

    Attributes:
        files: Positions that moved, each as key and blob.
        forgotten: Keys of files that are no more.
        journal: What the engine has applied since the last commit, if anything.
        shards: Snapshots, each including all that has been applied, this ``journal`` too.
        dropped_shards: Names of snapshots that are no more.
        waiting: All matches that wait, in place of those stored before; None leaves them.
        notices: Alerts for the outbox.
    """

    files: Sequence[tuple[bytes, bytes]] = ()
    forgotten: Sequence[bytes] = ()
    journal: bytes | None = None
    shards: Mapping[str, bytes] = field(default_factory=dict)
    dropped_shards: Sequence[str] = ()
    waiting: bytes | None = None
    notices: Sequence[Notice] = ()


class State:
    """The state of one running daemon; see ``open``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seq = 0
        self._journal_bytes = 0
        self.outbox = Outbox(database)

    @classmethod
    async def open(cls, directory: Path) -> State:
        """
        Open the state in ``directory``, making both if there is none, and lock it.

        A damaged state is put aside as ``state.db.corrupt-<time>`` and replaced by an empty one.

        Raises:
            StateError: Another process is there (75), somebody else could write there (77), it
                cannot be written (73), the disk fails (74), or a newer alertd wrote it (78).
        """
        database = Database(directory)
        await database.open()
        state = cls(database)
        try:
            await database.write(lambda connection: prune(connection, time.time() - _HOUR))
        except StateError as error:
            if not error.is_temporary:
                await database.close()
                raise
        return state

    @property
    def journal_bytes(self) -> int:
        """What a restart would have to apply again; write snapshots when it grows large."""
        return self._journal_bytes

    async def load(self) -> Loaded:
        """
        Return everything that was committed.

        Raises:
            StateError: It could not be read.
        """
        loaded = await self._database.read(_load)
        last = max((seq for seq, _ in loaded.journal), default=0)
        self._seq = max([last, *(seq for seq, _ in loaded.shards.values())])
        self._journal_bytes = sum(len(blob) + SEAL_BYTES for _, blob in loaded.journal)
        return loaded

    async def commit(self, change: Change) -> None:
        """
        Make ``change`` durable, all of it.

        Must not be called before ``load``.

        Raises:
            StateError: Nothing has changed; if it is temporary, the same call may be made again.
        """
        seq = self._seq + (change.journal is not None)
        cut = await self._database.write(lambda connection: _commit(connection, change, seq))
        self._seq = seq
        self._journal_bytes -= cut
        if change.journal is not None:
            self._journal_bytes += len(change.journal) + SEAL_BYTES

    async def report(self, complaints: bytes, notices: Sequence[Notice]) -> None:
        """
        Make durable what alertd says about itself; no line of a log has to do with it.

        May be called while a ``commit`` is under way.

        Args:
            complaints: In place of those stored before.
            notices: For the outbox.

        Raises:
            StateError: As for ``commit``.
        """
        await self._database.write(lambda connection: _report(connection, complaints, notices))

    async def verify(self) -> None:
        """
        See to it that the state is still there, which an idle daemon would not notice.

        Raises:
            StateError: It is not.
        """
        await self._database.read(lambda _: None)

    async def close(self) -> None:
        """Let go of the file and of the lock; whatever was committed is safe already."""
        await self._database.close()


def _load(connection: sqlite3.Connection) -> Loaded:
    facts = dict(connection.execute("SELECT name, value FROM fact"))
    return Loaded(
        files=[
            StoredBlob(key, unseal(value))
            for key, value in connection.execute("SELECT key, value FROM file ORDER BY rowid")
        ],
        shards={
            name: (seq, unseal(value))
            for name, seq, value in connection.execute("SELECT name, seq, value FROM shard")
        },
        journal=[
            (seq, unseal(value))
            for seq, value in connection.execute("SELECT seq, value FROM journal ORDER BY seq")
        ],
        waiting=unseal(facts["waiting"]) if "waiting" in facts else b"",
        is_first_start="origin" in facts,
        was_lost=facts.get("origin") == seal("origin", b"lost"),
        complaints=unseal(facts["complaints"]) if "complaints" in facts else b"",
    )


def _report(connection: sqlite3.Connection, complaints: bytes, notices: Sequence[Notice]) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO fact VALUES ('complaints', ?)", (seal("complaints", complaints),)
    )
    enqueue(connection, notices)


def _commit(connection: sqlite3.Connection, change: Change, seq: int) -> int:
    """Write ``change``; return how many bytes were cut off the journal."""
    connection.execute("DELETE FROM fact WHERE name = 'origin'")
    connection.executemany(
        "INSERT INTO file VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        [(key, seal(key, blob)) for key, blob in change.files],
    )
    connection.executemany("DELETE FROM file WHERE key = ?", [(key,) for key in change.forgotten])
    if change.waiting is not None:
        connection.execute(
            "INSERT OR REPLACE INTO fact VALUES ('waiting', ?)",
            (seal("waiting", change.waiting),),
        )
    if change.journal is not None:
        connection.execute("INSERT INTO journal VALUES (?, ?)", (seq, seal(seq, change.journal)))
    connection.executemany(
        "INSERT OR REPLACE INTO shard VALUES (?, ?, ?)",
        [(name, seq, seal(name, blob)) for name, blob in change.shards.items()],
    )
    connection.executemany(
        "DELETE FROM shard WHERE name = ?", [(name,) for name in change.dropped_shards]
    )
    cut = 0
    if change.shards or change.dropped_shards:
        cut = sum(
            length
            for (length,) in connection.execute(
                "DELETE FROM journal WHERE seq <= (SELECT min(seq) FROM shard)"
                " RETURNING length(value)"
            ).fetchall()
        )
    enqueue(connection, change.notices)
    return cut
