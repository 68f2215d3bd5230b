"""
How fast alertd goes through logs, beside the tools that one would otherwise use.

    python tests/benchmarks/throughput.py [--lines 1000000] [--rules 1,100,1000]
        [--kinds auth,json,csv] [--runs 5] [--mixed 100] [--json FILE]

Needs the extra ``test``; of the peers it takes those that are installed.  On Debian:

    apt-get install --no-install-recommends ripgrep sec fail2ban mtail syslog-ng-core time

In every run each tool goes through the log once, one tool after another, so a machine that becomes
slower does so for all.  What is shown are medians over the runs: the time without the start (of
peers, what they take for an empty log), and its ratio to ripgrep's in the same run.  Logs are in
the page cache.  A slow tool is given the beginning of the log only.  It asserts nothing; wrong
answers stand in the table.

Absolute figures mean little on another machine or another day.  Compare ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import mixed
from benchmarks.cases import (
    hit_rates,
    is_right,
    many,
    numbers_of_files,
    numbers_of_keys,
    verdict,
)
from benchmarks.footprint import cpu_seconds
from benchmarks.table import number, table
from benchmarks.tools import BASE, LIVE, OTHERS, REPLAY
from living import alertd, mailbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.cases import Case
    from benchmarks.tools import Measured, Tool

MIB = 1 << 20
FIRST_LINES = 1000
SHORTEST = 1e-4
HEADER = (
    "tool",
    "lines",
    "start s",
    "time s",
    "MB/s",
    "lines/s",
    "x rg",
    "peak MiB",
    "its answer",
)


@dataclass
class Series:
    """
    All runs of one tool in one case.

    Attributes:
        tool: The tool.
        case: What it is given, perhaps less than others are.
        starts: Seconds until it begins to read, a run each.
        times: Seconds beyond those, a run each.
        peak_mib: Its memory at the highest, in any run.
        said: What its last answer is worth.
        is_right: Whether all its answers are right.
    """

    tool: Tool
    case: Case
    starts: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    said: str = ""
    is_right: bool = True

    def run(self) -> None:
        """Run once more."""
        whole = measured(self.tool, self.case)
        start = whole.start
        if start is None:
            start = measured(self.tool, self.case.emptied()).seconds
        self.starts.append(start)
        self.times.append(max(SHORTEST, whole.seconds - start))
        self.peak_mib = max(self.peak_mib, whole.peak_mib)
        expected = self.case.expected()
        self.said = verdict(whole.answer, expected)
        self.is_right &= is_right(whole.answer, expected)

    @property
    def rates(self) -> list[float]:
        """Bytes a second, a run each."""
        return [self.case.size / took for took in self.times]

    def times_as_fast_as(self, base: Series) -> float:
        """Compare with another tool, run by run."""
        return statistics.median(
            own / other for own, other in zip(self.rates, base.rates, strict=True)
        )


def measured(tool: Tool, case: Case) -> Measured:
    """Run a tool once."""
    with tempfile.TemporaryDirectory(prefix="alertd-benchmark-") as directory:
        return tool.run(case, Path(directory))


def bearable(tool: Tool, case: Case, budget: float) -> Case:
    """Return as much of a case as a tool can read in about so many seconds."""
    if not tool.is_slow or case.log.is_dir():
        return case
    lines = FIRST_LINES
    while lines < case.lines:
        sample = Series(tool, case.beginning(lines))
        sample.run()
        if sample.times[0] >= budget / 5:
            enough = int(lines * budget / sample.times[0])
            digits = len(str(enough)) - 1
            return case.beginning(max(FIRST_LINES, enough // 10**digits * 10**digits))
        lines *= 10
    return case


def compared(case: Case, tools: Sequence[Tool], runs: int, budget: float) -> list[Series]:
    """Run tools in turns."""
    for path in case.files:
        path.read_bytes()  # into the page cache
    all_series = []
    for tool in tools:
        if tool.suits(case):
            try:
                all_series.append(Series(tool, bearable(tool, case, budget)))
            except RuntimeError as error:
                print(f"{tool.name} cannot do {case.name}: {error}", file=sys.stderr)
    for _ in range(runs):
        for series in all_series:
            series.run()
    return all_series


def row(series: Series, base: Series | None) -> tuple[str, ...]:
    """Write a series down."""
    took = statistics.median(series.times)
    return (
        series.tool.name,
        f"{series.case.lines:,}",
        f"{statistics.median(series.starts):.3f}",
        f"{took:.3f}",
        number(series.case.size / took / 1e6),
        f"{series.case.lines / took:,.0f}",
        number(series.times_as_fast_as(base)) if base else "",
        f"{series.peak_mib:.0f}",
        series.said,
    )


def report(case: Case, all_series: Sequence[Series]) -> None:
    """Print a case."""
    base = next((series for series in all_series if series.tool is BASE), None)
    print(f"\n{case.name}: {case.lines:,} lines, {case.size / 1e6:,.0f} MB\n")
    print(table(HEADER, [row(series, base) for series in all_series]), flush=True)


def plain(series: Series) -> dict[str, object]:
    """Give a series as JSON can have it."""
    return {
        "case": series.case.name,
        "tool": series.tool.name,
        "lines": series.case.lines,
        "bytes": series.case.size,
        "starts": series.starts,
        "times": series.times,
        "peak_mib": series.peak_mib,
        "is_right": series.is_right,
        "said": series.said,
    }


def idle(files: int, seconds: float, directory: Path) -> None:
    """Print what a daemon uses that follows many files to which nothing is written."""
    logs = directory / "logs"
    logs.mkdir()
    for n in range(files):
        (logs / f"{n:05}.log").write_text("2026-01-05T00:00:00Z quiet\n")
    rule = (
        f'[source.log]\npaths = ["{logs}/*.log"]\n'
        "[rule.any]\nmatch = 'failed'\nmore_than = 10\nwithin = \"1m\"\n"
    )
    with mailbox() as box, alertd(directory, rule, box.port) as daemon:
        started = time.perf_counter()
        daemon.start()
        took = time.perf_counter() - started
        time.sleep(2)
        before = cpu_seconds(daemon.pid)
        time.sleep(seconds)
        used = cpu_seconds(daemon.pid) - before
    share = 100 * used / seconds
    print(f"\n{files:,} idle files: ready in {took:.2f} s, then {share:.2f} % of a core")


def machine() -> str:
    """Say what this was measured on."""
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    model = models[0] if models else platform.machine()
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, load {load:.1f}"


def numbers(text: str) -> list[int]:
    """Read numbers between commas."""
    return [int(part) for part in text.split(",")]


def words(text: str) -> list[str]:
    """Read words between commas; there may be none."""
    return [word for word in text.split(",") if word]


def arguments_of(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=1_000_000, help="of each log")
    parser.add_argument("--rules", type=numbers, default=[1, 100, 1000], metavar="N,N")
    parser.add_argument("--kinds", type=words, default=["auth", "json", "csv"], metavar="K,K")
    parser.add_argument(
        "--scaling", type=words, default=list(SCALING), metavar="S,S", help="or an empty word"
    )
    parser.add_argument("--mixed", type=int, default=100, help="rules of all kinds, or 0")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds a run of a slow tool")
    parser.add_argument("--idle-files", type=int, default=0, help="measure a daemon on so many")
    parser.add_argument("--data", type=Path, help="where the logs are made, and kept")
    parser.add_argument("--json", type=Path, help="where every run's figures go")
    return parser.parse_args(argv)


SCALING = {"hits": hit_rates, "keys": numbers_of_keys, "files": numbers_of_files}


def all_cases(arguments: argparse.Namespace, data: Path) -> Iterator[tuple[Case, Sequence[Tool]]]:
    """Give what is to be measured, and of which tools."""
    for case in many(data, arguments.lines, arguments.kinds, arguments.rules):
        yield case, (BASE, REPLAY, LIVE, *OTHERS)
    for name in arguments.scaling:
        for case in SCALING[name](data, arguments.lines):
            yield case, (BASE, REPLAY, LIVE)


def say_missing(tools: Iterable[Tool]) -> set[str]:
    """Print which tools are not installed; return their programs."""
    missing = {tool.program for tool in tools if not tool.is_installed}
    if missing:
        print(f"not installed, so not measured: {', '.join(sorted(missing))}")
    return missing


def main(argv: Sequence[str]) -> None:
    """Measure everything."""
    arguments = arguments_of(argv)
    print(machine(), flush=True)
    missing = say_missing((BASE, *OTHERS))
    figures = []
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data: Path = (arguments.data or temporary / "data") / f"{arguments.lines}"
        data.mkdir(parents=True, exist_ok=True)
        for case, tools in all_cases(arguments, data.absolute()):
            present = [tool for tool in tools if tool.program not in missing]
            all_series = compared(case, present, arguments.runs, arguments.budget)
            report(case, all_series)
            figures += [plain(series) for series in all_series]
        if arguments.mixed:
            rows = mixed.measure(data.absolute(), arguments.lines, arguments.mixed, arguments.runs)
            mixed.report(rows)
            figures += [
                {"case": "kinds", "rules": row.case.name, "times": row.times} for row in rows
            ]
        if arguments.idle_files:
            idle(arguments.idle_files, 20, temporary)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
