"""
What the hot path costs, in numbers that two commits can be compared by.

    python tests/benchmarks/hot_path.py [--time]

Counts the instructions of each step with valgrind where that is installed: the same on a busy
machine as on a quiet one.  That takes some minutes.  Otherwise, or with ``--time``, it is the best
time of many.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from alertd import config
from alertd.core.engine import Engine
from alertd.core.events import Batch, Match
from alertd.core.framing import Framing
from alertd.core.matching import Matcher
from alertd.core.ordering import Ordering
from alertd.core.timestamps import TimestampReader

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import logs
from benchmarks.cases import hit_rates, many
from benchmarks.table import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.cases import Case

    from alertd.core.rules import Rule, Source

LINES = 5_000
# A function of the C library that Python calls for `os.getpriority`, and nobody else calls.
MARKER = "getpriority"
TIMED_ROUNDS = 20
EMAIL = """\
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd <alerts@example.com>"
recipients = ["ops@example.com"]
"""


def understood(case: Case, directory: Path) -> tuple[Source, tuple[Rule, ...]]:
    """Read a case's configuration as alertd does."""
    path = directory / "alertd.toml"
    path.write_text(f'{EMAIL}[state]\ndirectory = "{directory}"\n{case.configuration()}')
    settings = config.load(path, {})
    return settings.sources[0], settings.rules


def matched(matcher: Matcher, data: bytes) -> list[Match]:
    """Match a whole file."""
    framing = Framing()
    found: list[Match] = []
    offset = 0
    while offset < len(data):
        batch = Batch("1", "log", "log", offset, data[offset:], logs.START + 86_400, is_final=True)
        result = matcher.match(batch, framing)
        found += result.matches
        offset += result.consumed
    return found


def judged(rules: tuple[Rule, ...], matches: list[Match]) -> int:
    """Put matches in order, and count the alerts that they raise."""
    ordering, engine = Ordering(0.0), Engine(rules)
    file = ("log", "1")
    alerts = 0
    for start in range(0, len(matches), 1000):
        some = matches[start : start + 1000]
        ordering.add(file, some, front=some[-1].time, read_at=some[-1].time)
        alerts += len(engine.feed(ordering.release(None)))
    return alerts


def matching(case: Case, directory: Path) -> Callable[[], object]:
    """Prepare to match a log."""
    matcher = Matcher(*understood(case, directory))
    return partial(matched, matcher, case.log.read_bytes())


def judging(case: Case, directory: Path) -> Callable[[], object]:
    """Prepare to order and judge what matches in a log."""
    source, rules = understood(case, directory)
    return partial(judged, rules, matched(Matcher(source, rules), case.log.read_bytes()))


def finding_times(lines_of: logs.Writer) -> Callable[[], object]:
    """Prepare to find the times in a log's lines."""
    reader = TimestampReader(timezone=UTC)
    return partial(times_found, reader, [*islice(lines_of(random.Random(1)), LINES)])


def steps(directory: Path) -> dict[str, Callable[[], Callable[[], object]]]:
    """Give what is measured, by name: each prepares something to be done again and again."""
    cases = many(directory, LINES, ["auth", "json", "csv"], [1, 100])
    found = {f"match {case.name}": partial(matching, case, directory) for case in cases}
    (every_line,) = hit_rates(directory, LINES, [100])
    return {
        **found,
        "match every line": partial(matching, every_line, directory),
        "order and judge every line": partial(judging, every_line, directory),
        "find times, syslog": partial(finding_times, logs.auth),
        "find times, ISO 8601": partial(finding_times, logs.requests(1, 1000)),
    }


def times_found(reader: TimestampReader, texts: list[str]) -> int:
    """Find the times in lines."""
    return sum(reader.find(text, logs.START + 86_400) is not None for text in texts)


def instructions(directory: Path) -> list[int]:
    """Count what every step executes, all in one process, which valgrind makes slow to start."""
    subprocess.run(
        [
            *("valgrind", "--tool=callgrind", f"--dump-before={MARKER}"),
            f"--callgrind-out-file={directory / 'counted'}",
            *(sys.executable, __file__, "--count", directory),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    parts = sorted(directory.glob("counted.*"), key=lambda path: int(path.suffix[1:]))
    totals = [
        int(line.split()[1])
        for part in parts
        for line in part.read_text().splitlines()
        if line.startswith("totals:")
    ]
    # A step lies between two marks; what lies before them prepares it.
    return totals[1::2]


def do_once(directory: Path) -> None:
    """Do every step once between marks, and once before, when caches are filled."""
    for prepare in steps(directory).values():
        step = prepare()
        step()
        os.getpriority(os.PRIO_PROCESS, 0)
        step()
        os.getpriority(os.PRIO_PROCESS, 0)


def nanoseconds(step: Callable[[], object]) -> float:
    """Time a step: the best of many rounds, since all that can happen to it makes it slower."""
    took = []
    for _ in range(TIMED_ROUNDS):
        started = time.perf_counter_ns()
        step()
        took.append(time.perf_counter_ns() - started)
    return min(took)


def main() -> None:
    """Measure every step, or do one so often."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--time", action="store_true", help="although valgrind is installed")
    parser.add_argument("--count", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.count:
        do_once(arguments.count)
        return
    is_counted = shutil.which("valgrind") is not None and not arguments.time
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        prepared = steps(directory)
        if is_counted:
            values: list[float] = [*instructions(directory)]
        else:
            values = [nanoseconds(prepare()) for prepare in prepared.values()]
    rows = [(step, f"{value / LINES:,.1f}") for step, value in zip(prepared, values, strict=True)]
    unit = "instructions a line" if is_counted else "ns a line"
    print(f"{LINES:,} lines a step\n\n{table(('step', unit), rows)}")


if __name__ == "__main__":
    main()
