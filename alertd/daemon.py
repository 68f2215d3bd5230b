"""
Starts the tasks, introduces them to each other, and keeps them running.

Three loops do the work: the tailer looks for files, the watch reads and judges them, the delivery
sends mails.  Each knows only what it is given here.  The tailer's and the delivery's failures are
survived by starting that loop again; the watch's are not (see ``alertd.watch``).

Trap: a TaskGroup cancels its siblings when one fails, so each loop supervises itself, and what
gets through to the group is meant to end the process.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import stat
import time
from collections import Counter, deque
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from alertd import __version__, config, logs, memory, systemd
from alertd.config import ConfigError
from alertd.config.machine import local_timezone
from alertd.control import ControlError, ControlServer
from alertd.core.complaints import PREFIX, Complaints
from alertd.core.escape import visible
from alertd.core.pipeline import Pipeline, Stored
from alertd.core.rule_tests import run_tests
from alertd.delivery import Delivery
from alertd.health import KINDS, Health
from alertd.matchers import compile_matchers, watched
from alertd.smtp import notifier
from alertd.state import State, StateError
from alertd.tail import Own, StoredFile, Tailer
from alertd.watch import IDLE_SECONDS, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from alertd.config import Config
    from alertd.core.matching import Matcher
    from alertd.tail import FollowedFile

DRAIN_SECONDS = 8.0
CANCEL_SECONDS = 1.0
FAILURES = 5
FAILURE_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.1
STATUS_SECONDS = 10.0
RELOAD_SECONDS = 1.0
RELOAD_AT_MOST = 120.0
"""Seconds for a reload: the file system that the configuration lies on may hang."""

log = structlog.get_logger(__name__)


class RepeatedFailureError(Exception):
    """A loop has failed so often that only a new process may help."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the daemon introduces to each other."""

    state: State
    tailer: Tailer
    watch: Watch
    delivery: Delivery
    health: Health


