"""Torture that needs the machine's own tools: strace, a full disk, another user."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from living import EACH_ERROR, Alertd, Mailbox, alertd, append, text_of

from alertd.core.rules import Source
from alertd.tail import Tailer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log, empty at first."""
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "app.log").touch()
    return directory / "app.log"


@pytest.fixture
def daemon(tmp_path: Path, log: Path, box: Mailbox) -> Iterator[Alertd]:
    """A daemon that tells every error once."""
    with alertd(tmp_path, EACH_ERROR.format(logs=log.parent), box.port) as daemon:
        yield daemon


@pytest.fixture
def full_disk(daemon: Alertd) -> Iterator[Path]:
    """A small disk under the daemon's state, and a file that takes what is left of it."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    daemon.state.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", daemon.state],
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    yield daemon.state / "ballast"
    daemon.close()
    subprocess.run(["umount", "-l", daemon.state], check=True)


@pytest.fixture
def failing_disk(daemon: Alertd, tmp_path: Path) -> Iterator[Path]:
    """A disk of its own under the daemon's state, and the file of the kernel that breaks it."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    image = tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    daemon.state.mkdir(mode=0o700)
    if not mount_again(image, daemon.state):
        pytest.skip("this machine lets nobody mount")
    daemon.state.chmod(0o700)
    device = subprocess.run(
        ["findmnt", "-no", "SOURCE", daemon.state], check=True, capture_output=True, text=True
    ).stdout.strip()
    yield Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    daemon.close()
    subprocess.run(["umount", "-l", daemon.state], check=True)


def mount_again(image: Path, place: Path) -> bool:
    """Mount a disk that turns read-only when something is wrong with it; say whether it works."""
    subprocess.run(["umount", "-l", place], check=False, capture_output=True)
    options = ["-o", "loop,errors=remount-ro"]
    return subprocess.run(["mount", *options, image, place], check=False).returncode == 0


def fill(ballast: Path) -> None:
    """Take all the space that there is."""
    with ballast.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


@pytest.mark.needs("mount")
def test_c8_f14_a_full_disk_pauses_reading_and_loses_nothing(
    daemon: Alertd, box: Mailbox, log: Path, full_disk: Path
) -> None:
    """The server is away too; when both are back, everything is told exactly once."""
    append(log, "ERROR 1")
    daemon.start()
    box.wait_for(1)
    daemon.wait_until_read(log)
    fill(full_disk)
    box.stop()
    append(log, "ERROR 2", "ERROR 3")
    status = daemon.wait_until("degraded", lambda status: status["trouble"] is not None)
    full_disk.unlink()
    box.start_again()
    daemon.wait_until("well again", lambda status: status["trouble"] is None)
    mails = box.wait_for(4, within=40.0)
    daemon.wait_until("all told", lambda status: status["outbox"]["pending"] == 0)

    assert "cannot write the state" in status["trouble"]
    assert "state not written; reading paused" in daemon.log
    texts = [text_of(mail).replace("»", "").replace("«", "") for mail in mails]
    told = [re.findall(r"ERROR (\d)", text) for text in texts]
    assert [["1"], ["2"], ["3"]] == sorted(numbers[:1] for numbers in told if numbers)
    assert ["alertd/state-unwritable"] == [
        mail["X-Alertd-Rule"] for mail in mails if mail["X-Alertd-Rule"] != "error"
    ]


@pytest.mark.needs("mkfs.ext4")
def test_c10_a_disk_that_turns_read_only_pauses_reading_and_loses_nothing(
    daemon: Alertd, box: Mailbox, log: Path, failing_disk: Path, tmp_path: Path
) -> None:
    """Once the disk is mended and alertd restarted, everything is told exactly once."""
    append(log, "ERROR 1")
    daemon.start()
    box.wait_for(1)
    daemon.wait_until_read(log)
    failing_disk.write_text("1")
    append(log, "ERROR 2", "ERROR 3")
    status = daemon.wait_until("degraded", lambda status: status["trouble"] is not None)
    daemon.stop()
    assert mount_again(tmp_path / "disk", daemon.state)
    daemon.start()
    box.wait_for(3)
    daemon.wait_until_read(log)
    daemon.wait_until("all told", lambda status: status["outbox"]["pending"] == 0)

    assert "cannot write the state" in status["trouble"]
    assert 3 == len(box.mails) == len(box.alerts())


