"""kill -9 at any moment, under a writer that rotates: nothing is lost, repeats are recognisable."""

from __future__ import annotations

import gzip
import random
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from living import alertd, mailbox

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
[source.app]
paths = ["{log}"]

[rule.every]
match = 'number (?P<number>\\d+)'
group_by = "number"
more_than = 0
within = "1s"
"""
KILLS = 20


class Writer(threading.Thread):
    """
    Appends numbered lines, one write each, and rotates the log now and then.

    Attributes:
        written: How many lines there are.
    """

    def __init__(self, log: Path, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self.written = 0
        self._log = log
        self._chance = chance
        self._ended = threading.Event()

    def run(self) -> None:
        """Write until told to end."""
        while not self._ended.wait(self._chance.uniform(0.0, 0.3)):
            with self._log.open("ab", buffering=0) as file:
                for _ in range(self._chance.randint(1, 3)):
                    now = datetime.now(UTC).isoformat()
                    file.write(f"{now} number {self.written}\n".encode())
                    self.written += 1
            if self._chance.random() < 0.2:
                self._rotate()

    def end(self) -> None:
        """Stop writing, at the end of a line."""
        self._ended.set()
        self.join()

    def _rotate(self) -> None:
        """Rename as logrotate does, and compress what is older, sometimes while nobody looks."""
        older = {int(path.name.split(".")[2]): path for path in self._log.parent.glob("app.log.*")}
        for generation, path in sorted(older.items(), reverse=True):
            later = path.with_name(path.name.replace(f".{generation}", f".{generation + 1}", 1))
            path.rename(later)
            if generation == 2 and later.suffix != ".gz":
                with gzip.open(f"{later}.gz", "wb") as packed:
                    packed.write(later.read_bytes())
                later.unlink()
        self._log.rename(self._log.with_name("app.log.1"))


@pytest.mark.timeout(180)
def test_no_alert_is_lost_by_twenty_kills(tmp_path: Path) -> None:
    """Every line raises an alert, every alert arrives, and a repeat is the very same mail."""
    chance = random.Random(20)
    directory = tmp_path / "logs"
    directory.mkdir()
    log = directory / "app.log"
    log.touch()
    writer = Writer(log, chance)
    with (
        mailbox() as box,
        alertd(tmp_path, RULES.format(log=log), box.port, "max_per_hour = 0") as daemon,
    ):
        daemon.start()
        writer.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 0.4))  # a random moment is what this is about
            daemon.kill()
            daemon.start()
        writer.end()
        daemon.wait_until_read(*(path for path in [log] if path.exists()))

        rung = sorted(
            {int(str(mail["Subject"]).split("number ")[1].split()[0]) for mail in box.mails}
        )
        copies: dict[str, set[bytes]] = {}
        for mail, sent in zip(box.mails, box.bytes, strict=True):
            copies.setdefault(str(mail["Message-ID"]), set()).add(sent)

    assert writer.written > 100
    assert list(range(writer.written)) == rung
    assert len(copies) == writer.written
    assert all(len(versions) == 1 for versions in copies.values())
    assert len(box.mails) - len(copies) <= KILLS
