"""
How long alertd takes until it is ready, and until it has answered.

    python tests/benchmarks/startup.py [--alertd PROGRAM ...] [--runs 20] [--rules 10,1000]

Runs the alertd of this environment, or those that are named, in turn, so that a busy machine is as
unfair to one as to another.  ``first`` is a start without compiled patterns, and is run less often.
Prints a table of milliseconds; asserts nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.table import number, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EMAIL = """\
[email]
host = "127.0.0.1"
security = "none"
sender = "alertd <alerts@example.com>"
recipients = ["ops@example.com"]
"""
FORMATS = ("plain", "json", "csv", "logfmt", "syslog")
FIRST_RUNS = 3
WITHIN = 60.0

Measurement: TypeAlias = "Callable[[list[str]], float]"


def configuration(directory: Path, rules: int, formats: tuple[str, ...] = FORMATS) -> Path:
    """Write a configuration whose rules are of all formats in turn."""
    directory.mkdir()
    parts = [EMAIL, f'[state]\ndirectory = "{directory / "state"}"\n']
    for format in formats:  # noqa: A001 - the setting's name
        log = directory / f"{format}.log"
        log.write_text('{"a":"b"}\n' if format == "json" else "a,b\n")
        parts.append(f'[source.{format}]\npaths = ["{log}"]\nformat = "{format}"\n')
    for rule in range(rules):
        source = formats[rule % len(formats)]
        match = (
            rf"'(?:error|fatal) E{rule:04}: \w+ .*from (?P<host>[\w.-]+)(?: port \d+)?$'"
            if source in {"plain", "syslog"}
            else rf"{{ code = 'E{rule:04}', message = {{ regex = 'timeout after \d+ s' }} }}"
        )
        parts.append(
            f'[rule.rule-{rule}]\nsource = "{source}"\nmatch = {match}\ngroup_by = "host"\n'
            'more_than = 10\nwithin = "1m"\nmax_keys = 100\n'
        )
    path = directory / "alertd.toml"
    path.write_text("\n".join(parts))
    return path


def answer(program: list[str], *words: str) -> float:
    """Return the milliseconds that a command takes."""
    started = time.perf_counter()
    subprocess.run([*program, *words], env=_environment(), stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - started)


def ready(program: list[str], config: Path) -> float:
    """Return the milliseconds after which the daemon says READY, and end it."""
    address = config.with_name("notify")
    address.unlink(missing_ok=True)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified,
        config.with_name("log").open("wb") as log,
    ):
        notified.bind(str(address))
        notified.settimeout(WITHIN)
        started = time.perf_counter()
        daemon = subprocess.Popen(
            [*program, "run", "--config", config],
            env=_environment(NOTIFY_SOCKET=str(address)),
            stdout=log,
            stderr=log,
        )
        try:
            while b"READY=1" not in notified.recv(4096):
                pass
            took = time.perf_counter() - started
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=WITHIN)
        finally:
            daemon.kill()
            daemon.wait()
    return 1000 * took


def first(program: list[str], config: Path) -> float:
    """Return what ``ready`` does, for a daemon that has nothing of earlier ones."""
    rmtree(config.with_name("state"), ignore_errors=True)
    return ready(program, config)


def _environment(**more: str) -> dict[str, str]:
    """Return an environment in which Python keeps what it compiles, as where it is installed."""
    given = {**os.environ, **more}
    return {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measurements(directory: Path, numbers: list[int]) -> Iterator[tuple[str, int, Measurement]]:
    """Give what is measured: its name, how often less than always it runs, and how."""
    for words in ("--version", "--help"):
        yield words, 0, lambda program, words=words: answer(program, words)
    for rules in numbers:
        path = configuration(directory / str(rules), rules)
        name = f"{rules:,} rules"
        yield (
            f"check, {name}",
            0,
            lambda program, path=path: answer(program, "check", "--config", str(path)),
        )
        yield (
            f"run until ready, {name}, first",
            FIRST_RUNS,
            lambda program, path=path: first(program, path),
        )
        yield f"run until ready, {name}", 0, lambda program, path=path: ready(program, path)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alertd", nargs="+", metavar="PROGRAM")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--rules", default="10,1000")
    arguments = parser.parse_args()
    programs = {name: [name] for name in arguments.alertd or ()}
    programs = programs or {"alertd": [sys.executable, "-m", "alertd"]}
    numbers = [int(rules) for rules in arguments.rules.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for name, most, measure in measurements(Path(temporary), numbers):
            took: dict[str, list[float]] = defaultdict(list)
            for run in range(1 + min(arguments.runs, most or arguments.runs)):
                for program, words in programs.items():
                    milliseconds = measure(words)
                    # What another program or version left behind must not count.
                    if run:
                        took[program].append(milliseconds)
            rows += [
                [f"{name}: {program}", number(min(each)), number(statistics.median(each))]
                for program, each in took.items()
            ]
    print(table(["", "best ms", "median ms"], rows))


if __name__ == "__main__":
    main()
