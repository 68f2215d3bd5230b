"""
Floods in full size; the tests run the same with less.

    python tests/torture/floods.py --gigabytes 10     F1, F7: a backlog, killed half way
    python tests/torture/floods.py --keys 1000000     F2: keys, of which 10,000 may stay
    python tests/torture/floods.py --files 10000      F3: files, most of them idle
    python tests/torture/floods.py --mails 10000      M19: mails that wait

Prints what holds and what does not; exits with 1 if something does not.  Needs the extra ``test``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from living import EACH_ERROR, Alertd, alertd, append, mailbox, text_of
from notices import notice
from smtpx import ScriptedServer
from structlog.testing import capture_logs

from alertd.delivery import Delivery
from alertd.smtp import SmtpNotifier
from alertd.state import Change, State
from alertd.tail import StoredFile

Verdicts: TypeAlias = "dict[str, bool]"
"""What was found, and whether it is what must be."""

MAX_MIB = 256
KEYS = """
[source.app]
paths = ["{log}"]
start_at = "beginning"
timestamp = "none"

[rule.keys]
match = 'key (?P<key>\\d+)'
group_by = "key"
more_than = 10
within = "1h"
max_keys = 10000
"""


def memory(pid: int, name: str = "VmHWM") -> float:
    """Return the most memory that a process has had, in MiB; with ``VmRSS`` what it has now."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def offset(daemon: Alertd, path: Path) -> int:
    """Return how far a file has been read."""
    files = [file for source in daemon.status()["sources"].values() for file in source["files"]]
    return next((int(file["offset"]) for file in files if file["path"] == str(path)), 0)


async def stored_offset(directory: Path, path: Path) -> int:
    """Return where a file will be read on that a daemon has left."""
    state = await State.open(directory)
    loaded = await state.load()
    await state.close()
    files = [msgspec.msgpack.decode(stored.blob, type=StoredFile) for stored in loaded.files]
    return next((file.offset for file in files if file.path == str(path)), 0)


