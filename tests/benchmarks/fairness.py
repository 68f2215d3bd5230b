"""
What one file can do to the others: how late an alert comes, and how long the event loop stalls.

    python tests/benchmarks/fairness.py [--gigabytes 1] [--scale 1.0] [--only NAME,NAME]

Needs the extra ``test``, and disk for one file of so many gigabytes in the temporary directory.

The defaults are smaller than the issue's ten gigabytes: ask for those with ``--gigabytes 10``.

In each case a daemon is given something bad, and while it deals with that, lines are appended to a
quiet file of another source, each of which rings.  Shown are the delays from a line's append to its
mail in the server's hands; the longest pause of the daemon's event loop, by the clock and in
computing time (see ``heartbeat.py``: with other work on the machine, only the latter is alertd's);
and its memory before, in the middle and after.  Prints a table; asserts nothing.

Limits of issue 3: an alert is delayed by no more than 100 ms, the loop stalls no longer than 50 ms.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.footprint import memory
from benchmarks.table import table
from living import Alertd, Mailbox, alertd, append, mailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HEART = Path(__file__).with_name("heartbeat.py")
PIECE_BYTES = 1 << 20
LONGEST_SECONDS = 900.0
BETWEEN_SECONDS = 0.05
"""Between two lines of the quiet file."""

READER = "quiet@example.com"
QUIET = """
[source.quiet]
paths = ["{quiet}"]
timestamp = "none"

[rule.quiet]
source = "quiet"
match = 'number (?P<number>\\d+) rings'
group_by = "number"
more_than = 0
within = "1s"
recipients = ["{reader}"]

