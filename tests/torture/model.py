"""
Random programs over everything that happens to a log watcher at once, against a simple oracle.

    python tests/torture/model.py [--programs 5000] [--seed 0] [--processes 2]

Needs the extra ``test``.  A program writes whole and partial lines, rotates by renaming, copying
and truncating, deleting and recreating, compressing and switching a symbolic link, kills alertd
between two steps or in the middle of one, reloads it, turns the clock, fills the disk and lets the
mail server fail.  The real tailer, pipeline, state, delivery and SMTP client run in this process,
step by step; a kill leaves what is on the disk at that instant and nothing else.

The oracle:  every line that could be read raises one alert; a second rule, which counts, raises
those that brute force finds in the lines that arrived; each recipient gets each alert in one mail;
a mail comes again only after a send whose outcome nobody knew, and then in the same bytes.

Each program is repeated by its seed: ``--programs 1 --seed N`` prints its steps.  Ends with 1 if
any program showed a difference.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import quopri
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
import structlog
from smtpx import Script, ScriptedServer, drop, reply, rst
from torture.points import POINTS, passing
from torture.rotating import Clock, Writer
from writing import Event, Question, brute_force, rfc3339

from alertd import watch as watch_module
from alertd.config.settings import Email
from alertd.core.pipeline import Pipeline, Stored
from alertd.core.rules import Pattern, Rule, Source
from alertd.delivery import Delivery
from alertd.matchers import compile_matchers
from alertd.smtp import SmtpNotifier
from alertd.state import Frozen, Judged, Outbox, State, StateError
from alertd.state.database import Database
from alertd.tail import StoredFile, Tailer, tailer
from alertd.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from alertd.core.matching import Matcher
    from alertd.smtp import Outcome
    from alertd.state import PastAlert, Record

RECIPIENTS: Final = ("ops@example.com", "dev@example.com")
BURST: Final = Question(more_than=2, within_ms=60_000, cooldown_ms=300_000, is_grouped=True)
STEPS: Final = 40
FAULTS: Final[tuple[Script, ...]] = (
    (("connect", drop),),
    (("banner", reply(421)),),
    (("mail", reply(451)),),
    (("mail", rst),),
    (("rcpt[0]", reply(450)),),
    (("rcpt[1]", reply(450)),),
    (("data", drop),),
    (("body@50", rst),),
    (("dot", reply(451)),),
    (("dot", drop),),
    (("dot", rst),),
    (("quit", rst),),
)
_ALERT: Final = re.compile(r"(?:^alert |  )([0-9a-f]{20})$", re.MULTILINE)
"""As one mail ends, and each line of a list of alerts."""


class Crash(BaseException):
    """The process has been killed here."""


@dataclass
class Post:
    """
    What is known of sends besides what the server has.

    Attributes:
        uncertain: Sends of a mail to an address of which nobody knew the outcome.
        unwritten: Mails of which something could not be written to the full disk yet.
        forgotten: Mails of which something had not been written when the process was killed.
        sending: The addresses and the mail that was last given to the server.
        is_in_balance: It may have that mail, and nobody has noted it yet.
    """

    uncertain: Counter[tuple[str, str]] = field(default_factory=Counter)
    unwritten: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    sending: tuple[tuple[str, ...], str] | None = None
    is_in_balance: bool = False

    def died(self) -> None:
        """Note what the killed process did not know, or knew and could not write."""
        self.forgotten |= self.unwritten
        self.unwritten.clear()
        if self.is_in_balance and self.sending is not None:
            addresses, id_ = self.sending
            self.uncertain.update((address, id_) for address in addresses)
        self.is_in_balance = False


class Notifier(SmtpNotifier):
    """The real one, whose outcomes are noted."""

    def __init__(self, port: int, post: Post) -> None:
        super().__init__(host="127.0.0.1", port=port, security="none")
        self._post = post

    async def send(
        self, sender: str, recipients: Sequence[str], payload: bytes
    ) -> dict[str, Outcome]:
        """Send a mail."""
        id_ = message_id(payload)
        self._post.sending = tuple(recipients), id_
        outcomes = await super().send(sender, recipients, payload)
        for address, outcome in outcomes.items():
            if outcome.status == "uncertain":
                self._post.uncertain[address, id_] += 1
        taken = tuple(a for a, outcome in outcomes.items() if outcome.status == "sent")
        self._post.sending = taken, id_
        self._post.is_in_balance = bool(taken)
        return outcomes


def message_id(payload: bytes) -> str:
    """Return what a mail is called."""
    found = re.search(rb"(?mi)^Message-ID:\s*(\S+)", payload)
    assert found is not None
    return found[1].decode()


@cache
def rules(variant: int) -> tuple[Rule, ...]:
    """Return the rules; a reload changes everything about them but what they mean."""
    about = f"variant {variant}"
    every = Rule(
        name="every",
        sources=("app",),
        match=(Pattern(r" n=(?P<n>\d+) k="),),
        group_by=("n",),
        more_than=0,
        within=1.0,
        cooldown=0.0,
        recipients=RECIPIENTS,
        description=about,
    )
    burst = Rule(
        name="burst",
        sources=("app",),
        match=(Pattern(r" k=(?P<k>[abc])\b"),),
        group_by=("k",),
        more_than=BURST.more_than,
        within=BURST.within_ms / 1000,
        cooldown=BURST.cooldown_ms / 1000,
        recipients=RECIPIENTS,
        description=about,
    )
    never = replace(every, name="never", match=(Pattern("no line says this"),))
    return ((every, burst), (burst, never, every), (never, every, burst))[variant]


class Run:
    """One alertd, from its start to its end; as ``alertd.daemon`` puts it together."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def start(self) -> None:
        """Open everything and continue from the state."""
        world = self.world
        clock = world.clock
        self.state = await State.open(world.state)
        loaded = await self.state.load()
        self.pipeline = Pipeline(
            [world.source],
            rules(world.variant),
            world.matchers(),
            Stored(loaded.shards, loaded.journal, loaded.waiting),
            host="box",
        )
        self.tailer = Tailer(
            [world.source],
            [msgspec.msgpack.decode(file.blob, type=StoredFile) for file in loaded.files],
            clock=clock.wall,
            monotonic=clock.monotonic,
        )
        self.delivery = Delivery(
            self.state.outbox,
            Notifier(world.server.port, world.post),
            world.email(),
            host="box",
            timezone=UTC,
            is_caught_up=lambda: self.watch.is_caught_up,
            clock=clock.wall,
            monotonic=clock.monotonic,
            jitter=lambda: 0.5,
        )
        self.watch = Watch(
            self.tailer,
            self.pipeline,
            self.state,
            {"app": world.source},
            on_alerts=self.delivery.wake,
            on_trouble=lambda _: None,
            clock=clock.wall,
        )
        await self.tailer.open()
        await self.watch.rewrite(
            [name for name in loaded.shards if name not in self.pipeline.rules]
        )

    async def reload(self) -> None:
        """Put other rules to work."""
        world = self.world
        pipeline = Pipeline([world.source], rules(world.variant), world.matchers(), host="box")
        await self.watch.swap(pipeline, {"app": world.source})
        self.delivery.reconfigure(world.email(), Notifier(world.server.port, world.post))
        await self.delivery.retain_recipients(dict.fromkeys(pipeline.rules, RECIPIENTS))

    async def turn(self) -> bool:
        """Take one turn; say whether there is more to read."""
        return await self.watch._turn()

    async def settle(self) -> None:
        """Look and read until there is nothing left, and commit."""
        for _ in range(50):
            self.world.clock.mono += 0.1
            await self.tailer.scan()
            while await self.turn():
                pass
            if not any(file.is_behind for file in self.tailer.files()):
                break
        else:
            raise AssertionError("reading does not come to an end")
        self.world.clock.mono += 0.3
        await self.turn()

    async def abandon(self) -> None:
        """Let go of what a dead process would no longer have."""
        notifier = self.delivery._notifier
        assert isinstance(notifier, SmtpNotifier)
        if notifier._client is not None and notifier._client.transport is not None:
            notifier._client.transport.abort()  # type: ignore[attr-defined]
        for file in self.tailer.files():
            self.tailer._descriptors.close(file)
        with suppress(StateError):
            await self.state.close()


