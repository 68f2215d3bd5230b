"""
Logs to measure with: the same bytes on every machine, shaped like what servers write.

Addresses and codes follow Zipf's law, attackers come in bursts, gaps between lines are exponential.
What a pattern looks for is rare, as in life, and stands among lines that nearly match.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Writer: TypeAlias = Callable[[random.Random], Iterator[str]]
"""Writes the lines of an endless log."""

START = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
LINES_PER_SECOND = 500
CODES = 1000
USERS = ("admin", "root", "test", "oracle", "ubuntu", "postgres", "git", "pi", "deploy", "www")
MESSAGES = ("request completed", "cache missed", "token refreshed", "queue drained")
QUOTING = 'cache "hot" missed'
SERVICES = ("auth", "billing", "catalog", "gateway", "notifier", "orders", "search", "shop")
BUNDLES = tuple(f"com.example.{name}" for name in ("merge", "kart", "farm", "chess", "golf"))


def code(number: int) -> str:
    """Give a code that begins like all others."""
    return f"ERR-{number:04}"


def word(number: int) -> str:
    """Give a code that has nothing in common with others."""
    return "".join(random.Random(number).choices("abcdefghijklmnopqrstuvwxyz", k=9))


def zipf(chance: random.Random, size: int) -> Callable[[], int]:
    """Return what draws numbers below ``size``, each in proportion to 1 / (number + 1)."""
    weights = list(itertools.accumulate(1 / (number + 1) for number in range(size)))
    return lambda: bisect(weights, chance.random() * weights[-1])


def moments(chance: random.Random) -> Iterator[float]:
    """Give the times of lines, in Unix seconds."""
    moment = START
    while True:
        moment += chance.expovariate(LINES_PER_SECOND)
        yield moment


def iso(moment: float) -> str:
    """Write a time as programs do."""
    whole = math.floor(moment)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
    return f"{text}.{int((moment - whole) * 1000):03}Z"


def auth(chance: random.Random) -> Iterator[str]:
    """Write an auth.log: 2 % failed passwords, 1 % errors of each of two kinds of codes."""
    addresses = [f"{chance.randrange(1, 224)}.{n >> 8}.{n & 255}.7" for n in range(5000)]
    someone, some_code = zipf(chance, len(addresses)), zipf(chance, CODES)
    codes, words = [code(n) for n in range(CODES)], [word(n) for n in range(CODES)]
    attackers: list[tuple[str, float]] = []
    for moment in moments(chance):
        head = f"{time.strftime('%b %e %H:%M:%S', time.gmtime(moment))} bastion"
        pid, user = chance.randrange(1000, 60000), chance.choice(USERS)
        attackers = [(address, end) for address, end in attackers if end > moment]
        if chance.random() < 1 / LINES_PER_SECOND / 10:
            attackers.append((chance.choice(addresses), moment + chance.uniform(5, 90)))
        kind = chance.random()
        if kind < 0.02:
            burst = attackers and chance.random() < 0.4
            address = chance.choice(attackers)[0] if burst else addresses[someone()]
            yield (
                f"{head} sshd[{pid}]: Failed password for invalid user {user} from {address} "
                f"port {chance.randrange(1024, 65536)} ssh2\n"
            )
        elif kind < 0.04:
            name = (codes if kind < 0.03 else words)[some_code()]
            node = chance.randrange(4)
            yield f"{head} worker[{pid}]: {name} disk failure, retried from node{node}\n"
        elif kind < 0.4:
            yield (
                f"{head} sshd[{pid}]: Accepted publickey for {user} from 10.0.0.{pid & 255} "
                f"port {pid} ssh2: ED25519 SHA256:{chance.getrandbits(128):032x}\n"
            )
        elif kind < 0.7:
            yield (
                f"{head} sshd[{pid}]: pam_unix(sshd:session): session opened for user "
                f"{user}(uid={pid}) by (uid=0)\n"
            )
        else:
            yield (
                f"{head} sshd[{pid}]: Connection closed by {addresses[someone()]} "
                f"port {pid} [preauth]\n"
            )


def json_lines(chance: random.Random) -> Iterator[str]:
    """Write JSON: 1 % fatal, 1 % with a code, both escaped now and then."""
    some_code, codes = zipf(chance, CODES), [code(n) for n in range(CODES)]
    for moment in moments(chance):
        level = "fatal" if chance.random() < 0.01 else chance.choice(("info", "info", "warn"))
        kind = chance.random()
        rare = "fatal? no" if kind < 0.01 else QUOTING if kind < 0.02 else ""
        record = {
            "ts": iso(moment),
            "level": level,
            "service": chance.choice(SERVICES),
            "msg": rare or chance.choice(MESSAGES),
            "code": codes[some_code()] if chance.random() < 0.01 else None,
            "request": f"{chance.getrandbits(128):032x}",
            "took": round(chance.expovariate(1 / 80), 3),
            "ctx": {"user": chance.randrange(100_000), "http": {"status": 200, "path": "/a/b"}},
        }
        yield json.dumps(record, separators=(",", ":")) + "\n"


def csv(chance: random.Random) -> Iterator[str]:
    """Write what phones report: 1 % fatal, 1 % with a code, quotes where they are needed."""
    some_code, codes = zipf(chance, CODES), [code(n) for n in range(CODES)]
    yield "date,severity,error_code,message,bundle_id,os,version,session,install,took\n"
    for moment in moments(chance):
        severity = "Fatal" if chance.random() < 0.01 else chance.choice(("Success", "Error"))
        error = codes[some_code()] if chance.random() < 0.01 else ""
        message = '"out of memory, 64 ""MB"" asked"' if severity == "Fatal" else "all is well"
        yield (
            f"{iso(moment)},{severity},{error},{message},{chance.choice(BUNDLES)},iOS,17.5,"
            f"{chance.getrandbits(128):032x},{chance.getrandbits(128):032x},"
            f"{chance.randrange(2000)}\n"
        )


def requests(share: float, keys: int) -> Writer:
    """
    Return what writes an application's log.

    Args:
        share: Of lines that match, from 0 to 1.
        keys: Different users among them.
    """

    def lines(chance: random.Random) -> Iterator[str]:
        for moment in moments(chance):
            end = "failed" if chance.random() < share else "served"
            yield (
                f"{iso(moment)} app worker[{chance.randrange(1000)}]: request "
                f"{chance.getrandbits(64):016x} of user {chance.randrange(keys)} {end}\n"
            )

    return lines


def written(path: Path, lines: Writer, count: int) -> Path:
    """
    Write a log, unless it is there.

    It is dated as if it had just been written in the newest year that its lines can mean, so that
    dates without a year mean the same to who replays it and to who follows it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="ascii", buffering=1 << 20) as file:
            file.writelines(itertools.islice(lines(random.Random(path.stem)), count))
        dated(fresh)
        fresh.replace(path)
    return path


