"""What was committed is there after anything; what is damaged, foreign or newer is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from notices import notice

from alertd.state import Change, Loaded, State, StateError, StoredBlob
from alertd.state import database as database_module
from alertd.state.schema import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

T = TypeVar("T")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


def with_state(directory: Path, work: Callable[[State, Loaded], Awaitable[T]]) -> T:
    """Open the state, load it, work on it, close it."""

    async def run() -> T:
        state = await State.open(directory)
        try:
            return await work(state, await state.load())
        finally:
            await state.close()

    return asyncio.run(run())


def load(directory: Path) -> Loaded:
    async def work(_state: State, loaded: Loaded) -> Loaded:
        return loaded

    return with_state(directory, work)


def commit(directory: Path, *changes: Change) -> None:
    async def work(state: State, _loaded: Loaded) -> None:
        for change in changes:
            await state.commit(change)

    with_state(directory, work)


def refusal(directory: Path) -> StateError:
    with pytest.raises(StateError) as caught:
        load(directory)
    return caught.value


def queued_ids(directory: Path) -> list[str]:
    """Read the outbox as a bystander would."""
    with contextlib.closing(sqlite3.connect(directory / "state.db")) as connection:
        return [
            row[0]
            for row in connection.execute(
                "SELECT id FROM queued JOIN notice ON number = notice ORDER BY number"
            )
        ]


def modes_in(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# What is remembered.


def test_everything_that_was_committed_is_there_again(directory: Path) -> None:
    """Positions, snapshots, journal, waiting matches and alerts come back as they went in."""
    change = Change(
        files=[(b"\x00one", b"position"), (b"two", b"")],
        journal=b"matches",
        shards={"s": b"snapshot"},
        waiting=b"waiting",
        notices=[notice(1)],
    )

    commit(directory, change, Change(journal=b"more"))

    assert Loaded(
        files=[StoredBlob(b"\x00one", b"position"), StoredBlob(b"two", b"")],
        shards={"s": (1, b"snapshot")},
        journal=[(2, b"more")],
        waiting=b"waiting",
        is_first_start=False,
        was_lost=False,
    ) == load(directory)
    assert ["id-1"] == queued_ids(directory)


def test_what_is_replaced_or_forgotten_is_gone(directory: Path) -> None:
    """A position has one value; a file that is no more has none."""
    commit(
        directory,
        Change(files=[(b"a", b"1"), (b"b", b"1")], shards={"x": b"", "y": b""}, waiting=b"w"),
        Change(files=[(b"a", b"2")], forgotten=[b"b"], dropped_shards=["y"], waiting=b""),
    )

    loaded = load(directory)

    assert [StoredBlob(b"a", b"2")] == loaded.files
    assert {"x": (0, b"")} == loaded.shards
    assert b"" == loaded.waiting


def test_the_journal_reaches_back_to_the_oldest_snapshot(directory: Path) -> None:
    """A row goes once every snapshot includes it, and not before; without any, all stay."""

    async def work(state: State, _loaded: Loaded) -> list[int]:
        sizes = []
        for change in (
            Change(journal=b"1"),
            Change(journal=b"2", shards={"a": b"at 2", "b": b"at 2"}),
            Change(journal=b"3", shards={"a": b"at 3"}),
            Change(journal=b"4"),
            Change(shards={"b": b"at 4"}),
            Change(dropped_shards=["a"]),
        ):
            await state.commit(change)
            sizes.append(len((await state.load()).journal))
        return sizes

    assert [1, 0, 1, 2, 1, 0] == with_state(directory, work)


def test_the_journal_knows_its_size(directory: Path) -> None:
    """The daemon writes snapshots when it has grown, also in the run after."""

    async def grow(state: State, _loaded: Loaded) -> int:
        await state.commit(Change(journal=bytes(1000)))
        await state.commit(Change(journal=bytes(500)))
        return state.journal_bytes

    async def cut(state: State, _loaded: Loaded) -> tuple[int, int]:
        before = state.journal_bytes
        await state.commit(Change(journal=bytes(700), shards={"a": b""}))
        return before, state.journal_bytes

    grown = with_state(directory, grow)

    assert 1500 <= grown <= 1510
    assert (grown, 0) == with_state(directory, cut)


def test_a_first_start_lasts_until_something_is_committed(directory: Path) -> None:
    """A daemon that dies before its first commit has not started yet."""
    assert load(directory).is_first_start
    assert load(directory).is_first_start
    commit(directory, Change())

    assert not load(directory).is_first_start


def test_an_alert_is_queued_once_however_often_it_is_committed(directory: Path) -> None:
    """The same id is the same alert; the same address twice is one (M22)."""
    twice = ("Ops@Example.com", "Ops@example.COM", "b@example.com")

    commit(
        directory,
        Change(notices=[notice(1, recipients=twice)]),
        Change(notices=[notice(1, recipients=("c@example.com",)), notice(2)]),
    )

    assert ["id-1", "id-1", "id-2"] == queued_ids(directory)


# Damage.


def fill(directory: Path, *, is_in_log: bool = True) -> None:
    """Leave a state of some pages, with the commits in the write-ahead log or in the database."""

    async def run() -> None:
        state = await State.open(directory)
        await state.load()
        for number in range(8):
            await state.commit(
                Change(
                    files=[(b"file", b"%d" % number)],
                    journal=b"%d" % number * 700,
                    notices=[notice(number)],
                )
            )
        if is_in_log:
            shutil.copytree(directory, directory.with_name("killed"))
        await state.close()
        if is_in_log:
            shutil.rmtree(directory)
            directory.with_name("killed").rename(directory)

    asyncio.run(run())


def commits_seen(directory: Path) -> int | None:
    """Return how many of ``fill``'s commits are there, all of each; None if the state was lost."""
    loaded = load(directory)
    if loaded.was_lost:
        assert ([], {}, []) == (loaded.files, loaded.shards, loaded.journal)
        assert list(directory.glob("state.db.corrupt-*"))
        return None
    count = len(loaded.journal)
    assert [(n + 1, b"%d" % n * 700) for n in range(count)] == loaded.journal
    assert [StoredBlob(b"file", b"%d" % (count - 1))][:count] == loaded.files
    assert [f"id-{n}" for n in range(count)] == queued_ids(directory)
    return count


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """Give a copy of a state directory, in memory where possible: hundreds of fsyncs take long."""
    memory = Path("/dev/shm")  # noqa: S108 - made private by mkdtemp
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as place:
        copy = Path(place) / "copy"

        def fresh(directory: Path) -> Path:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(directory, copy)
            return copy

        yield fresh