class World:
    """
    A writer, a mail server, a disk, a clock, and one alertd after another.

    Attributes:
        steps: What was done, for a failure's message.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = Clock()
        self.steps: list[str] = []
        self.variant = 0
        self.post = Post()
        self.state = directory / "state-0"
        self.server = ScriptedServer()
        (directory / "logs").mkdir()
        self.writer = Writer(directory / "logs", self.random, self.clock)
        glob = "a.log" if self.writer.is_link else self.random.choice(("a.log", "*.log", "*.log*"))
        self.source = Source(
            "app",
            (str(directory / "logs" / glob),),
            UTC,
            start_at="beginning",
            lateness=self.random.choice((0.0, 0.0, 5.0)),
        )
        self.steps.append(f"{glob}{' -> data' if self.writer.is_link else ''}")
        self._max_per_hour = self.random.choice((0, 5, 30))
        self._run: Run | None = None
        self._deaths = 0
        self._point = ""
        self._passes = 0
        self._full = 0
        self.alerts: list[PastAlert] = []

    def matchers(self) -> dict[str, Matcher]:
        """Return the compiled rules."""
        return _matchers(self.variant)

    def email(self) -> Email:
        """Return the settings for mail."""
        return Email(
            "127.0.0.1", self.server.port, "none", "a@example.com", max_per_hour=self._max_per_hour
        )

    # What happens.

    async def look(self) -> None:
        """Let alertd look and read everything, or only some of it."""
        run = await self._running()
        if self.random.random() < 0.6:
            await run.settle()
        else:
            await run.tailer.scan()
            for _ in range(self.random.randint(0, 2)):
                self.clock.mono += self.random.choice((0.0, 0.3))
                await run.turn()
        if not run.tailer._roster.undecided:
            self.writer.looked()

    async def send(self) -> None:
        """Let it send some mails, perhaps after a while."""
        run = await self._running()
        for _ in range(self.random.choice((1, 3, 10))):
            seconds = await self._step(run)
            if seconds > 0:
                if self.random.random() < 0.5:
                    break
                self.clock.mono += min(seconds, 1000.0)

    async def kill(self) -> None:
        """Kill alertd between two steps."""
        if self._run is not None:
            self._remember_disk()
            raise Crash

    async def aim(self) -> None:
        """Let it be killed when it next passes some point, or a little later."""
        self._point = self.random.choice(POINTS)
        self._passes = self.random.randint(1, 3)

    async def reload(self) -> None:
        """Change the rules as far as that changes nothing."""
        self.variant = self.random.randrange(3)
        if self._run is not None:
            await self._run.reload()

    async def fill(self) -> None:
        """Let the disk be full for some writes."""
        self._full = self.random.randint(1, 4)

    async def turn_clock(self) -> None:
        """Set the machine's clock: a day ahead, an hour back, never before the lines' time."""
        self.clock.skew = self.random.choice((0.0, 3600.0, 86_400.0))

    async def fail(self) -> None:
        """Let the mail server fail once."""
        self.server._script[:] = self.random.choice(FAULTS)

    async def wait(self) -> None:
        """Let the grace of rotated files go by."""
        self.clock.mono += 61.0
        if self._run is not None:
            await self._run.settle()
            if not self._run.tailer._roster.undecided:
                self.writer.looked()

    # How it happens.

    async def run(self, steps: int) -> None:
        """Do random things; in the end read and deliver everything."""
        writer = self.writer
        rotations: list[tuple[Callable[[], object], int]] = (
            [(writer.switch, 3)]
            if writer.is_link
            else [
                (writer.rename, 2),
                (writer.copytruncate, 2),
                (writer.compress, 1),
                (writer.recreate, 1),
            ]
        )
        actions: list[tuple[Callable[[], object], int]] = [
            (writer.write, 8),
            (self.look, 6),
            (self.send, 4),
            (self.wait, 1),
            (self.kill, 1),
            (self.aim, 2),
            (self.reload, 1),
            (self.fill, 1),
            (self.turn_clock, 1),
            (self.fail, 2),
            *rotations,
        ]
        async with self.server:
            with passing(self._reached), self._disk(), _quick(self.clock):
                await self._do(self.look)
                for action in self.random.choices(
                    [action for action, _ in actions],
                    [weight for _, weight in actions],
                    k=steps,
                ):
                    await self._do(action)
                self._point = ""
                self._full = 0
                writer.complete()
                self.server._script.clear()
                await self._finish()

    async def _do(self, action: Callable[[], object]) -> None:
        name = action.__name__
        self.steps.append(name)
        try:
            done = action()
            if asyncio.iscoroutine(done):
                await done
        except Crash:
            self.steps.append(f"killed {self._point}")
            await self._bury()

    async def _finish(self) -> None:
        run = await self._running()
        await run.settle()
        self.clock.mono += 61.0
        await run.settle()
        for _ in range(5000):
            seconds = await self._step(run)
            if seconds == math.inf:
                break
            self.clock.mono += seconds + 0.001 if seconds else 0.0
        else:
            raise AssertionError("sending does not come to an end")
        self.alerts = await run.state.outbox.last_alerts(100_000)
        counts = await run.state.outbox.counts()
        assert (counts.pending, counts.failed) == (0, 0)
        self.writer.close()
        await run.delivery.drain(1.0)
        await run.tailer.close()
        await run.state.close()

    async def _step(self, run: Run) -> float:
        try:
            return await run.delivery.step()
        except StateError as error:
            if not error.is_temporary:
                raise
            return 1.0

    async def _running(self) -> Run:
        if self._run is None:
            self._run = Run(self)
            try:
                await self._run.start()
            except StateError as error:
                if not error.is_temporary:
                    raise
                # The disk is full: systemd will start it again, and again.
                await self._run.abandon()
                self._run = None
                raise Crash from None
            self.writer.is_watched = True
        return self._run

    async def _bury(self) -> None:
        run, self._run = self._run, None
        self._point = ""
        self.writer.is_watched = False
        self.writer.died()
        self.post.died()
        if run is not None:
            await run.abandon()
        self.state = self._next_state

    def _remember_disk(self) -> None:
        """Take what is on the disk at this instant: all that a killed process leaves."""
        self._deaths += 1
        self._next_state = self.state.with_name(f"state-{self._deaths}")
        self._next_state.mkdir(mode=0o700)
        with _largest(resource.getrlimit(resource.RLIMIT_FSIZE)[1]):
            for name in ("state.db", "state.db-wal"):
                with suppress(FileNotFoundError):
                    shutil.copyfile(self.state / name, self._next_state / name)

    def _reached(self, point: str) -> None:
        if point == "after_dot":
            self.post.is_in_balance = True
        elif point == "after_sent_commit":
            self.post.is_in_balance = False
        if point == self._point:
            self._passes -= 1
            if self._passes == 0:
                self._remember_disk()
                raise Crash

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Have writes to the state fail while the disk is full, and know which mails that hits."""
        transaction, write = Database._transaction, Outbox.write

        def limited(database: Database, connection: object, job: object) -> object:
            if self._full == 0:
                return transaction(database, connection, job)  # type: ignore[arg-type]
            self._full -= 1
            log = self.state / "state.db-wal"
            size = log.stat().st_size if log.exists() else 0
            with _largest(size + self.random.choice((0, 100, 5_000))):
                return transaction(database, connection, job)  # type: ignore[arg-type]

        async def known(outbox: Outbox, records: Sequence[Record]) -> None:
            mails = {r.message_id for r in records if isinstance(r, Frozen | Judged)}
            try:
                await write(outbox, records)
            except StateError:
                self.post.unwritten |= mails
                raise
            self.post.unwritten -= mails

        with patch.object(Database, "_transaction", limited), patch.object(Outbox, "write", known):
            yield

    # What must hold.

    def differences(self) -> list[str]:
        """Return what is not as the oracle says."""
        lines = self.writer.lines
        told = Counter(int(dict(a.key)["n"]) for a in self.alerts if a.rule == "every")
        found = [f"line {n} told {count} times" for n, count in told.items() if count > 1]
        found += [f"line {n} never written" for n in told if n not in lines]
        lost = sorted(set(lines) - set(told) - self.writer.may_be_lost)
        found += [f"lost {lost}"] if lost else []
        events = [
            Event(round(lines[n].time * 1e6), "Fatal", lines[n].key, "") for n in sorted(told)
        ]
        expected = sorted((time, key) for key, time, _ in brute_force(events, BURST))
        bursts = sorted(
            (rfc3339(round(alert.time * 1e6)), dict(alert.key)["k"])
            for alert in self.alerts
            if alert.rule == "burst"
        )
        if expected != bursts:
            found.append(f"bursts {bursts} instead of {expected}")
        return found + self._mail_differences()

    def _mail_differences(self) -> list[str]:
        copies: Counter[tuple[str, str]] = Counter()
        bytes_of: dict[str, set[bytes]] = {}
        mails_of: dict[tuple[str, str], set[str]] = {}
        for copy in self.server.copies:
            id_ = message_id(copy.payload)
            is_new = copy.payload not in bytes_of.setdefault(id_, set())
            bytes_of[id_].add(copy.payload)
            for address in copy.recipients:
                copies[address, id_] += 1
            if is_new or any(copies[address, id_] == 1 for address in copy.recipients):
                for told in alerts_in(copy.payload):
                    for address in copy.recipients:
                        mails_of.setdefault((address, told), set()).add(id_)
        forgotten = self.post.forgotten
        found = [
            f"{id_} in {len(versions)} versions"
            for id_, versions in bytes_of.items()
            if len(versions) > 1 and id_ not in forgotten
        ]
        found += [
            f"{address} got {id_} {count} times"
            for (address, id_), count in copies.items()
            if count > 1 + self.post.uncertain[address, id_] and id_ not in forgotten
        ]
        for alert in self.alerts:
            for address in RECIPIENTS:
                mails = mails_of.get((address, alert.id), set())
                if not mails:
                    found.append(f"{address} was not told of {alert.rule} {alert.key}")
                elif len(mails) > 1 and not mails & forgotten:
                    found.append(f"{address} was told of {alert.rule} {alert.key} in {mails}")
        known = {alert.id for alert in self.alerts}
        found += [f"{told} is in a mail only" for _, told in mails_of if told not in known]
        return found


