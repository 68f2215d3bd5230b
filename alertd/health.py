"""
What makes alertd blind is an alert too: found here, said in ``core.complaints``, mailed like any.

It looks at the others now and then, and asks nothing of them that they do not know anyway.  Whoever
is told is the administrator: the recipients under ``[email]``, or without any, everybody.

Refuses to mail about a mailbox to that mailbox.

Trap: what is wrong with the state cannot be written into the state.  It is told by the log and to
systemd while it lasts, by one mail that is kept in memory only, and for good once it is over.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import structlog

from alertd.core.complaints import PREFIX, Complaints, Trouble, as_notice
from alertd.state import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from alertd.core.events import Notice
    from alertd.core.pipeline import Pipeline
    from alertd.state import State
    from alertd.tail import FollowedFile, Problem, Tailer

LOOK_SECONDS: Final = 2.0
_CLOSELY_SECONDS: Final = 10.0
"""Between looks at every file, of which there may be ten thousand."""
EMPTY_GRACE: Final = 300.0
"""Seconds for which a glob may match nothing before that is worth a mail."""
BEHIND_SECONDS: Final = 300.0
"""A source has fallen behind when bytes that were there so long ago are still unread."""
MINUTE: Final = 60.0
JUMP_LEAST: Final = 100
"""Lines a minute below which unreadable ones are a matter of course …"""
JUMP_FACTOR: Final = 10.0
"""… and how many times what is usual they must be."""
SKEWED_LEAST: Final = 10
_USUAL_WEIGHT: Final = 0.1
UNWRITABLE_GRACE: Final = 60.0
"""Seconds for which the state may be unwritable before a mail is sent that is kept nowhere."""
_MOST_FAILED: Final = 10_000

_DENIED = "permission-denied"
_KINDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "permission denied; retrying": (
        _DENIED,
        "files may not be read",
        "Let alertd's user read them, for example through the group that may:"
        " systemctl edit alertd, SupplementaryGroups=.",
    ),
    "too many open files; retrying": (
        "too-many-files",
        "too many files are open",
        "Raise LimitNOFILE= with systemctl edit alertd.",
    ),
    "file cannot be read; retrying": (
        "cannot-read",
        "files cannot be read",
        "See the reason above; the kernel's log (dmesg) may know more.",
    ),
    "symlink of a stranger": (
        "symlink-refused",
        "a symlink is not followed",
        "Whoever made it may want a file read that he may not read. If all is well, name the file"
        " that it leads to in paths, or let root own the link: chown -h root.",
    ),
    "not a regular file": (
        "not-a-file",
        "something that is no regular file is in the way",
        "Narrow the glob, or exclude it.",
    ),
}
_LOST: Final = (
    "lines-lost",
    "lines may be lost",
    "Rotate by renaming (logrotate: create) instead of copytruncate, and compress later"
    " (delaycompress): then nothing can be lost.",
)

KINDS: Final = (
    *dict.fromkeys(kind for kind, _, _ in _KINDS.values()),
    _LOST[0],
    "clock-skew",
    "falls-behind",
    "keys-forgotten",
    "mailbox-refuses",
    "nothing-to-watch",
    "state-lost",
    "state-unwritable",
    "undecided-lines",
    "unparsable-lines",
)
"""Of trouble; with ``alertd/`` before it each is the name of an alert."""

log = structlog.get_logger(__name__)


class Mailboxes(Protocol):
    """What the delivery knows about mailboxes."""

    @property
    def failures(self) -> int:
        """How many copies have failed for good since the start."""
        ...

    def wake(self) -> None:
        """Look at the outbox."""
        ...

    async def announce(self, notice: Notice) -> bool:
        """Mail something that the outbox cannot hold; say whether everybody has it."""
        ...


class Jump:
    """
    Tells when a number that only grows begins to grow far faster than usual.

    Args:
        least: Growth in a minute that is worth a word at all.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._last: int | None = None
        self._usual = 0.0

    def see(self, number: int) -> int:
        """
        Look at the number, once a minute.

        Returns:
            By how much it has grown, if that is a jump, else 0.
        """
        before, self._last = self._last, number
        if before is None:
            return 0
        grown = max(number - before, 0)
        is_jump = grown >= max(self._least, JUMP_FACTOR * self._usual)
        self._usual += _USUAL_WEIGHT * (grown - self._usual)
        return grown if is_jump else 0