Copies = Callable[[Path], Path]


def test_c3_a_truncated_log_gives_an_older_state(directory: Path, copies: Copies) -> None:
    """Cut the write-ahead log at every 512 bytes: whole commits are there or not, in order."""
    fill(directory)
    seen = []
    for length in range(0, (directory / "state.db-wal").stat().st_size + 512, 512):
        copy = copies(directory)
        os.truncate(copy / "state.db-wal", length)
        seen.append(commits_seen(copy))

    assert list(range(9)) == sorted({-1 if count is None else count for count in seen})
    assert seen == sorted(seen, key=lambda count: -1 if count is None else count)


def test_c3_a_truncated_database_is_whole_or_put_aside(directory: Path, copies: Copies) -> None:
    """Cut it at every 512 bytes: never half of it."""
    fill(directory, is_in_log=False)
    seen = []
    for length in range(0, (directory / "state.db").stat().st_size, 512):
        copy = copies(directory)
        os.truncate(copy / "state.db", length)
        seen.append(commits_seen(copy))

    assert {None} == set(seen[:-8])
    assert {None, 8} >= set(seen)


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_c4_a_state_of_nul_bytes_is_put_aside(directory: Path, size: int) -> None:
    """The daemon starts afresh, says so until its first commit, and keeps what was there."""
    fill(directory)
    (directory / "state.db").write_bytes(bytes(size))
    lost = [load(directory).was_lost, load(directory).was_lost]
    commit(directory, Change())

    assert [True, True] == lost
    assert not load(directory).was_lost
    aside = sorted(path.name for path in directory.glob("state.db.corrupt-*"))
    assert 2 == len(aside)
    assert aside[1] == f"{aside[0]}-wal"
    assert bytes(size) == (directory / aside[0]).read_bytes()