def alerts_in(payload: bytes) -> list[str]:
    """Return the ids of the alerts that a mail tells, in its text."""
    text, _, _ = payload.partition(b"Content-Type: text/html")
    return _ALERT.findall(quopri.decodestring(text).decode().replace("\r\n", "\n"))


@cache
def _matchers(variant: int) -> dict[str, Matcher]:
    return compile_matchers([Source("app", ("/*",), UTC)], rules(variant))


@contextmanager
def _largest(size: int) -> Iterator[None]:
    """Let no file grow beyond that, as a full disk would not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def _quick(clock: Clock) -> Iterator[None]:
    """Wait for nothing, and tell the watch the program's time."""
    with ExitStack() as stack:
        stack.enter_context(
            patch.object(watch_module, "time", SimpleNamespace(monotonic=clock.monotonic))
        )
        stack.enter_context(patch.object(watch_module, "RETRY_SECONDS", 0.0))
        stack.enter_context(patch.object(tailer, "_BETWEEN_LOOKS", 0.0))
        yield


def judged(seed: int) -> tuple[int, list[str], list[str], Counter[str]]:
    """
    Run one program.

    Returns:
        Its seed, the differences, the steps, and how much of what there was.
    """
    memory = Path("/dev/shm")  # noqa: S108 - made private by mkdtemp
    place = memory if seed % 2 and memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        world: World | None = None
        try:
            world = World(Path(name), seed)
            asyncio.run(world.run(STEPS))
            found = world.differences()
        except Exception:  # noqa: BLE001 - an error is a difference too
            found = [traceback.format_exc()[-1500:]]
        steps = world.steps if world is not None else []
        seen = Counter(step.split()[0] for step in steps[1:])
        if world is not None:
            seen["lines"] = len(world.writer.lines)
            seen["alerts"] = len(world.alerts)
            told = sum(alert.rule == "every" for alert in world.alerts)
            seen["lines nobody could read"] = len(world.writer.lines) - told
            seen["mails"] = len(world.server.copies)
        return seed, found, steps, seen


def quiet() -> None:
    """Let nobody log: a program is full of trouble."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("--programs", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    seeds = range(arguments.seed, arguments.seed + arguments.programs)
    began = time.monotonic()
    differing = 0
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(arguments.processes, initializer=quiet) as pool:
        for number, (seed, found, steps, seen) in enumerate(pool.map(judged, seeds, chunksize=5)):
            total += seen
            if found:
                differing += 1
                sys.stdout.write(f"seed {seed}: {'; '.join(found)[:2000]}\n  {' '.join(steps)}\n")
                sys.stdout.flush()
            if number % 100 == 99:
                sys.stderr.write(f"{number + 1} programs, {differing} differ\n")
    sys.stdout.write(
        f"{len(seeds)} programs in {time.monotonic() - began:.0f} s, {differing} differ\n"
        + "".join(f"  {what:24}{count:>9,}\n" for what, count in sorted(total.items()))
    )
    return 1 if differing or not total["alerts"] else 0


if __name__ == "__main__":
    sys.exit(main())