def backlog(directory: Path, size: int) -> Verdicts:
    """Catch up with so many bytes, be killed half way, and tell everything once."""
    logs = directory / "logs"
    logs.mkdir()
    big, quiet = logs / "big.log", logs / "quiet.log"
    noise = b"INFO nothing worth a word, but it has to be read all the same\n" * 16_384
    pieces = max(size // len(noise), 10)
    with big.open("wb") as file:
        for number in range(pieces):
            file.write(noise)
            if number % max(1, pieces // 10) == 0:
                file.write(b"ERROR %d\n" % number)
    expected = len(range(0, pieces, max(1, pieces // 10)))
    quiet.touch()
    with mailbox() as box, alertd(directory, EACH_ERROR.format(logs=logs), box.port) as daemon:
        daemon.start()
        append(quiet, "ERROR 999999999")
        began = time.monotonic()
        while not any("999999999" in text_of(mail) for mail in [*box.mails]):
            assert time.monotonic() - began < 60, "the quiet file is never told"
            time.sleep(0.01)
        waited = time.monotonic() - began
        is_behind = offset(daemon, big) < big.stat().st_size
        daemon.wait_until("half", lambda _: offset(daemon, big) > size // 2, within=3600)
        peak, before = memory(daemon.pid), offset(daemon, big)
        daemon.kill()
        committed = asyncio.run(stored_offset(daemon.state, big))
        daemon.start()
        status = daemon.wait_until_read(big, quiet, within=3600)
        peak = max(peak, memory(daemon.pid))
        told = box.alerts()
    big.unlink()
    return {
        f"{size / 1e9:.1f} GB: {peak:.0f} MiB at most": peak < MAX_MIB,
        f"a quiet file was told after {waited:.2f} s": waited < 1.0 or not is_behind,
        f"{committed:,} bytes of {before:,} were committed": 0 < committed,
        f"{len(told)} alerts, {status['rules']['error']['keys']} keys of {expected + 1}": (
            expected + 1 == len(told) == status["rules"]["error"]["keys"]
        ),
    }


def many_keys(directory: Path, keys: int) -> Verdicts:
    """See so many keys, remember 10,000, and say so once."""
    log = directory / "app.log"
    log.touch()
    with mailbox() as box, alertd(directory, KEYS.format(log=log), box.port) as daemon:
        daemon.start()
        for first in range(0, keys, 10_000):
            append(log, *(f"key {first + n}" for n in range(min(10_000, keys - first))))
        rule = daemon.wait_until_read(log, within=600)["rules"]["keys"]
        mails = box.wait_for(1)
        peak = memory(daemon.pid)
        subjects = [str(mail["Subject"]) for mail in mails]
    return {
        f"{keys:,} keys: {peak:.0f} MiB at most": peak < MAX_MIB,
        f"{rule['evictions']:,} forgotten, {rule['keys']:,} remembered": (
            (keys - 10_000, 10_000) == (rule["evictions"], rule["keys"])
        ),
        f"said in {len(subjects)} mail": 1 == len(subjects) and "keys-forgotten" in subjects[0],
    }


LIMITED = """\
import resource, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, hard))
from alertd.cli import main
sys.exit(main())
"""


def many_files(
    directory: Path, files: int, seconds: float = 20.0, most: int | None = None
) -> Verdicts:
    """
    Follow so many files, read what is appended to some, and do next to nothing else.

    Args:
        directory: Where they are made.
        files: How many.
        seconds: For which it is watched doing nothing.
        most: Descriptors that the daemon may have, if not as many as this process.
    """
    program = ("-m", "alertd") if most is None else ("-c", LIMITED.format(most=most))
    logs = directory / "logs"
    logs.mkdir()
    paths = [logs / f"{number}.log" for number in range(files)]
    for path in paths:
        path.touch()
    with mailbox() as box, alertd(directory, EACH_ERROR.format(logs=logs), box.port) as daemon:
        began = time.monotonic()
        daemon.start(wait=False, program=program)
        daemon.notified("READY=1", within=120)
        ready = time.monotonic() - began
        some = paths[:: max(1, files // 50)]
        for number, path in enumerate(some):
            append(path, f"ERROR {number}")
        status = daemon.wait_until_read(*some, within=60)
        time.sleep(3)
        before = cpu_seconds(daemon.pid)
        time.sleep(seconds)
        share = (cpu_seconds(daemon.pid) - before) / seconds
        descriptors = len(os.listdir(f"/proc/{daemon.pid}/fd"))  # noqa: PTH208 - names are enough
        peak = memory(daemon.pid)
    return {
        f"{files:,} files: ready after {ready:.1f} s, {peak:.0f} MiB": peak < MAX_MIB,
        f"{descriptors:,} descriptors": descriptors <= 4096 + 64,
        f"{100 * share:.2f} % of a core while idle": share < 0.05,
        f"{status['rules']['error']['keys']} of {len(some)} told": (
            len(some) == status["rules"]["error"]["keys"]
        ),
    }


def many_mails(directory: Path, mails: int) -> Verdicts:
    """Send so many, one after the other."""

    async def run() -> tuple[float, list[bytes], int]:
        state = await State.open(directory / "state")
        await state.load()
        async with ScriptedServer() as server:
            email = SimpleNamespace(sender="a@example.com", join_older_than=0.0, max_per_hour=0)
            notifier = SmtpNotifier(host="127.0.0.1", port=server.port, security="none")
            delivery = Delivery(state.outbox, notifier, email, host="web1", timezone=UTC)
            await state.commit(Change(notices=[notice(number) for number in range(mails)]))
            began = time.perf_counter()
            while not await delivery.step():
                pass
            took = time.perf_counter() - began
            await delivery.drain(5.0)
            await state.close()
            return took, [copy.payload for copy in server.copies], len(server.sessions)

    with capture_logs():  # a line for each mail
        took, payloads, sessions = asyncio.run(run())
    is_in_order = len(payloads) == mails and all(
        f"<id-{number}@web1>".encode() in payload for number, payload in enumerate(payloads)
    )
    return {
        f"{mails:,} mails: {mails / took:,.0f} a second": mails / took >= 50,
        f"{len(payloads):,} arrived, each once and oldest first": is_in_order,
        f"{sessions} connection": 1 == sessions,
    }


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float)
    parser.add_argument("--keys", type=int)
    parser.add_argument("--files", type=int)
    parser.add_argument("--mails", type=int)
    arguments = parser.parse_args()
    holds = True
    for run, size in (
        (backlog, arguments.gigabytes and round(arguments.gigabytes * 1e9)),
        (many_keys, arguments.keys),
        (many_files, arguments.files),
        (many_mails, arguments.mails),
    ):
        if size:
            with tempfile.TemporaryDirectory() as directory:
                for what, is_so in run(Path(directory), size).items():
                    holds = holds and is_so
                    print(f"{'ok  ' if is_so else 'FAIL'} {what}", flush=True)
    sys.exit(not holds)


if __name__ == "__main__":
    main()
