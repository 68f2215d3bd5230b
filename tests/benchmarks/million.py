"""
What a million keys of each kind of rule take, beside what ``alertd check`` says at most.

    python tests/benchmarks/million.py [--keys 1000000] [--matches 12000000]
        [--kinds threshold ratio]

Each kind gets a process of its own, whose rule is fed until every key remembers all that it can:
the longest keys (256 characters outside the BMP), every slice of the grid taken, as many values as
it may hold; then a quarter more keys, which push others out whose cooldowns are kept.  A kind of
which a million keys would take more matches than ``--matches`` gets fewer keys: both the promise
and what is taken grow in proportion.  Then its state is written down once, as in a commit.

Prints a table of what the process grew by, and at its highest while the state was written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.footprint import memory
from benchmarks.table import number, table
from core.examples import rule

from alertd.core.engine import EVIDENCE_BYTES, Engine, worst_case_bytes
from alertd.core.events import Match
from alertd.core.rules import HIT, Pattern, Step

MIB = 1 << 20
HEADER = ("kind", "keys", "matches", "promised MiB", "taken MiB", "of it", "writing MiB")
LONGEST = "\U0001f600" * 249
START = 1_790_000_000.0
LINE = "x" * 100


@dataclass(frozen=True)
class Kind:
    """
    How one kind is brought to remember all that it can.

    Attributes:
        rule: What is asked, beside what all have.
        rounds: Matches of each key.
        gap: Seconds between two of them.
        behind: What stands behind the key in a round, if something does.
    """

    rule: dict[str, Any]
    rounds: int
    gap: float = 0.1
    behind: dict[int, str] = field(default_factory=dict)
    is_judged: bool = False

    def tail(self, number: int) -> tuple[str, ...]:
        """Give what stands behind the key."""
        if not self.is_judged:
            return ()
        return (self.behind.get(number, f"{number:07}{LONGEST}"),)


STEPS = (Step((Pattern("a"),), count=5), Step((Pattern("b"),)))
ABSENT = (Step((Pattern("a"),), count=5), Step((Pattern("b"),), is_absent=True))
KINDS = {
    "threshold": Kind({"more_than": 10}, 11),
    "match": Kind({"kind": "match", "more_than": 0, "within": 0.0}, 2),
    "distinct": Kind({"kind": "distinct", "value": "value", "more_than": 1}, 2, is_judged=True),
    "new_value": Kind(
        {"kind": "new_value", "value": "value", "more_than": 0, "within": 0.0, "max_values": 10},
        10,
        is_judged=True,
    ),
    "change": Kind(
        {"kind": "change", "value": "value", "more_than": 0, "within": 0.0}, 2, is_judged=True
    ),
    "ratio": Kind(
        {"kind": "ratio", "more_than": 0, "resolve": True},
        120,
        0.5,
        dict.fromkeys(range(120), HIT),
        is_judged=True,
    ),
    "metric": Kind(
        {"kind": "metric", "metric": "avg", "value": "value", "more_than": 0, "resolve": True},
        120,
        0.5,
        dict.fromkeys(range(120), "1.5"),
        is_judged=True,
    ),
    "spike": Kind({"kind": "spike", "more_than": 0, "resolve": True}, 240, 0.5),
    "spike, a week": Kind(
        {
            "kind": "spike",
            "more_than": 0,
            "within": 7200.0,
            "baseline": 7,
            "resolve": True,
        },
        8 * 12 * 24,
        300.0,
    ),
    "sequence": Kind(
        {"kind": "sequence", "more_than": 0, "steps": STEPS},
        5,
        behind=dict.fromkeys(range(5), "1"),
        is_judged=True,
    ),
    "sequence, absent": Kind(
        {"kind": "sequence", "more_than": 0, "steps": ABSENT},
        5,
        behind=dict.fromkeys(range(5), "1"),
        is_judged=True,
    ),
    "absence": Kind({"kind": "absence", "more_than": 2, "within": 3600.0, "resolve": True}, 3),
}


def filled(name: str, most_keys: int, most_matches: int) -> dict[str, float]:
    """Fill a rule of a kind, in this process; say what it took."""
    kind = KINDS[name]
    keys = min(most_keys, most_matches // kind.rounds)
    by = rule(
        "fatal", group_by=("key",), max_keys=keys, cooldown=1e6, **{"within": 60.0, **kind.rule}
    )
    engine = Engine([by])
    before = memory("self", "VmRSS")
    fed = 0
    for first, behind in ((0, keys), (keys, keys + keys // 4)):
        # What pushes others out comes after all of them, and once.
        for turn in range(kind.rounds if not first else 1):
            time = START + (turn if not first else kind.rounds) * kind.gap
            tail = kind.tail(turn)
            for begin in range(first, behind, 1000):
                matches = [
                    Match("fatal", (f"{key:07}{LONGEST}", *tail), time, "/a.log", fed, LINE)
                    for key in range(begin, min(begin + 1000, behind))
                ]
                engine.feed(matches)
                fed += len(matches)
    taken = memory("self", "VmRSS") - before
    assert engine.keys() == {"fatal": keys}
    engine.freeze("fatal")
    return {
        "keys": keys,
        "matches": fed,
        "promised": (worst_case_bytes(by) + EVIDENCE_BYTES) / MIB,
        "taken": taken,
        "writing": memory("self", "VmHWM") - before,
    }


def main() -> None:
    """Give each kind a process of its own, and print what they say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--matches", type=int, default=12_000_000)
    parser.add_argument("--kinds", default=list(KINDS), nargs="+", choices=KINDS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(filled(arguments.one, arguments.keys, arguments.matches)))
        return
    rows = []
    for name in arguments.kinds:
        command = [sys.executable, __file__, "--one", name]
        command += ["--keys", str(arguments.keys), "--matches", str(arguments.matches)]
        done = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        rows.append(
            (
                name,
                f"{done['keys']:,}",
                f"{done['matches']:,}",
                number(done["promised"]),
                number(done["taken"]),
                f"{100 * done['taken'] / done['promised']:.0f} %",
                number(done["writing"]),
            )
        )
        print(table(HEADER, rows[-1:]), file=sys.stderr, flush=True)
    print(table(HEADER, rows))


if __name__ == "__main__":
    main()
