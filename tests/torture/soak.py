"""
Half an hour of everything at once, after which nothing has grown (P13, P10).

    python tests/torture/soak.py [--minutes 30] [--seed 1]

Four files are written and rotated in four ways, the mail server fails now and then, the daemon is
reloaded by signal and over its socket.  Prints its memory, descriptors, threads and tasks every
minute, and at the end a verdict, which the exit code repeats:

- resident memory grows by less than 1 MB an hour once it is warm, descriptors and tasks not at all;
- every error is told, and whatever came twice is the same mail, byte by byte.

Needs the extra ``test``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import itertools
import os
import random
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from living import Alertd, alertd
from smtpx import ScriptedServer, drop, garbage, reply, rst, stall

from alertd.control import ControlError, request
from alertd.core.detectors.detector import alert_id

if TYPE_CHECKING:
    from io import FileIO

FILES = 4
STEP_SECONDS = 0.05
NOISE = 10
"""Lines a step and a file that no rule wants."""
ERROR_SHARE = 0.02
"""Of the steps of a file."""
ROTATE_SECONDS = 3.0
FAULT_SECONDS = 40.0
RELOAD_SECONDS = 15.0
GROWTH_MB_AN_HOUR = 1.0
YOUNG_SECONDS = 5.0
KEPT = 5
"""Rotations of a file that stay."""
FAULTS = (
    ("banner", drop),
    ("banner", garbage(1 << 16)),
    ("mail", reply(421, "busy")),
    ("mail", reply(451, "later")),
    ("rcpt", reply(451, "greylisted")),
    ("data", rst),
    ("dot", drop),
    ("dot", stall()),
    ("dot", reply(452, "full")),
)
SETTINGS = """
[source.s{number}]
paths = ["{logs}/{number}.log"]
start_at = "beginning"

[rule.r{number}]
source = "s{number}"
match = 'ERROR (?P<number>\\d+)'
group_by = "number"
more_than = 0
within = "{within}"
cooldown = "0s"