def dated(path: Path) -> None:
    """Set when a log was last written to."""
    now = datetime.now(UTC)
    end = datetime.fromtimestamp(START, UTC).replace(year=now.year, month=1, day=7)
    if end > now:
        end = end.replace(year=now.year - 1)
    os.utime(path, (end.timestamp(), end.timestamp()))


def head(path: Path, count: int) -> Path:
    """Write a log's first lines beside it, unless they are there; all of them are the log."""
    beginning = path.with_name(f"{path.stem}.{count}{path.suffix}")
    if not beginning.exists():
        with path.open("rb") as whole, beginning.open("wb") as part:
            part.writelines(itertools.islice(whole, count))
        dated(beginning)
    return beginning


def empty(directory: Path) -> Path:
    """Write a log without lines."""
    return written(directory / "empty.log", auth, 0)


def dealt(path: Path, directory: Path, files: int) -> Path:
    """Deal a log's lines out to many files, unless that is done; return their directory."""
    if not directory.exists():
        fresh = directory.with_suffix(".new")
        fresh.mkdir(parents=True)
        lines = path.read_bytes().splitlines(keepends=True)
        for number in range(files):
            part = fresh / f"{number:05}.log"
            part.write_bytes(b"".join(lines[number::files]))
            dated(part)
        fresh.replace(directory)
    return directory