class Daemon:
    """
    One running alertd.

    Args:
        settings: Validated.
        environ: The process's environment, for the next reload.
    """

    def __init__(self, settings: Config, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._stopping = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._reload_lock = asyncio.Lock()
        self._reload_failures = 0
        self._trouble: str | None = None
        self._is_running = False
        self._started_at = time.time()
        self._host = socket.gethostname()
        self._report_seconds = min(
            STATUS_SECONDS, systemd.watchdog_interval(environ) or STATUS_SECONDS
        )

    async def run(self) -> None:
        """
        Run until SIGTERM or SIGINT.

        Raises:
            StateError: The state cannot be used.
            ControlError: The control socket cannot be made.
            RepeatedFailureError: A loop fails again and again.
            ConfigError: A rule fails a test of its own.
        """
        self._handle_signals()
        async with AsyncExitStack() as stack:
            parts = self._parts = await self._assemble(stack)
            await self._listen(stack)
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(parts.watch.run())
                others = [
                    tasks.create_task(supervised("tailer", parts.tailer.run)),
                    tasks.create_task(supervised("delivery", parts.delivery.run)),
                    tasks.create_task(supervised("health", parts.health.run)),
                    tasks.create_task(supervised("reload", self._reload_when_asked)),
                    tasks.create_task(supervised("watchdog", self._report)),
                ]
                self._is_running = True
                systemd.ready()
                log.info("started", version=__version__, files=len(parts.tailer.files()))
                await self._until_stopped(watch)
                systemd.stopping()
                parts.watch.stop()
                await watch
                await parts.delivery.drain(DRAIN_SECONDS)
                for task in others:
                    task.cancel()
                _, stuck = await asyncio.wait(others, timeout=CANCEL_SECONDS)
                if stuck:
                    # A library may swallow a cancellation.  Everything is committed: leave.
                    await parts.state.close()
                    log.warning("stopped without waiting for what hangs")
                    os._exit(os.EX_OK)
        log.info("stopped")

    async def _assemble(self, stack: AsyncExitStack) -> _Parts:
        """Open everything, in the order in which it depends on each other."""
        settings = self._settings
        state = await State.open(settings.state.directory)
        stack.push_async_callback(state.close)
        loaded = await state.load()
        matchers = await asyncio.to_thread(
            compile_matchers, settings.sources, settings.rules, cache=self._cache
        )
        await run_rule_tests(settings, matchers)
        pipeline = Pipeline(
            settings.sources,
            settings.rules,
            matchers,
            Stored(loaded.shards, loaded.journal, loaded.waiting),
            host=self._host,
        )
        sources = watched(settings.sources, settings.rules)
        tailer = Tailer(
            sources,
            [msgspec.msgpack.decode(file.blob, type=StoredFile) for file in loaded.files],
            own=_own(settings.state.directory),
        )
        stack.push_async_callback(tailer.close)
        delivery = Delivery(
            state.outbox,
            notifier(settings.email),
            settings.email,
            host=self._host,
            timezone=local_timezone(self._environ),
            is_caught_up=lambda: watch.is_caught_up,
        )
        watch = Watch(
            tailer,
            pipeline,
            state,
            {source.name: source for source in sources},
            on_alerts=delivery.wake,
            on_rest=memory.give_back,
            until_told=delivery.rest,
            on_trouble=self._note_trouble,
            idle_seconds=min(IDLE_SECONDS, self._report_seconds / 2),
        )
        health = Health(
            Complaints(loaded.complaints),
            state=state,
            tailer=tailer,
            delivery=delivery,
            pipeline=lambda: watch.pipeline,
            administrators=lambda: administrators(self._settings),
        )
        self._health = health
        await tailer.open()
        if loaded.was_lost:
            health.state_was_lost(tailer.files())
            # Before anything else is written: from then on nobody can tell that it was lost.
            await health.say(is_urgent=True)
        await watch.rewrite([name for name in loaded.shards if name not in pipeline.rules])
        # What is there now stays: the collector need not look at it again and again.
        gc.freeze()
        return _Parts(state, tailer, watch, delivery, health)

    async def _listen(self, stack: AsyncExitStack) -> None:
        """Answer ``alertd status`` and its like from now on."""
        control = ControlServer(
            self._settings.state.directory,
            {"status": self._status, "reload": self._reload, "outbox": self._outbox},
        )
        await control.start()
        stack.push_async_callback(control.close)

    @property
    def _cache(self) -> Path:
        return self._settings.state.directory / "patterns"

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload_asked.set)
        # One that came earlier comes now: ``alertd run`` begins by blocking it.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        if self._stopping.is_set():
            # Asked twice: whatever is committed is safe, and the rest will be done again.
            os._exit(128 + signal.SIGTERM)
        self._stopping.set()

    async def _until_stopped(self, watch: asyncio.Task[None]) -> None:
        """Wait until somebody asks to stop, or the watch ends by an error."""
        asked = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({asked, watch}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()

    async def _report(self) -> None:
        """
        Tell systemd how things are, and that turns still end, as often as it asks.

        A watch whose turns do not end, or a delivery that outlasts its own deadlines, is not alive,
        whatever the others do.
        """
        turns = -1
        while True:
            if self._parts.watch.turns != turns and not self._parts.delivery.is_stuck:
                turns = self._parts.watch.turns
                systemd.watchdog()
            systemd.status(self._trouble or self._summary())
            await asyncio.sleep(self._report_seconds)

    def _note_trouble(self, trouble: str | None) -> None:
        self._trouble = trouble
        self._health.state_is_unwritable(trouble)

    def _summary(self) -> str:
        files = self._parts.tailer.files()
        behind = sum(file.is_behind for file in files)
        return f"watching {len(files)} files, {behind} behind; {len(self._settings.rules)} rules"

    async def _reload_when_asked(self) -> None:
        """Do what SIGHUP asks for; many of them within a second are one more."""
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            try:
                async with asyncio.timeout(RELOAD_AT_MOST):
                    await self._reload()
            except ControlError:
                pass  # said by whoever raised it
            except TimeoutError:
                log.error("reload given up", after_s=RELOAD_AT_MOST)  # noqa: TRY400 - no bug of ours
            await asyncio.sleep(RELOAD_SECONDS)

    async def _reload(self) -> dict[str, object]:
        """
        Put a changed configuration to work: all that can fail first, then the swap.

        Raises:
            ControlError: It is refused; what ran before still does.
        """
        async with self._reload_lock:
            systemd.reloading()
            try:
                warnings = await self._put_to_work(await asyncio.to_thread(self._reread))
            except ConfigError as error:
                self._reload_failures += 1
                for line in error.errors:
                    log.error("reload refused", reason=line)  # noqa: TRY400 - no bug of ours
                raise ControlError(
                    "\n".join([*error.errors, "what ran before still runs"]), error.exit_code
                ) from error
            finally:
                systemd.ready()
            log.info("reloaded", rules=len(self._settings.rules))
            return {"rules": len(self._settings.rules), "warnings": warnings}

    def _reread(self) -> tuple[Config, dict[str, Matcher]]:
        settings = config.load(self._settings.path, self._environ)
        if settings.state.directory != self._settings.state.directory:
            raise ConfigError(
                [
                    f"{settings.path}: [state]: directory cannot change while alertd runs: "
                    f"{settings.state.directory}; restart it: systemctl restart alertd"
                ]
            )
        return settings, compile_matchers(settings.sources, settings.rules, cache=self._cache)

    async def _put_to_work(self, reread: tuple[Config, dict[str, Matcher]]) -> list[str]:
        settings, matchers = reread
        await run_rule_tests(settings, matchers)
        sources = watched(settings.sources, settings.rules)
        pipeline = Pipeline(settings.sources, settings.rules, matchers, host=self._host)
        await self._parts.watch.swap(pipeline, {source.name: source for source in sources})
        self._parts.delivery.reconfigure(settings.email, notifier(settings.email))
        await self._parts.delivery.retain_recipients(
            {
                **{rule.name: rule.recipients for rule in settings.rules},
                **dict.fromkeys((PREFIX + kind for kind in KINDS), administrators(settings)),
            }
        )
        self._settings = settings
        logs.configure(settings.log.level, settings.log.format)
        return list(settings.warnings)

    async def _status(self) -> dict[str, object]:
        """Describe what the daemon is doing; ``alertd.cli.status`` tells it to people."""
        pipeline = self._parts.watch.pipeline
        keys, evictions = pipeline.engine.keys(), pipeline.engine.evictions()
        tests = Counter(test.rule for test in self._settings.tests)
        files: dict[str, list[dict[str, object]]] = {
            source.name: [] for source in self._settings.sources
        }
        for file in self._parts.tailer.files():
            files.setdefault(file.source, []).append(_described(file))
        past = await self._parts.state.outbox.last_alerts()
        lag = self._parts.health.lag()
        return {
            "running": self._is_running,
            "version": __version__,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "config": str(self._settings.path),
            "trouble": self._trouble,
            "is_caught_up": self._parts.watch.is_caught_up,
            "waiting_matches": pipeline.waiting,
            "late_matches": pipeline.late,
            "own_lines": pipeline.own,
            "problems": [
                {"kind": problem.kind, "source": problem.source, "detail": problem.detail}
                for problem in self._parts.tailer.problems()
            ],
            "reload_failures": self._reload_failures,
            "tasks": len(asyncio.all_tasks()),
            "lines": msgspec.to_builtins(pipeline.counters),
            "sources": {
                name: {"files": listed, "lag_seconds": lag.get(name, 0.0)}
                for name, listed in files.items()
            },
            "rules": {
                name: {"keys": keys[name], "evictions": evictions[name], "tests": tests[name]}
                for name in pipeline.rules
            },
            "outbox": await self._parts.delivery.status(),
            "last_alerts": [msgspec.to_builtins(alert) for alert in past],
        }

    async def _outbox(self, retry: str = "", drop: str = "") -> dict[str, object]:
        """
        Describe what has not been delivered; first try it again or give it up, if asked to.

        Raises:
            ControlError: There is nothing that is meant.
        """
        outbox, delivery = self._parts.state.outbox, self._parts.delivery
        which = retry or drop
        concerned = await outbox.holds(which) if which else 0
        if which and not concerned and which != "all":
            raise ControlError(
                f"nothing undelivered is called {which}; see: alertd outbox", os.EX_DATAERR
            )
        if retry:
            await delivery.retry(retry)
        elif drop:
            await delivery.drop(drop)
        if which:
            log.info("outbox changed by hand", retry=retry, drop=drop, concerned=concerned)
        counts = await outbox.counts()
        return {
            "concerned": concerned,
            "pending": counts.pending,
            "failed": counts.failed,
            "entries": [msgspec.to_builtins(entry) for entry in await outbox.entries()],
        }


def administrators(settings: Config) -> tuple[str, ...]:
    """Return who is told about alertd itself: whom ``[email]`` names, else everybody."""
    everybody = (address for rule in settings.rules for address in rule.recipients)
    return settings.email.recipients or tuple(dict.fromkeys(everybody))


async def run_rule_tests(settings: Config, matchers: Mapping[str, Matcher]) -> None:
    """
    Run the rules' own tests, with pauses in which others have their turn.

    Not in a thread: only here can a regex be stopped that takes too long.

    Raises:
        ConfigError: A rule fails.
    """
    errors = []
    for result in run_tests(settings.tests, settings.rules, settings.sources, matchers):
        if result.problem:
            errors.append(f"{visible(str(settings.path))}: {result.refusal}")
        await asyncio.sleep(0)
    if errors:
        raise ConfigError(errors)


def _own(state: Path) -> Own:
    """Find out what this process writes: its state, and its log if that goes into a file."""
    files = set()
    for descriptor in (1, 2):
        with suppress(OSError):
            about = os.fstat(descriptor)
            if stat.S_ISREG(about.st_mode):
                files.add((about.st_dev, about.st_ino))
    return Own(frozenset(files), str(state.resolve()))


async def supervised(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """
    Keep a loop going: start it again when it fails, a little later each time.

    Args:
        name: What the log calls it.
        run: The loop.

    Raises:
        RepeatedFailureError: It has failed five times within a minute.
        StateError: The state cannot be used any more, which starting again would not change.
    """
    failures: deque[float] = deque(maxlen=FAILURES)
    while True:
        try:
            await run()
        except Exception as error:
            if isinstance(error, StateError) and not error.is_temporary:
                raise
            failures.append(time.monotonic())
            if len(failures) == FAILURES and failures[-1] - failures[0] < FAILURE_SECONDS:
                raise RepeatedFailureError(
                    f"the {name} failed {FAILURES} times in a minute"
                ) from error
            log.exception("loop failed; starting it again", loop=name)
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** len(failures))
        else:
            return


def _described(file: FollowedFile) -> dict[str, object]:
    return {
        "path": file.path,
        "offset": file.offset,
        "size": file.size,
        "is_behind": file.is_behind,
        "problem": file.problem,
    }
