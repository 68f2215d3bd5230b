"""
What the hot path costs, in numbers that two commits can be compared by.

    python tests/benchmarks/hot_path.py [--time]

Counts the instructions of each step with valgrind where that is installed: the same on a busy
machine as on a quiet one, to a few in ten thousand.  Otherwise, or with ``--time``, the best time
of many.  A step's fixed costs are left out: what is counted is the difference between few rounds
and more.
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
from benchmarks.cases import Case, many
from benchmarks.table import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from alertd.core.rules import Rule, Source

LINES = 10_000
FEW, MORE = 2, 6
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


def steps(directory: Path) -> dict[str, Callable[[], object]]:
    """Give what is measured, by name, each ready to be called again and again."""
    found: dict[str, Callable[[], object]] = {}
    for case in many(directory, LINES, ["auth", "json", "csv"], [1, 100]):
        matcher = Matcher(*understood(case, directory))
        found[f"match {case.name}"] = partial(matched, matcher, case.log.read_bytes())
    log = logs.written(directory / "requests.log", logs.requests(1, 1000), LINES)
    rule = next(many(directory, LINES, ["auth"], [1])).rules[0]
    every = Case(
        "every line",
        log,
        LINES,
        "plain",
        (rule._replace(regex=r"of user (?P<ip>\d+) failed$"),),
        "ip",
        "iso",
    )
    source, rules = understood(every, directory)
    matcher, data = Matcher(source, rules), log.read_bytes()
    found["match every line"] = partial(matched, matcher, data)
    found["order and judge every line"] = partial(judged, rules, matched(matcher, data))
    for name, lines in {"syslog": logs.auth, "ISO 8601": logs.requests(1, 1000)}.items():
        texts = [*islice(lines(random.Random(1)), LINES)]
        reader = TimestampReader(timezone=source.timezone)
        found[f"find times, {name}"] = partial(times_found, reader, texts)
    return found


def times_found(reader: TimestampReader, texts: list[str]) -> int:
    """Find the times in lines."""
    return sum(reader.find(text, logs.START + 86_400) is not None for text in texts)


def instructions(name: str, rounds: int, directory: Path) -> int:
    """Count what a process executes that does a step so often."""
    counted = directory / "callgrind"
    subprocess.run(
        [
            *("valgrind", "--tool=callgrind", f"--callgrind-out-file={counted}"),
            *(sys.executable, __file__, "--step", name),
            *("--rounds", str(rounds), "--directory", directory),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    for line in counted.read_text().splitlines():
        if line.startswith(("totals:", "summary:")):
            return int(line.split()[1])
    raise LookupError(counted)


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
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        step = steps(arguments.directory)[arguments.step]
        for _ in range(arguments.rounds):
            step()
        return
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        is_counted = shutil.which("valgrind") is not None and not arguments.time
        rows = []
        for step_name, step in steps(directory).items():
            if is_counted:
                few, more = (instructions(step_name, n, directory) for n in (FEW, MORE))
                value = (more - few) / (MORE - FEW) / LINES
            else:
                value = nanoseconds(step) / LINES
            rows.append((step_name, f"{value:,.1f}"))
    unit = "instructions a line" if is_counted else "ns a line"
    print(f"{LINES:,} lines a step\n\n{table(('step', unit), rows)}")


if __name__ == "__main__":
    main()