def test_c4_a_log_without_its_database_is_no_first_start(directory: Path) -> None:
    """Somebody deleted `state.db`: its log must not be replayed onto a fresh one."""
    fill(directory)
    (directory / "state.db").unlink()

    loaded = load(directory)

    assert loaded.was_lost
    assert [] == loaded.journal


def test_c4_a_second_loss_within_a_second_keeps_both(directory: Path) -> None:
    """The name of what is put aside has no finer clock than that."""
    for _ in range(2):
        directory.mkdir(mode=0o700, exist_ok=True)
        (directory / "state.db").write_bytes(b"not a database")
        assert load(directory).was_lost

    assert 2 == len(list(directory.glob("state.db.corrupt-*")))


@pytest.mark.parametrize("is_in_log", [True, False])
def test_c5_flipped_bits_are_seen(directory: Path, copies: Copies, *, is_in_log: bool) -> None:
    """
    Whatever bit flips, in the header and anywhere else: an older whole state, or a loss.

    A flip in the schema's version may look like a newer alertd's, which is refused.
    """
    fill(directory, is_in_log=is_in_log)
    name = "state.db-wal" if is_in_log else "state.db"
    size = (directory / name).stat().st_size
    source = random.Random(5)
    seen: set[int | str | None] = set()
    for position in [*range(100), *(source.randrange(size) for _ in range(200))]:
        copy = copies(directory)
        data = bytearray((copy / name).read_bytes())
        data[position] ^= 1 << source.randrange(8)
        (copy / name).write_bytes(data)
        try:
            seen.add(commits_seen(copy))
        except StateError as error:
            seen.add(str(error)[:17])

    if is_in_log:
        assert set(range(9)) >= seen >= {0, 7}
    else:
        assert {8, None, "state.db: schema "} == seen


