"""
kill -9 again and again, under a writer that rotates and a mail server that fails.

    python tests/torture/kills.py [--rounds 500] [--seed 1]

Needs the extra ``test``.  Each round starts a daemon, lets the server fail in some way, and kills
the daemon at a random moment, of its start or of its work.  In the end everything is delivered and
counted.  Ends with 1 if a line was lost, told as two alerts, or repeated in other bytes.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from living import alertd
from smtpx import Script, drop, reply, rst, stall
from torture.load import EVERY_LINE, ONE_BY_ONE, Told, Writer, post

from alertd.control import request

if TYPE_CHECKING:
    from types import TracebackType

FAULTS: Final[tuple[Script, ...]] = (
    (),
    (),
    (("connect", drop),),
    (("banner", reply(421)),),
    (("ehlo", drop),),
    (("mail", reply(451)),),
    (("mail", rst),),
    (("rcpt", reply(450)),),
    (("data", drop),),
    (("data", stall()),),
    (("body@100", rst),),
    (("dot", reply(451)),),
    (("dot", drop),),
    (("dot", rst),),
    (("dot", stall()),),
    (("quit", rst),),
)
LINES: Final = 8
"""Written in each round at most: however slow the machine, the mails do not pile up."""

_READY: Final = 0.7
"""How likely a round waits for the daemon to be ready before it takes aim."""


class Fall:
    """
    A daemon that is killed, its writer and its mail server, as a context manager.

    Args:
        directory: For everything.
        seed: Of what happens.

    Attributes:
        kills: How many there were.
        uncertain: How many sends may have ended without a known outcome: the kills, and the faults
            after a final dot.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        self.kills = 0
        self.uncertain = 0
        self._chance = random.Random(seed)
        self._directory = directory
        (directory / "logs").mkdir()
        self._log = directory / "logs" / "app.log"
        self._log.touch()
        self._writer = Writer(self._log, random.Random(seed), pause=0.1, rotations=0.2)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(post())
        settings = EVERY_LINE.format(log=self._log)
        self._daemon = self._stack.enter_context(
            alertd(self._directory, settings, self._server.port, ONE_BY_ONE)
        )
        # What is rotated away before alertd has ever seen the log is not its business.
        self._daemon.start()
        self._daemon.kill()
        self._writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.end()
        self._stack.close()

    @property
    def written(self) -> int:
        """How many lines there are."""
        return self._writer.written

    def round(self) -> None:
        """Start a daemon, and kill it at a random moment."""
        fault = self._chance.choice(FAULTS)
        self.uncertain += 1 + any(phase == "dot" for phase, _ in fault)
        self._server.follow(fault)
        self._writer.limit = self.written + LINES
        is_ready = self._chance.random() < _READY
        self._daemon.start(wait=is_ready)
        # A random moment is what this is about.
        time.sleep(self._chance.uniform(0.0, 0.25 if is_ready else 0.5))
        self._daemon.kill()
        self.kills += 1

    def settle(self) -> Told:
        """Let a last daemon read and send everything; return what arrived in all."""
        self._server.follow(())
        self._daemon.start()
        self._writer.end()
        request(self._daemon.state, "outbox", arguments={"retry": "all"})
        self._daemon.wait_until_read(*(path for path in [self._log] if path.exists()), within=600.0)
        return Told(self._server.copies)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, Fall(Path(name), arguments.seed) as fall:
        for number in range(arguments.rounds):
            fall.round()
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{number + 1} of {arguments.rounds}")
        told = fall.settle()
    lost, twice = told.lost(fall.written), told.twice()
    sys.stdout.write(
        f"{fall.kills} kills in {time.monotonic() - began:.0f} s, {fall.written} lines\n"
        f"lost             {len(lost)} {lost[:20]}\n"
        f"told as two      {len(twice)} {twice[:20]}\n"
        f"repeated         {told.repeats} mails, of at most {fall.uncertain} uncertain sends\n"
        f"in other bytes   {len(told.versions)}\n"
        f"about itself     {len(told.about_itself)} {told.about_itself}\n"
    )
    is_well = not (lost or twice or told.versions) and told.repeats <= fall.uncertain
    return 0 if is_well and fall.written else 1


if __name__ == "__main__":
    sys.exit(main())