class Health:
    """
    Looks at everything that may make alertd blind, and says what does.

    Args:
        complaints: What has been said so far.
        state: Where what is said is kept.
        tailer: Knows what keeps files from being read.
        delivery: Knows which mailboxes refuse.
        pipeline: Returns what judges lines now.
        globs: Returns the sources' globs, by name.
        administrators: Returns who is told.
        clock: Unix seconds.
        monotonic: Seconds that never jump.
    """

    def __init__(
        self,
        complaints: Complaints,
        *,
        state: State,
        tailer: Tailer,
        delivery: Mailboxes,
        pipeline: Callable[[], Pipeline],
        administrators: Callable[[], Sequence[str]],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._complaints = complaints
        self._state = state
        self._tailer = tailer
        self._delivery = delivery
        self._pipeline = pipeline
        self._administrators = administrators
        self._clock = clock
        self._monotonic = monotonic
        self._unwritten: list[Notice] = []
        self._empty_since: dict[tuple[str, str], float] = {}
        # By file: when it was found behind, and up to where it was to be read then.
        self._behind: dict[tuple[str, str], tuple[float, int]] = {}
        self._look_closely_at = monotonic()
        self._jumps: dict[tuple[str, str], Jump] = {}
        self._undecided: dict[str, int] = {}
        self._forgotten: dict[str, int] | None = None
        self._minute_at = monotonic()
        self._failures = -1
        self._changes = b""
        self._unwritable_since: float | None = None
        self._unwritable_why = ""
        self._is_announced = False

    async def run(self) -> None:
        """
        Keep looking until cancelled.

        Raises:
            StateError: The state is gone.
        """
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """
        Look at everything once, and commit what is to be said.

        Raises:
            StateError: The state cannot be used any more.
        """
        try:
            await self._state.verify()
            await self._see_mailboxes()
        except StateError as error:
            if not error.is_temporary:
                raise
        self._see_files()
        self._see_lines()
        await self._announce()
        await self.say()

    def lag(self) -> dict[str, float]:
        """Return for how many seconds, about, each source's oldest unread bytes have waited."""
        now = self._monotonic()
        lag: dict[str, float] = {}
        for (source, _), (since, _) in self._behind.items():
            lag[source] = max(lag.get(source, 0.0), now - since)
        return lag

    async def say(self, *, is_urgent: bool = False) -> None:
        """
        Commit what is to be said now.

        Args:
            is_urgent: Without waiting for more of it.

        Raises:
            StateError: The state cannot be used any more.
        """
        self._unwritten += self._due(is_urgent=is_urgent)
        changes = self._complaints.take_changes()
        if changes is not None:
            self._changes = changes
        elif not self._unwritten:
            return
        try:
            await self._state.report(self._changes, self._unwritten)
        except StateError as error:
            if not error.is_temporary:
                raise
            return  # once it can be written, it will be
        if self._unwritten:
            self._unwritten = []
            self._delivery.wake()

    def _due(self, *, is_urgent: bool) -> list[Notice]:
        told = self._administrators()
        notices = []
        for notice in self._complaints.due(self._clock(), told, is_urgent=is_urgent):
            alert = notice.alert
            if alert.rule == PREFIX + "mailbox-refuses":
                refusing = alert.key[0][1]
                others = tuple(address for address in told if address != refusing)
                if not others:
                    log.warning("nobody to tell about a mailbox that refuses", mailbox=refusing)
                    continue
                notice = msgspec.structs.replace(notice, recipients=others)  # noqa: PLW2901
            log.info("alert raised", rule=alert.rule, id=alert.id, count=alert.count)
            notices.append(notice)
        return notices

    def _note(
        self,
        kind: str,
        source: str,
        texts: tuple[str, str],
        detail: str,
        *,
        count: int = 1,
        is_lasting: bool = False,
    ) -> None:
        """Note a trouble of a source, or of none; ``texts`` are the complaint and the remedy."""
        complaint, remedy = texts
        about = ("source", source) if source else None
        self._complaints.note(
            Trouble(kind, about, complaint, detail, remedy, count, is_lasting), self._clock()
        )

    # What may be wrong.

    def state_was_lost(self, files: Iterable[FollowedFile]) -> None:
        """
        Say that the state was damaged, and what was not read because of that.

        Args:
            files: All of them, placed, before anything is read.
        """
        skipped = [(file.path, file.offset) for file in files if file.offset]
        texts = (
            "what it remembered is lost",
            "The damaged state is kept beside it as state.db.corrupt-…; see the disk's health."
            " What was skipped can be looked through with: alertd replay.",
        )
        lost = "the state was damaged: counts, cooldowns and mails that had not been sent are gone"
        self._note("state-lost", "", texts, lost)
        for path, offset in skipped:
            self._note("state-lost", "", texts, f"{path}: bytes 0 to {offset:,} skipped", count=0)

    def state_is_unwritable(self, reason: str | None) -> None:
        """Take note that the state cannot be written, or with ``None``, that it can again."""
        now = self._clock()
        if reason is not None:
            self._unwritable_since = self._unwritable_since or now
            self._unwritable_why = reason
            return
        since, self._unwritable_since = self._unwritable_since, None
        self._is_announced = False
        if since is not None:
            detail = (
                f"reading and new alerts paused for {now - since:,.0f} seconds; nothing is lost"
            )
            self._complaints.note(self._unwritable(detail), now)

    def _unwritable(self, detail: str) -> Trouble:
        return Trouble(
            "state-unwritable",
            None,
            "its state cannot be written",
            detail,
            "Give the disk of the state directory more room, or find out why nobody can write there"
            " (df, mount, dmesg). Reading goes on by itself; the log files are the queue.",
        )

    async def _announce(self) -> None:
        """Mail that the state is unwritable, once, while nothing can be kept in the outbox."""
        since, now = self._unwritable_since, self._clock()
        if since is None or self._is_announced or now - since < UNWRITABLE_GRACE:
            return
        self._is_announced = True
        trouble = self._unwritable(self._unwritable_why)
        said = await self._delivery.announce(as_notice(trouble, since, now, self._administrators()))
        log.info("state trouble announced", has_arrived=said)

    async def _see_mailboxes(self) -> None:
        failures = self._delivery.failures
        if failures == self._failures:
            return
        self._failures = failures
        since = self._complaints.mark
        for copy in reversed(await self._state.outbox.failed(_MOST_FAILED)):
            if copy.at <= since:
                continue
            self._complaints.mark = copy.at
            self._complaints.note(
                Trouble(
                    "mailbox-refuses",
                    ("mailbox", copy.address),
                    "takes no mail",
                    f"{copy.detail} ({copy.message_id})",
                    "Correct recipients, or the mailbox; then: alertd outbox --retry all"
                    " (or --drop all).",
                ),
                self._clock(),
            )

    def _see_files(self) -> None:
        now = self._monotonic()
        new = self._tailer.take_problems()
        for problem in new:
            self._see_problem(problem)
        if new or now >= self._look_closely_at:
            self._look_closely_at = now + _CLOSELY_SECONDS
            self._see_lasting()
            self._see_lag(now)
        empty = dict.fromkeys(self._tailer.empty_globs(), now)
        self._empty_since = {key: self._empty_since.get(key, now) for key in empty}
        for (source, glob), since in self._empty_since.items():
            if now - since >= EMPTY_GRACE:
                texts = (
                    "a glob matches no file",
                    "Correct paths, or start what writes there; alertd goes on looking."
                    " For a directory it may not list, let its user in.",
                )
                self._note(
                    "nothing-to-watch", source, texts, f"{glob} matches nothing", is_lasting=True
                )

    def _see_lasting(self) -> None:
        for problem in self._tailer.problems():
            if problem.kind in _KINDS:
                kind, complaint, remedy = _KINDS[problem.kind]
                self._note(
                    kind, problem.source, (complaint, remedy), problem.detail, is_lasting=True
                )

    def _see_problem(self, problem: Problem) -> None:
        if problem.lost:
            kind, complaint, remedy = _LOST
            self._note(kind, problem.source, (complaint, remedy), problem.detail)

    def _see_lag(self, now: float) -> None:
        behind: dict[tuple[str, str], tuple[float, int]] = {}
        for file in self._tailer.files():
            if not file.is_behind or file.problem is not None:
                continue
            key = (file.source, file.id)
            since, goal = self._behind.get(key, (now, file.size))
            if file.offset >= goal or file.size < goal:
                since, goal = now, file.size
            behind[key] = since, goal
            if now - since >= BEHIND_SECONDS:
                texts = (
                    "reading has fallen behind",
                    "See what else needs the processor or the disk; alertd status shows how far it"
                    " is. Rules that match nearly every line are slow to judge.",
                )
                detail = f"{file.path}: bytes have waited for more than 5 minutes to be read"
                self._note("falls-behind", file.source, texts, detail, is_lasting=True)
        self._behind = behind

    def _see_lines(self) -> None:
        pipeline = self._pipeline()
        now = self._monotonic()
        for source, counters in pipeline.counters_of.items():
            self._see_undecided(source, counters.undecided)
        self._see_forgotten(pipeline.engine.evictions())
        if now - self._minute_at < MINUTE:
            return
        self._minute_at = now
        for source, counters in pipeline.counters_of.items():
            lines = self._jump(source, "unparsable", JUMP_LEAST).see(counters.unparsable)
            if lines:
                texts = (
                    "lines are not in its format",
                    "See with alertd explain what becomes of such a line; has the program that"
                    " writes them changed, or is format not what it writes?",
                )
                detail = f"{lines:,} lines within a minute could not be parsed"
                self._note("unparsable-lines", source, texts, detail, count=lines)
            lines = self._jump(source, "clamped", SKEWED_LEAST).see(counters.clamped)
            if lines:
                texts = (
                    "its times are ahead of the clock",
                    "Is timezone right, and the clock of the machine that writes them?"
                    " Such lines count at the time of reading.",
                )
                detail = f"{lines:,} lines within a minute were later than now"
                self._note("clock-skew", source, texts, detail, count=lines)

    def _see_undecided(self, source: str, undecided: int) -> None:
        before = self._undecided.get(source, 0)
        self._undecided[source] = undecided
        if undecided > before:
            texts = (
                "lines could not be decided",
                "A regex took too long on them; anchor it, or write it without nested repetition."
                " Until then such lines may go by unseen.",
            )
            number = undecided - before
            self._note("undecided-lines", source, texts, "a regex was stopped", count=number)

    def _see_forgotten(self, evictions: Mapping[str, int]) -> None:
        before, self._forgotten = self._forgotten, dict(evictions)
        for rule, number in evictions.items():
            new = 0 if before is None else number - before.get(rule, 0)
            if new > 0:
                self._complaints.note(
                    Trouble(
                        "keys-forgotten",
                        ("rule", rule),
                        "more keys than max_keys",
                        "the keys seen longest ago are forgotten, and with them what was counted",
                        "Raise max_keys (alertd check says what that costs), or group by something"
                        " that has fewer values.",
                        count=new,
                    ),
                    self._clock(),
                )

    def _jump(self, source: str, what: str, least: int) -> Jump:
        key = (source, what)
        if key not in self._jumps:
            self._jumps[key] = Jump(least)
            self._jumps[key].see(0)
        return self._jumps[key]