[source.busy]
paths = ["{busy}/*.log"]
timezone = "UTC"
start_at = "beginning"
"""
SELDOM = """
[rule.seldom]
source = "busy"
match = 'status=503 from (?P<ip>\\S+)'
group_by = "ip"
more_than = 10
within = "1m"
"""
HEADER = ("case", "alerts", "median ms", "worst ms", "loop ms", "of it own", "MiB", "seconds")


@dataclass
class Room:
    """
    Where a case happens.

    Attributes:
        daemon: Not started yet.
        busy: The directory of the files of source ``busy``.
        gigabytes: How large the largest file is.
        scale: By which the number of lines, files and keys is multiplied.
    """

    daemon: Alertd
    busy: Path
    gigabytes: float
    scale: float

    def times(self, count: int) -> int:
        """Return a number at this scale."""
        return max(1, int(count * self.scale))

    def configure(self, rules: str) -> None:
        """Have the daemon watch the quiet file and the busy ones, and these by these rules."""
        quiet = self.busy.parent / "quiet.log"
        self.daemon.configure(QUIET.format(quiet=quiet, busy=self.busy, reader=READER) + rules)


Prepare: TypeAlias = "Callable[[Room], Callable[[], None]]"
"""Prepares a case, and returns what is to be done once the daemon runs."""


def moment(second: float = 0.0) -> str:
    """Write a time of today."""
    return datetime.fromtimestamp(time.time() - 3600 + second, UTC).isoformat()


def written(path: Path, pieces: Iterator[bytes], size: int) -> None:
    """Write pieces until there are so many bytes."""
    with path.open("wb", buffering=0) as file:
        left = size
        while left > 0:
            piece = next(pieces)
            file.write(piece)
            left -= len(piece)


def nothing() -> None:
    """Do nothing: it is all there already."""


def backlog(room: Room) -> Callable[[], None]:
    """Be there with a file of many gigabytes, of which a hundredth of the lines match."""
    room.configure(SELDOM)
    numbers = itertools.count()

    def pieces() -> Iterator[bytes]:
        while True:
            at = moment(next(numbers) / 100)
            yield b"".join(
                f"{at} GET / status={503 if n % 100 == 0 else 200} from 10.0.{n % 256}.7\n".encode()
                for n in range(16_000)
            )

    written(room.busy / "backlog.log", pieces(), int(room.gigabytes * 1e9))
    return nothing


def endless_line(room: Room) -> Callable[[], None]:
    """Be there with a single line of many gigabytes."""
    room.configure(SELDOM)
    log = room.busy / "line.log"
    written(log, itertools.repeat(b"x" * PIECE_BYTES), int(room.gigabytes * 1e9))
    append(log, "", f"{moment()} status=503 from 10.0.0.1")
    return nothing


def empty_lines(rules: str) -> Prepare:
    """Be there with ten million empty lines."""

    def prepare(room: Room) -> Callable[[], None]:
        room.configure(rules)
        size = room.times(10_000_000)
        written(room.busy / "empty.log", itertools.repeat(b"\n" * 10_000), size)
        return nothing

    return prepare


def pathological(room: Room) -> Callable[[], None]:
    """Be there with lines on which a regex takes for ever."""
    room.configure(
        "[rule.slow]\nsource = 'busy'\nmatch = '(?!x)(?:(\\w+\\s?)+=|ERROR)'\n"
        "more_than = 10\nwithin = '1m'\n"
    )
    line = f"{moment()} {'word ' * 20}!\n".encode()
    written(room.busy / "slow.log", itertools.repeat(line), room.times(1000) * len(line))
    return nothing


def matching(room: Room) -> Callable[[], None]:
    """Be there with lines all of which match a hundred rules, in all a million keys."""
    room.configure(
        "".join(
            f"[rule.r{n}]\nsource = 'busy'\nmatch = '(?:n{n}:)?worker (?P<key>\\S+) failed'\n"
            "group_by = 'key'\nmore_than = 10\nwithin = '1h'\n"
            for n in range(100)
        )
    )
    with (room.busy / "matching.log").open("w") as file:
        file.writelines(
            f"{moment(n / 1000)} worker {n} failed\n" for n in range(room.times(10_000))
        )
    return nothing


def newcomers(room: Room) -> Callable[[], None]:
    """Let ten thousand files appear at once."""
    room.configure(SELDOM)
    aside = room.busy.parent / "aside"
    aside.mkdir()
    for n in range(room.times(10_000)):
        (aside / f"{n:05}.log").write_text(f"{moment()} GET / status=503 from 10.0.0.1\n" * 10)

    def appear() -> None:
        for path in aside.iterdir():
            path.rename(room.busy / path.name)

    return appear


def reload(room: Room) -> Callable[[], None]:
    """Reload a configuration that has a thousand new rules."""
    room.configure(SELDOM)

    def change() -> None:
        room.configure(
            "".join(
                f"[rule.r{n}]\nsource = 'busy'\nmatch = 'E{n:04} .* from (?P<ip>\\S+)$'\n"
                f"group_by = 'ip'\nmore_than = 10\nwithin = '1m'\nmax_keys = 100\n"
                for n in range(room.times(1000))
            )
        )
        room.daemon.reload()

    return change


EVERY_LINE = """
[rule.every]
source = "busy"
match = '^(?!x)'
more_than = 100000
within = "1s"
"""
NO_LINE = """
[rule.none]
source = "busy"
match = '(?<!y)x(?!z)'
more_than = 10
within = "1s"
"""
CASES: dict[str, Prepare] = {
    "backlog": backlog,
    "endless-line": endless_line,
    "empty-lines": empty_lines(NO_LINE),
    "empty-lines-every": empty_lines(EVERY_LINE),
    "pathological": pathological,
    "matching": matching,
    "newcomers": newcomers,
    "reload": reload,
}


class Errand(threading.Thread):
    """Does something, and then waits until the daemon has read all that there is."""

    def __init__(self, room: Room, action: Callable[[], None]) -> None:
        super().__init__()
        self._room = room
        self._action = action
        self.error: Exception | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self._action()
            self._wait()
        except Exception as error:  # noqa: BLE001 - raised again by who waits for us
            self.error = error

    def _wait(self) -> None:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not self._is_read(self._room.daemon.status()):
            if time.monotonic() > deadline:
                raise TimeoutError("never read")
            time.sleep(1)

    def _is_read(self, status: dict[str, Any]) -> bool:
        offsets = {file["path"]: file["offset"] for file in status["sources"]["busy"]["files"]}
        return all(
            offsets.get(str(path)) == path.stat().st_size for path in self._room.busy.iterdir()
        )


def rung(box: Mailbox, quiet: Path, number: int) -> float:
    """Append a line that rings; return the milliseconds until its mail is there."""
    started = time.perf_counter()
    append(quiet, f"number {number} rings")
    with box._came:
        came = box._came.wait_for(lambda: box.recipients.count([READER]) > number, timeout=60)
    if not came:
        raise TimeoutError(f"the mail about number {number} never came")
    return 1000 * (time.perf_counter() - started)


def measured(name: str, prepare: Prepare, gigabytes: float, scale: float) -> tuple[str, ...]:
    """Run a case; return its row."""
    with (
        tempfile.TemporaryDirectory(prefix="alertd-fairness-") as temporary,
        mailbox() as box,
        alertd(Path(temporary), "", box.port, "max_per_hour = 0") as daemon,
    ):
        directory = Path(temporary)
        quiet, busy, report = directory / "quiet.log", directory / "busy", directory / "heart"
        quiet.touch()
        busy.mkdir()
        room = Room(daemon, busy, gigabytes, scale)
        action = prepare(room)
        daemon.start(program=(HEART, report))
        began = time.perf_counter()
        errand = Errand(room, action)
        errand.start()
        delays: list[float] = []
        sizes = [memory(daemon.pid, "VmRSS")]
        while errand.is_alive() or not delays:
            delays.append(rung(box, quiet, len(delays)))
            sizes.append(memory(daemon.pid, "VmRSS"))
            time.sleep(BETWEEN_SECONDS)
        took = time.perf_counter() - began
        if errand.error is not None:
            raise errand.error
        peak = memory(daemon.pid, "VmHWM")
        daemon.stop()
        pauses = report.read_text().split()
    sampled = [*(sizes[len(sizes) * part // 4] for part in (0, 2)), sizes[-1], peak]
    return (
        name,
        f"{len(delays)}",
        f"{statistics.median(delays):.0f}",
        f"{max(delays):.0f}",
        *pauses,
        " ".join(f"{size:.0f}" for size in sampled),
        f"{took:.1f}",
    )


def main(argv: Sequence[str]) -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of one file")
    parser.add_argument("--scale", type=float, default=1.0, help="of all other numbers")
    parser.add_argument("--only", default=",".join(CASES), metavar="NAME,NAME")
    arguments = parser.parse_args(argv)
    rows = []
    for name in arguments.only.split(","):
        rows.append(measured(name, CASES[name], arguments.gigabytes, arguments.scale))
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    print(table(HEADER, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