@pytest.mark.needs("strace")
def test_s16_c12_no_program_is_run_and_what_is_told_is_durable_first(
    daemon: Alertd, box: Mailbox, log: Path, tmp_path: Path
) -> None:
    """
    Whatever a line holds.

    The row of an alert is on the disk before the server hears of it, and the server's answer is
    on the disk at the end.
    """
    trace = tmp_path / "trace"
    append(log, "ERROR 1 $(touch /tmp/pwned) `id` ~! ;|&")
    daemon.start()
    box.wait_for(1)
    daemon.wait_until_read(log)
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-qq", "-y", "-s", "5000", "-o", trace, "-p", str(daemon.pid)),
            *("-e", "trace=execve,execveat,pwrite64,fdatasync,fsync,sendto,write"),
        ],
    )
    daemon.wait_until("traced", lambda _: trace.exists() and trace.stat().st_size > 0)
    append(log, "ERROR 2 $(touch /tmp/pwned) `id` ~!id ;|&")
    box.wait_for(2)
    daemon.wait_until_read(log)
    tracer.terminate()
    tracer.wait(20)
    calls = trace.read_text(errors="replace").splitlines()

    assert not [call for call in calls if "execve" in call]
    row = first(calls, 0, "pwrite64", "state.db-wal>", "ERROR 2")
    mail = first(calls, row, "MAIL FROM")
    assert durable(calls, row) < mail
    mark = first(calls, mail, "pwrite64", "state.db-wal>", "250 OK")
    assert mark < durable(calls, mark)


def first(calls: list[str], start: int, *words: str) -> int:
    """Return where the first call with all these words stands."""
    for number in range(start, len(calls)):
        if all(word.upper() in calls[number].upper() for word in words):
            return number
    raise AssertionError(f"no call with {words} after {start}")


def durable(calls: list[str], written: int) -> int:
    """Return where the log of the state, written at some call, has been synced."""
    begun = first(calls, written, "sync(", "state.db-wal>")
    if calls[begun].endswith("= 0"):
        return begun
    return first(calls, begun + 1, calls[begun].split()[0], "sync resumed", "= 0")


PROGRAM = """
import sys
with open(sys.argv[1], "ab", buffering=0) as log:
    for number in range(int(sys.argv[2])):
        log.write(b"%d ERROR %s\\n" % (number, b"x" * (number % 200)))
"""


def test_l4_lines_torn_at_page_boundaries_are_whole(log: Path) -> None:
    """A reader sees the beginning of a write before its end; nobody may take that for a line."""
    lines = 100_000

    async def run() -> bytes:
        tailer = Tailer([Source("app", (str(log),), UTC, start_at="beginning")], [])
        await tailer.open()
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, log, str(lines))
        )
        data = bytearray()
        running = asyncio.create_task(tailer.run())
        try:
            async with asyncio.timeout(40):
                while data.count(b"\n") < lines:
                    await tailer.changed(1.0)
                    for file in tailer.readable():
                        while (batch := await tailer.read(file)) is not None:
                            assert batch.data.endswith(b"\n")
                            data += batch.data
                            tailer.consume(file, batch, len(batch.data))
        finally:
            await writer.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await tailer.close()
        return bytes(data)

    read = asyncio.run(run()).splitlines()
    assert lines == len(read)
    assert [b"%d ERROR %s" % (n, b"x" * (n % 200)) for n in range(lines)] == read
