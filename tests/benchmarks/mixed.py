"""
Rules of every kind, beside as many that only count, and a share of all lines.

The three go through the same log in turns.  Of the many rules each looks for a word of its own, and
all together they find less than 2 % of the lines.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import logs
from benchmarks.cases import Case
from benchmarks.table import number, table
from benchmarks.tools import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.tools import Measured

HEADER = ("rules", "lines", "start s", "time s", "MB/s", "lines/s", "x counting", "alerts")
COUNTING = 'match = {match}\ngroup_by = "node"\nmore_than = 10\nwithin = "1m"'
KINDS = {
    "threshold": COUNTING,
    "match": 'kind = "match"\nmatch = {match}',
    "distinct": (
        'kind = "distinct"\nmatch = {match}\ngroup_by = "node"\ndistinct = "pid"\n'
        'more_than = 10\nwithin = "1m"'
    ),
    "new_value": 'kind = "new_value"\nmatch = {match}\ngroup_by = "node"\nvalue = "pid"',
    "change": 'kind = "change"\nmatch = {match}\nvalue = "node"',
    "ratio": (
        'kind = "ratio"\nmatch = \'from node0$\'\nof = {match}\ngroup_by = "node"\n'
        'more_than = "40%"\nmin_total = 5\nwithin = "1m"'
    ),
    "metric": (
        'kind = "metric"\nmetric = "p95"\nvalue = "pid"\nmatch = {match}\ngroup_by = "node"\n'
        'more_than = 59_000\nmin_total = 5\nwithin = "1m"'
    ),
    "sequence": (
        'kind = "sequence"\nstep = [{{ match = {match}, count = 3 }}, {{ match = {other} }}]\n'
        'group_by = "node"\nwithin = "1m"'
    ),
    "sequence without its end": (
        'kind = "sequence"\n'
        "step = [{{ match = {match} }}, {{ match = {other}, absent = true }}]\n"
        'group_by = "node"\nwithin = "1m"'
    ),
    "absence": (
        'kind = "absence"\nmatch = {match}\ngroup_by = "node"\nfewer_than = 2\nwithin = "1m"'
    ),
    "spike": (
        'kind = "spike"\nmatch = {match}\ngroup_by = "node"\ntimes = 2\nmin_count = 5\n'
        'within = "1m"'
    ),
    "spike of the day": (
        'kind = "spike"\nmatch = {match}\ngroup_by = "node"\ntimes = 2\nmin_count = 5\n'
        'within = "1m"\nbaseline = "1d"'
    ),
    "alerts": 'kind = "alerts"\nof = [{before}]\nmore_than = 3\nwithin = "10m"',
}
SHARE = (
    "[rule.share]\nkind = \"ratio\"\nmatch = 'Failed password'\n"
    'more_than = "2.2%"\nmin_total = 200\nwithin = "1m"\n'
)


@dataclass(frozen=True)
class Ruled(Case):
    """
    A plain log with rules of any kind.

    Attributes:
        written: The rules, as a configuration has them.
    """

    written: str = ""

    def configuration(self) -> str:
        """Return alertd's, without ``[email]`` and ``[state]``."""
        return (
            f'[source.log]\npaths = ["{self.log}"]\ntimezone = "UTC"\nstart_at = "beginning"\n'
            + self.written
        )


@dataclass
class Row:
    """
    All runs of one set of rules.

    Attributes:
        case: The rules, and their log.
        done: What each run took.
    """

    case: Ruled
    done: list[Measured] = field(default_factory=list)

    def run(self) -> None:
        """Run once more."""
        with tempfile.TemporaryDirectory(prefix="alertd-benchmark-") as directory:
            self.done.append(replay(self.case, Path(directory)))

    @property
    def times(self) -> list[float]:
        """Seconds beyond the start, a run each."""
        return [one.seconds - (one.start or 0.0) for one in self.done]

    def cells(self, base: Row) -> tuple[str, ...]:
        """Write it down, beside another."""
        took = statistics.median(self.times)
        beside = statistics.median(
            other / own for own, other in zip(self.times, base.times, strict=True)
        )
        alerts = self.done[-1].answer.alerts
        return (
            self.case.name,
            f"{self.case.lines:,}",
            f"{statistics.median(one.start or 0.0 for one in self.done):.3f}",
            f"{took:.3f}",
            number(self.case.size / took / 1e6),
            f"{self.case.lines / took:,.0f}",
            number(beside),
            f"{alerts.total():,}" if alerts is not None else "",
        )


def rules(count: int, kind_of: Callable[[int], str]) -> str:
    """Write rules that each look for a word of their own."""
    texts = []
    for n in range(count):
        match, other = (_looking_for(one % count) for one in (n, n + 1))
        before = ", ".join(f'"r{one}"' for one in range(n - len(KINDS) + 1, n))
        text = KINDS[kind_of(n)].format(match=match, other=other, before=before)
        texts.append(f'[rule.r{n}]\n{text}\ncooldown = "10m"\nmax_keys = 100\n')
    return "".join(texts)


def _looking_for(number: int) -> str:
    name = logs.code(number) if number % 2 else logs.word(number)
    return rf"'worker\[(?P<pid>\d+)\]: {name} .* from (?P<node>\S+)$'"


def measure(data: Path, lines: int, count: int, runs: int) -> Sequence[Row]:
    """Measure so many counting rules, as many of all kinds in turn, and a share of all lines."""
    log = logs.written(data / "auth.log", logs.auth, lines)
    log.read_bytes()  # into the page cache
    kinds = list(KINDS)

    def case(name: str, written: str) -> Ruled:
        return Ruled(name, log, lines, "plain", (), "", "syslog", written=written)

    rows = [
        Row(case(f"{count} that count", rules(count, lambda _: "threshold"))),
        Row(case(f"{count} of all kinds", rules(count, lambda n: kinds[n % len(kinds)]))),
        Row(case("1 that asks for a share of all lines", SHARE)),
    ]
    for _ in range(runs):
        for row in rows:
            row.run()
    return rows


def report(rows: Sequence[Row]) -> None:
    """Print what was measured."""
    print("\nkinds of rules, by alertd replay\n")
    print(table(HEADER, [row.cells(rows[0]) for row in rows]), flush=True)