def test_c5_damage_in_an_index_is_seen_at_the_start(directory: Path) -> None:
    """Nothing that is loaded goes through it, but every later commit would fail on it."""
    fill(directory, is_in_log=False)
    with contextlib.closing(sqlite3.connect(directory / "state.db")) as connection:
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'notice'"
        ).fetchall()
        [(size,)] = connection.execute("PRAGMA page_size").fetchall()
    with (directory / "state.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))

    assert load(directory).was_lost
    commit(directory, Change(notices=[notice(1)]))
    assert ["id-1"] == queued_ids(directory)


def test_c6_a_newer_schema_is_left_untouched(directory: Path) -> None:
    """An old alertd after a downgrade must not touch what it does not understand."""
    commit(directory, Change(journal=b"1"))
    with contextlib.closing(sqlite3.connect(directory / "state.db")) as connection:
        connection.execute("PRAGMA user_version = 9")
    before = digest(directory / "state.db")

    error = refusal(directory)

    assert os.EX_CONFIG == error.exit_code
    supported = len(MIGRATIONS)
    assert f"schema 9 newer than supported {supported}; nothing changed" in str(error)
    assert before == digest(directory / "state.db")
    assert ["state.db", "state.lock"] == sorted(path.name for path in directory.iterdir())


def test_c7_a_migration_that_fails_leaves_the_old_schema(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """White box: all missing migrations and the new version number are one transaction."""
    commit(directory, Change(journal=b"1"))
    connection = sqlite3.connect(directory / "state.db")
    torn = (*MIGRATIONS, "CREATE TABLE added (x);", "CREATE TABLE file (x);")
    monkeypatch.setattr(database_module, "MIGRATIONS", torn)
    monkeypatch.setattr(database_module, "VERSION", len(torn))

    with contextlib.closing(connection), pytest.raises(sqlite3.OperationalError):
        database_module._apply(connection, 1)
    monkeypatch.undo()

    assert [(1, b"1")] == load(directory).journal
    with contextlib.closing(sqlite3.connect(directory / "state.db")) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema")]
    assert "added" not in tables


def test_c7_an_older_schema_becomes_the_current_one(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """White box: what was stored is still there, and the file's header says the new version."""
    commit(directory, Change(journal=b"1"))
    newer = (*MIGRATIONS, "CREATE TABLE added (x);")
    monkeypatch.setattr(database_module, "MIGRATIONS", newer)
    monkeypatch.setattr(database_module, "VERSION", len(newer))

    loaded = load(directory)
    monkeypatch.undo()

    assert [(1, b"1")] == loaded.journal
    assert f"schema {len(newer)} newer" in str(refusal(directory))


KILLED_IN_A_MIGRATION = """
import asyncio, os, signal, sys
from pathlib import Path
from alertd.state import State, database

def die():
    os.kill(os.getpid(), signal.SIGKILL)

connected = database.Database._connected

def armed(self):
    connection = connected(self)
    connection.create_function("die", 0, die)
    return connection

database.Database._connected = armed
added = "CREATE TABLE added (x); INSERT INTO added VALUES (1); SELECT die(); DROP TABLE journal;"
database.MIGRATIONS = (*database.MIGRATIONS, added)
database.VERSION = len(database.MIGRATIONS)
asyncio.run(State.open(Path(sys.argv[1])))
"""


def test_c7_a_kill_in_a_migration_leaves_the_old_schema(directory: Path) -> None:
    """Whoever comes next finds all that was there, and nothing that was begun."""
    commit(directory, Change(journal=b"1"))

    done = subprocess.run([sys.executable, "-c", KILLED_IN_A_MIGRATION, directory], check=False)

    assert -signal.SIGKILL == done.returncode
    assert [(1, b"1")] == load(directory).journal
    with contextlib.closing(sqlite3.connect(directory / "state.db")) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema")]
    assert "added" not in tables


@pytest.mark.needs("strace")
def test_c12_the_name_of_a_new_state_is_durable_too(directory: Path, tmp_path: Path) -> None:
    """The content first, then the name that leads to it, then the directory that holds the name."""
    trace = tmp_path / "trace"

    subprocess.run(
        [
            *("strace", "-f", "-qq", "-y", "-o", trace),
            *("-e", "trace=rename,renameat,renameat2,fsync,fdatasync"),
            *(sys.executable, "-c", COMMIT_AND_REPORT, directory),
        ],
        check=True,
    )
    calls = trace.read_text().splitlines()
    renamed = next(n for n, call in enumerate(calls) if "rename" in call and "state.db.new" in call)

    assert any("sync(" in call and "state.db.new>" in call for call in calls[:renamed])
    assert f"fsync({{}}<{directory}>)" in {
        re.sub(r".*fsync\(\d+", "fsync({}", call.split(")")[0]) + ")" for call in calls[renamed:]
    }


# A place that cannot be written.


def test_c9_a_write_that_finds_no_space_changes_nothing(directory: Path) -> None:
    """The limit on a file's size stops SQLite in the middle; the same change works afterwards."""
    commit(directory, Change(journal=b"old"))
    change = Change(journal=bytes(500_000), notices=[notice(1)])

    async def work(state: State, _loaded: Loaded) -> tuple[StateError, Loaded]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(StateError) as caught:
                await state.commit(change)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        unchanged = await state.load()
        await state.commit(change)
        return caught.value, unchanged

    error, unchanged = with_state(directory, work)

    assert error.is_temporary
    assert [(1, b"old")] == unchanged.journal
    assert [1, 2] == [seq for seq, _ in load(directory).journal]
    assert ["id-1"] == queued_ids(directory)


def test_a_change_that_fails_in_the_middle_changes_nothing(directory: Path) -> None:
    """Whatever the reason: here its second alert is none, which is found when the first is in."""
    broken = Change(
        files=[(b"file", b"moved")],
        journal=b"new",
        notices=[notice(1), object()],  # type: ignore[list-item]
    )
    commit(directory, Change(files=[(b"file", b"here")]))

    async def work(state: State, _loaded: Loaded) -> Loaded:
        with pytest.raises(AttributeError):
            await state.commit(broken)
        return await state.load()

    unchanged = with_state(directory, work)

    assert [StoredBlob(b"file", b"here")] == unchanged.files == load(directory).files
    assert [] == unchanged.journal
    assert [] == queued_ids(directory)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB, where we may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=512k,mode=700"]
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", *options, "tmpfs", place], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("may not mount")
    yield place
    subprocess.run(["umount", place], check=True)


def test_c8_a_full_disk_is_waited_for(small_disk: Path) -> None:
    """The error says so, nothing has changed, and the same call works when there is space."""
    change = Change(journal=bytes(50_000))

    async def work(state: State, _loaded: Loaded) -> tuple[StateError, int, int]:
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(600_000))
        with pytest.raises(StateError) as caught:
            await state.commit(change)
        during = len((await state.load()).journal)
        filler.unlink()
        await state.commit(change)
        return caught.value, during, len((await state.load()).journal)

    error, during, afterwards = with_state(small_disk / "state", work)

    assert (True, True) == (error.is_temporary, error.is_full)
    assert "free some space" in str(error)
    assert (0, 1) == (during, afterwards)


def test_c10_a_read_only_file_system_is_refused_at_the_start(small_disk: Path) -> None:
    """The reason is the system's, in words."""
    commit(small_disk / "state", Change())
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    error = refusal(small_disk / "state")

    assert os.EX_CANTCREAT == error.exit_code
    assert "state dir not writable: Read-only file system" in str(error)


COMMIT_AND_REPORT = """
import asyncio, sys
from pathlib import Path
from alertd.state import Change, State, StateError

async def main():
    state = await State.open(Path(sys.argv[1]))
    await state.load()
    try:
        for number in range(20):
            await state.commit(Change(journal=b"x"))
    except StateError as error:
        print(error.exit_code, error.is_temporary)

asyncio.run(main())
"""


@pytest.mark.needs("strace")
def test_c11_a_failed_fsync_is_final(directory: Path) -> None:
    """After it the kernel may claim success for what is lost: only a restart is safe."""
    load(directory)

    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"),
            *("-e", "inject=fdatasync,fsync:error=EIO:when=4+"),
            *(sys.executable, "-c", COMMIT_AND_REPORT, directory),
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    assert f"{os.EX_IOERR} False\n" == done.stdout, done.stderr


def test_c14_a_state_removed_while_in_use_is_noticed(directory: Path) -> None:
    """SQLite would go on writing into the deleted file."""

    async def work(state: State, _loaded: Loaded) -> StateError:
        shutil.rmtree(directory)
        with pytest.raises(StateError, match="state removed") as caught:
            await state.commit(Change(journal=b"1"))
        return caught.value

    error = with_state(directory, work)

    assert (os.EX_IOERR, False) == (error.exit_code, error.is_temporary)


# A place that is not ours alone.

HOLD = """
import asyncio, sys
from pathlib import Path
from alertd.state import State

async def main():
    await State.open(Path(sys.argv[1]))
    print("open", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_c13_a_second_daemon_is_refused_until_the_first_is_gone(directory: Path) -> None:
    """It names the process in its way; kill -9 leaves nothing to clean up."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, directory], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert "open\n" == first.stdout.readline()
        error = refusal(directory)
        first.send_signal(signal.SIGKILL)

    assert os.EX_TEMPFAIL == error.exit_code
    assert f"in use by pid {first.pid};" in str(error)
    assert load(directory).is_first_start


def test_s9_files_are_ours_alone_whatever_the_umask(directory: Path) -> None:
    """The state holds log lines: 0600, in a directory of 0700."""
    before = os.umask(0)
    try:

        async def work(state: State, _loaded: Loaded) -> dict[str, int]:
            await state.commit(Change(journal=b"1"))
            return modes_in(directory)

        modes = with_state(directory, work)
    finally:
        os.umask(before)

    assert {
        "state.db": 0o600,
        "state.db-shm": 0o600,
        "state.db-wal": 0o600,
        "state.lock": 0o600,
    } == modes
    assert 0o700 == directory.stat().st_mode & 0o777


def test_s9_a_state_that_was_put_back_is_closed_to_others(directory: Path) -> None:
    """A backup may have been unpacked with another mode; its log gets that of the database."""
    commit(directory, Change(journal=b"1"))
    (directory / "state.db").chmod(0o644)

    async def work(state: State, _loaded: Loaded) -> dict[str, int]:
        await state.commit(Change(journal=b"2"))
        return modes_in(directory)

    assert {0o600} == set(with_state(directory, work).values())


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_s9_a_directory_that_others_may_write_in_is_refused(directory: Path, mode: int) -> None:
    """Whoever can write there can silence every alert."""
    directory.mkdir()
    directory.chmod(mode)

    error = refusal(directory)

    assert os.EX_NOPERM == error.exit_code
    assert f"others may write in it (mode {mode:04o}); run: chmod 700 {directory}" in str(error)
    assert [] == list(directory.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_s9_somebody_elses_directory_is_refused(directory: Path) -> None:
    """Running it as root by mistake must not leave root's files in there."""
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)

    error = refusal(directory)

    assert os.EX_NOPERM == error.exit_code
    assert "belongs to user id 12345, but alertd runs as 0" in str(error)


@pytest.mark.parametrize("name", ["state.db", "state.db-wal", "state.db-shm", "state.lock"])
def test_s10_a_symlink_is_refused(directory: Path, tmp_path: Path, name: str) -> None:
    """What somebody placed there before us is not followed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory.mkdir(mode=0o700)
    (directory / name).symlink_to(victim)

    error = refusal(directory)

    assert os.EX_NOPERM == error.exit_code
    assert f"{directory / name}: is a symlink" in str(error)
    assert "precious" == victim.read_text()


def test_s10_a_lock_that_becomes_a_symlink_before_it_is_opened_is_refused(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S10: who follows it empties what it leads to."""
    victim = tmp_path / "victim"
    victim.write_text("precious")

    def looked(path: Path) -> bool:
        path.symlink_to(victim)
        return False

    monkeypatch.setattr("alertd.state.directory.refuse_foreign", looked)

    assert "state dir not writable" in str(refusal(directory))
    assert "precious" == victim.read_text()


@pytest.mark.parametrize("name", ["state.db", "state.db-wal", "state.db-shm", "state.lock"])
def test_s10_what_is_no_file_is_refused(directory: Path, name: str) -> None:
    """A FIFO would hold up whoever opens it."""
    directory.mkdir(mode=0o700)
    os.mkfifo(directory / name)

    error = refusal(directory)

    assert os.EX_NOPERM == error.exit_code
    assert f"{directory / name}: is not a file of ours" in str(error)


def test_the_directory_itself_may_be_a_symlink(directory: Path, tmp_path: Path) -> None:
    """It is one under DynamicUser=."""
    (tmp_path / "private").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "private")

    commit(directory, Change(journal=b"1"))

    assert [(1, b"1")] == load(directory).journal


def test_a_file_where_the_directory_should_be_is_refused(directory: Path) -> None:
    """A mistake in the configuration, said as one."""
    directory.write_text("")

    error = refusal(directory)

    assert os.EX_CANTCREAT == error.exit_code
    assert f"{directory}: not a directory" in str(error)


def test_a_lock_that_others_hold_open_is_no_damage(directory: Path) -> None:
    """A bystander who locks the database for a moment is waited for."""
    commit(directory, Change(journal=b"1"))

    async def work(state: State, _loaded: Loaded) -> int:
        with contextlib.closing(sqlite3.connect(directory / "state.db")) as bystander:
            bystander.execute("BEGIN IMMEDIATE")
            waiting = asyncio.create_task(state.commit(Change(journal=b"2")))
            await asyncio.sleep(0)
            bystander.rollback()
            await waiting
        return len((await state.load()).journal)

    assert 2 == with_state(directory, work)
