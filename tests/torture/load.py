"""
A writer that rotates, a scripted mail server in a thread, and what has been told of it all.

Every line raises an alert of its own, so what was told can be counted against what was written.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import gzip
import math
import re
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smtpx import Copy, ScriptedServer

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from smtpx import Script

EVERY_LINE: Final = """
[source.app]
paths = ["{log}"]
start_at = "beginning"

[rule.every]
match = 'number (?P<number>\\d+)'
group_by = "number"
more_than = 0
within = "1s"
"""
"""Settings under which every line is told; ``log`` is to be filled in."""

ONE_BY_ONE: Final = 'max_per_hour = 0\njoin_older_than = "0s"'
"""For ``[email]``: no two alerts share a mail."""

_GENERATIONS: Final = 30
"""Rotated files that are kept, enough for a daemon that is killed all the time."""

_NUMBER: Final = re.compile(rb"^Subject: .*?number (\d+)", re.MULTILINE)


class Writer(threading.Thread):
    """
    Appends numbered lines, one write each, and rotates the log now and then.

    Args:
        log: Where to.
        chance: What it does.
        pause: The longest time between two writes, in seconds.
        rotations: How likely a rotation is after each write.

    Attributes:
        written: How many lines there are.
        limit: How many there may be: beyond it, it waits for that to be raised.
    """

    def __init__(
        self, log: Path, chance: random.Random, *, pause: float = 0.3, rotations: float = 0.2
    ) -> None:
        super().__init__(daemon=True)
        self.written = 0
        self.limit = math.inf
        self._log = log
        self._chance = chance
        self._pause = pause
        self._rotations = rotations
        self._ended = threading.Event()

    def run(self) -> None:
        """Write until told to end."""
        while not self._ended.wait(self._chance.uniform(0.0, self._pause)):
            if self.written >= self.limit:
                continue
            with self._log.open("ab", buffering=0) as file:
                for _ in range(self._chance.randint(1, 3)):
                    now = datetime.now(UTC).isoformat()
                    file.write(f"{now} number {self.written}\n".encode())
                    self.written += 1
            if self._chance.random() < self._rotations:
                self._rotate()

    def end(self) -> None:
        """Stop writing, at the end of a line."""
        self._ended.set()
        self.join()

    def _rotate(self) -> None:
        """Rename as logrotate does, and compress what is older, sometimes while nobody looks."""
        older = {
            int(path.name.split(".")[2]): path
            for path in self._log.parent.glob(f"{self._log.name}.*")
        }
        for generation, path in sorted(older.items(), reverse=True):
            if generation >= _GENERATIONS:
                path.unlink()
                continue
            later = path.with_name(path.name.replace(f".{generation}", f".{generation + 1}", 1))
            path.rename(later)
            if generation == 2 and later.suffix != ".gz":
                with gzip.open(f"{later}.gz", "wb") as packed:
                    packed.write(later.read_bytes())
                later.unlink()
        self._log.rename(self._log.with_name(f"{self._log.name}.1"))


class Post:
    """
    A scripted mail server that runs in a thread, whatever the test's own thread waits for.

    Attributes:
        port: Where it listens.
    """

    def __init__(self) -> None:
        self.port = 0
        self._server = ScriptedServer()
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def copies(self) -> list[Copy]:
        """Every mail that arrived completely."""
        return list(self._server.copies)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        assert self._is_up.wait(10)

    def stop(self) -> None:
        """Listen no longer."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def follow(self, script: Script) -> None:
        """Deviate from politeness in this way from now on, and in no other."""
        self._loop.call_soon_threadsafe(self._server._script.__setitem__, slice(None), script)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with self._server as server:
            self.port = server.port
            self._is_up.set()
            await self._over.wait()


@contextmanager
def post() -> Iterator[Post]:
    """Run a scripted mail server."""
    server = Post()
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Told:
    """
    What arrived, taken apart.

    Attributes:
        copies: How often each mail arrived, by Message-ID.
        mails_of: The Message-IDs of the mails that tell a line, by its number.
        versions: The different bytes that arrived under one Message-ID, where there are several.
        about_itself: The subjects of what alertd said about itself.
    """

    def __init__(self, copies: Sequence[Copy]) -> None:
        self.copies: Counter[str] = Counter()
        self.mails_of: dict[int, set[str]] = {}
        self.about_itself: list[str] = []
        bytes_of: dict[str, set[bytes]] = {}
        for copy in copies:
            message = email.message_from_bytes(copy.payload, policy=email.policy.default)
            if str(message["X-Alertd-Rule"]).startswith("alertd/"):
                self.about_itself.append(str(message["Subject"]))
                continue
            found = _NUMBER.search(copy.payload)
            assert found is not None, copy.payload
            id_ = str(message["Message-ID"])
            self.copies[id_] += 1
            self.mails_of.setdefault(int(found[1]), set()).add(id_)
            bytes_of.setdefault(id_, set()).add(copy.payload)
        self.versions = {id_: sent for id_, sent in bytes_of.items() if len(sent) > 1}

    @property
    def repeats(self) -> int:
        """How many copies were one too many."""
        return self.copies.total() - len(self.copies)

    def lost(self, written: int) -> list[int]:
        """Return the lines below ``written`` that nobody was told of."""
        return [number for number in range(written) if number not in self.mails_of]

    def twice(self) -> list[int]:
        """Return the lines that were told as if they were two."""
        return [number for number, mails in self.mails_of.items() if len(mails) > 1]