[rule.keys{number}]
source = "s{number}"
match = 'INFO (?P<number>\\d+)'
group_by = "number"
more_than = 5
within = "1m"
max_keys = 200
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon has after so many seconds."""

    at: float
    rss_mb: float
    descriptors: int
    threads: int
    tasks: int
    files: int


class Writer:
    """One file: written, and rotated in one way after the other."""

    def __init__(self, path: Path, number: int, chance: random.Random) -> None:
        self.path = path
        self.rotations = 0
        self.expected: dict[tuple[str, str], str] = {}
        """The id of each error's alert, by rule and number."""
        self._number = number
        self._chance = chance
        self._micros = 0
        self._lines = itertools.count()
        self._file: FileIO | None = None
        self._open()

    def write(self) -> None:
        """Append some lines, an error among them perhaps."""
        lines = [f"{self._stamp()[0]} INFO {next(self._lines)} fine" for _ in range(NOISE)]
        if self._chance.random() < ERROR_SHARE:
            stamp, when = self._stamp()
            number = str(next(self._lines))
            lines.append(f"{stamp} ERROR {number} broken")
            name = f"r{self._number}"
            self.expected[name, number] = alert_id(name, (number,), when, 0)
        assert self._file is not None
        self._file.write("".join(f"{line}\n" for line in lines).encode())

    def rotate(self) -> None:
        """Rename, or copy and truncate, or delete; compress what was rotated before."""
        self.rotations += 1
        is_young = time.monotonic() - self._made_at < YOUNG_SECONDS
        fresh = self.path.with_name(f"{self.path.name}.{self.rotations}")
        match self._chance.randrange(3):
            case 0:
                fresh.write_bytes(self.path.read_bytes())
                os.truncate(self.path, 0)
            case 1 if not is_young:
                # What is made and deleted between two looks is lost by nature.
                self.path.unlink()
                self._open()
            case _:
                self.path.rename(fresh)
                self._open()
        older = self.path.with_name(f"{self.path.name}.{self.rotations - 2}")
        if older.exists():
            older.with_name(f"{older.name}.gz").write_bytes(gzip.compress(older.read_bytes()))
            older.unlink()
        oldest = self.path.with_name(f"{self.path.name}.{self.rotations - KEPT}.gz")
        oldest.unlink(missing_ok=True)

    def _open(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self.path.open("ab", buffering=0)
        self._made_at = time.monotonic()

    def _stamp(self) -> tuple[str, float]:
        self._micros = max(self._micros + 1, time.time_ns() // 1000)
        when = datetime.fromtimestamp(self._micros // 1_000_000, UTC)
        text = f"{when:%Y-%m-%dT%H:%M:%S}.{self._micros % 1_000_000:06}Z"
        return text, datetime.fromisoformat(text).timestamp()


class Arrived:
    """What came by mail; of each mail only its bytes' hash is kept."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.told: set[tuple[str, str]] = set()
        self.mails: dict[bytes, set[int]] = {}
        self.copies = 0

    def take(self, server: ScriptedServer) -> None:
        """Take what has come since the last call off the server."""
        copies, server.copies = server.copies, []
        server.sessions = server.sessions[-10:]
        for copy in copies:
            found = re.search(rb"(?m)^Message-ID: (\S+)", copy.payload)
            assert found is not None
            self.mails.setdefault(found[1], set()).add(hash(copy.payload))
            text = copy.payload.decode()
            self.ids.update(re.findall(r"\b[0-9a-f]{20}\b", text))
            self.told.update(re.findall(r"\b(r\d)\b[^\n]*?\bnumber (\d+)", text))
            self.copies += 1


def settings(logs: Path, within: str) -> str:
    """Write sources and rules."""
    return "".join(
        SETTINGS.format(number=number, logs=logs, within=within) for number in range(FILES)
    )


def sample(daemon: Alertd, began: float) -> Sample:
    """Look at the daemon."""
    text = Path(f"/proc/{daemon.pid}/status").read_text()
    status = daemon.status()
    facts = dict(line.split(":", 1) for line in text.splitlines())
    return Sample(
        time.monotonic() - began,
        int(facts["VmRSS"].split()[0]) / 1024,
        len(os.listdir(f"/proc/{daemon.pid}/fd")),  # noqa: PTH208 - names are enough
        int(facts["Threads"]),
        int(status["tasks"]),
        sum(len(source["files"]) for source in status["sources"].values()),
    )


def slope(samples: list[Sample]) -> float:
    """Return by how many MB an hour memory grows: the median of the slopes between all pairs."""
    return statistics.median(
        3600 * (later.rss_mb - earlier.rss_mb) / (later.at - earlier.at)
        for earlier, later in itertools.combinations(samples, 2)
    )


async def torment(
    daemon: Alertd, server: ScriptedServer, writers: list[Writer], minutes: float, seed: int
) -> tuple[list[Sample], Arrived]:
    """Do everything at once, for so long."""
    chance = random.Random(seed)
    arrived, samples = Arrived(), []
    began = time.monotonic()
    due = {"rotate": 0.0, "fault": FAULT_SECONDS, "reload": RELOAD_SECONDS, "sample": 60.0}
    reloads = 0
    while (passed := time.monotonic() - began) < minutes * 60 + 1:
        for writer in writers:
            writer.write()
        if passed >= due["rotate"]:
            due["rotate"] += ROTATE_SECONDS / FILES
            chance.choice(writers).rotate()
        if passed >= due["fault"]:
            due["fault"] += FAULT_SECONDS
            server.then(chance.choice(FAULTS))
        if passed >= due["reload"]:
            due["reload"] += RELOAD_SECONDS
            reloads += 1
            daemon.configure(settings(writers[0].path.parent, f"{1 + reloads % 2}s"))
            if reloads % 2:
                daemon.hang_up()
            else:
                await asyncio.to_thread(daemon.reload)
        if passed >= due["sample"]:
            due["sample"] += 60.0
            samples.append(await asyncio.to_thread(sample, daemon, began))
            one = samples[-1]
            print(
                f"{one.at / 60:5.1f} min {one.rss_mb:8.1f} MB {one.descriptors:4} fds "
                f"{one.threads:3} threads {one.tasks:3} tasks {one.files:4} files "
                f"{sum(writer.rotations for writer in writers):6,} rotations "
                f"{arrived.copies:6,} mails",
                flush=True,
            )
        arrived.take(server)
        await asyncio.sleep(STEP_SECONDS)
    return samples, arrived


async def finish(
    daemon: Alertd, server: ScriptedServer, arrived: Arrived, expected: set[tuple[str, str]]
) -> None:
    """Wait until everything has been told, or nothing more comes."""
    deadline = time.monotonic() + 120
    while not expected <= arrived.told and time.monotonic() < deadline:
        await asyncio.sleep(1)
        with contextlib.suppress(ControlError):  # it is busy
            await asyncio.to_thread(request, daemon.state, "outbox", 10.0, {"retry": "all"})
        arrived.take(server)


async def run(directory: Path, minutes: float, seed: int) -> bool:
    """Run it, and print the verdict."""
    logs = directory / "logs"
    logs.mkdir()
    writers = [
        Writer(logs / f"{number}.log", number, random.Random(seed + number))
        for number in range(FILES)
    ]
    async with ScriptedServer() as server:
        email = 'max_per_hour = 0\ntimeout = "5s"'
        with alertd(directory, settings(logs, "1s"), server.port, email) as daemon:
            await asyncio.to_thread(daemon.start)
            samples, arrived = await torment(daemon, server, writers, minutes, seed)
            expected = {key: id_ for one in writers for key, id_ in one.expected.items()}
            await finish(daemon, server, arrived, set(expected))
            late = int((await asyncio.to_thread(daemon.status))["late_matches"])
            code = await asyncio.to_thread(daemon.stop)
    warm = samples[len(samples) // 3 :]
    growth = slope(warm) if len(warm) > 1 else 0.0
    quarter = max(1, len(samples) // 4)
    fds = [max(one.descriptors for one in part) for part in (warm[:quarter], warm[-quarter:])]
    tasks = [max(one.tasks for one in part) for part in (warm[:quarter], warm[-quarter:])]
    lost = sorted(expected.keys() - arrived.told)
    moved = len(set(expected.values()) - arrived.ids) - len(lost)
    changed = sum(len(bytes_) > 1 for bytes_ in arrived.mails.values())
    repeats = arrived.copies - len(arrived.mails)
    verdicts = {
        f"memory: {growth:+.2f} MB/h over the last {len(warm)} minutes": growth < GROWTH_MB_AN_HOUR,
        f"descriptors: at most {fds[0]}, later {fds[1]}": fds[1] <= fds[0] + 2,
        f"tasks: at most {tasks[0]}, later {tasks[1]}": tasks[1] <= tasks[0] + 2,
        f"alerts: {len(expected):,} expected, {len(lost)} lost {lost[:5]}": bool(expected)
        and not lost,
        f"times: {moved} alerts at another time than their line's, {late} matches late": moved == 0,
        f"mails: {arrived.copies:,}, {repeats} repeats, {changed} not the same": changed == 0,
        f"exit code {code}, {daemon.log.count('Traceback')} tracebacks": code == 0
        and "Traceback" not in daemon.log,
    }
    for what, holds in verdicts.items():
        print(f"{'ok  ' if holds else 'FAIL'} {what}")
    return all(verdicts.values())


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        is_well = asyncio.run(run(Path(directory), arguments.minutes, arguments.seed))
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
