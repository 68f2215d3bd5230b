"""
How long alertd takes until it is ready, and until it has answered.

    python tests/benchmarks/startup.py [--alertd PROGRAM ...] [--runs 20] [--rules 10,1000]

Runs the alertd of this environment, or those that are named, in turn, so that a busy machine is as
unfair to one as to another; and tells the processor's time besides, which it changes less.
``first`` is a start without compiled patterns, and is run less often.  Asserts nothing.
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
from functools import partial
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

Measured: TypeAlias = tuple[float, float]
"""Milliseconds by the clock, and of a processor."""

Measurement: TypeAlias = "Callable[[list[str], Path], Measured]"


def configuration(directory: Path, rules: int, formats: tuple[str, ...] = FORMATS) -> Path:
    """Write a configuration whose rules are of all formats in turn."""
    directory = directory / str(rules)
    directory.mkdir(parents=True, exist_ok=True)
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


def answer(program: list[str], *words: str) -> Measured:
    """Return what a command takes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [*program, *words], env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(process.stderr.read() if process.stderr else "")
    return 1000 * took, 1000 * (usage.ru_utime + usage.ru_stime)


def ready(program: list[str], config: Path) -> Measured:
    """Return what it takes until the daemon says READY, and end it."""
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
            used = processor_seconds(daemon.pid)
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=WITHIN)
        finally:
            daemon.kill()
            daemon.wait()
    return 1000 * took, 1000 * used


def processor_seconds(pid: int) -> float:
    """Return what the threads that a process has now have used; ticks would be too coarse."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def first(program: list[str], config: Path) -> Measured:
    """Return what ``ready`` does, for a daemon that has nothing of earlier ones."""
    rmtree(config.with_name("state"), ignore_errors=True)
    return ready(program, config)


def _environment(**more: str) -> dict[str, str]:
    """Return an environment in which Python keeps what it compiles, as where it is installed."""
    given = {**os.environ, **more}
    return {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measurements(numbers: list[int]) -> Iterator[tuple[str, Measurement, int]]:
    """Give what is measured: its name, how, and the most often that it is worth the time."""
    always = sys.maxsize
    for word in ("--version", "--help"):
        yield word, partial(answering, word), always
    for rules in numbers:
        yield f"check, {rules:,} rules", partial(checking, rules), always
        yield (
            f"run until ready, {rules:,} rules, first",
            partial(starting, rules, first),
            FIRST_RUNS,
        )
        yield f"run until ready, {rules:,} rules", partial(starting, rules, ready), always


def answering(word: str, program: list[str], _: Path) -> Measured:
    """Measure what needs no configuration."""
    return answer(program, word)


def checking(rules: int, program: list[str], directory: Path) -> Measured:
    """Measure ``check``."""
    return answer(program, "check", "--config", str(configuration(directory, rules)))


def starting(
    rules: int, how: Callable[[list[str], Path], Measured], program: list[str], directory: Path
) -> Measured:
    """Measure a start."""
    return how(program, configuration(directory, rules))


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
        # To each its own state: what one has kept is nothing to another.
        places = {program: Path(temporary) / str(n) for n, program in enumerate(programs)}
        for name, measure, most in measurements(numbers):
            took: dict[str, list[Measured]] = defaultdict(list)
            for run in range(1 + min(arguments.runs, most)):
                for program, words in programs.items():
                    measured = measure(words, places[program])
                    # The first warms up what is cached.
                    if run:
                        took[program].append(measured)
            for program, each in took.items():
                clock, processor = zip(*each, strict=True)
                figures = (min(clock), statistics.median(clock), min(processor))
                rows.append([f"{name}: {program}", *map(number, figures)])
    print(table(["", "best ms", "median ms", "best ms of processor"], rows))


if __name__ == "__main__":
    main()
