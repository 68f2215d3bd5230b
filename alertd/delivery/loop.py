"""
One mail at a time: freeze its bytes, send them, record each recipient's outcome, next.

Only after the server's 250 is a recipient marked sent, so whatever dies in between leads to a
repeat that is byte-identical, never to a loss.

Refuses to give up early, to try in a hurry, and to let one mail, recipient or rule hold up others:
a server in trouble is left alone for a while, and so is an address; what has failed most often
comes last.

Traps:

- Waiting goes by the monotonic clock: somebody may set the other one while we wait.
- When the state cannot be written, mails whose alerts were committed go all the same, and what
  became of them is recorded later, in order (a full disk must not silence a burning house).
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from alertd.core.mailing import Mailing, Mailings
from alertd.core.render import Mail, render_alert, render_joined
from alertd.delivery.copies import Copies, Waiting
from alertd.delivery.ledger import Ledger
from alertd.delivery.patience import Patience
from alertd.smtp import DeliveryError, Outcome
from alertd.state import Dropped, Frozen, Retained, Retried, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import tzinfo

    from alertd.core.events import Notice
    from alertd.state import Outbox, Record

log = structlog.get_logger(__name__)

_SEND_AT_MOST: Final = 900.0
"""Seconds, whatever ``timeout`` is: RFC 5321 lets a server take ten minutes for the final dot."""
_IDLE: Final = 10.0
_CLOSE_AT_MOST: Final = 5.0
_RECORD_AGAIN: Final = 1.0
_PRUNE_EVERY: Final = 500
_HOUR: Final = 3600.0
_STUCK_AFTER: Final = _SEND_AT_MOST + 60.0
"""Seconds after which one step has outlasted every deadline in it."""


class EmailSettings(Protocol):
    """What delivery reads of ``[email]``."""

    @property
    def sender(self) -> str:
        """For ``From`` and the envelope."""
        ...

    @property
    def join_older_than(self) -> float:
        """Seconds; 0 for never."""
        ...

    @property
    def max_per_hour(self) -> int:
        """Mails to one address; 0 for any number."""
        ...


class Notifier(Protocol):
    """Whatever hands a mail to a server (see ``smtp``)."""

    async def send(
        self, sender: str, recipients: Sequence[str], payload: bytes
    ) -> dict[str, Outcome]:
        """Send to all, or raise ``DeliveryError`` where no recipient could be judged."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class Delivery:
    """
    The way out.

    Args:
        outbox: Where notices and mails are kept.
        notifier: Sends one mail.
        email: The settings.
        host: The name of this machine, for the mails.
        timezone: For the times that people read.
        is_caught_up: Whether no file is behind; late alerts are joined until then.
        clock: Unix seconds, for the date of a mail.
        monotonic: Seconds of a clock that never jumps.
        jitter: A random number between 0 and 1.
        digest_after: Seconds from meeting the hour's limit to the first digest.
    """

    def __init__(
        self,
        outbox: Outbox,
        notifier: Notifier,
        email: EmailSettings,
        *,
        host: str,
        timezone: tzinfo,
        is_caught_up: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        digest_after: float = 60.0,
    ) -> None:
        self._busy_since: float | None = None
        self._outbox = outbox
        self._notifier = notifier
        self._email = email
        self._host = host
        self._timezone = timezone
        self._is_caught_up = is_caught_up
        self._clock = clock
        self._monotonic = monotonic
        self._mailings = Mailings(
            join_older_than=email.join_older_than,
            max_per_hour=email.max_per_hour,
            digest_after=digest_after,
        )
        # Unix seconds that never jump: right when we start, and as good as the machine's clock
        # for comparing with what an earlier run has stored.
        self._epoch = clock() - monotonic()
        self._ledger = Ledger(outbox)
        self._patience = Patience(self._now, jitter)
        self._copies = Copies(self._ledger, self._patience, self._mailings, self._now)
        self._last_number = 0
        self._is_loaded = False
        self._has_news = True
        self._knows_history = False
        self._retired: list[Notifier] = []
        self._since_prune = 0
        self._is_connected = False
        self._is_draining = False
        self._turn = asyncio.Lock()
        self._awake = asyncio.Event()
        self._awake.set()
        self._resting = asyncio.Event()

    @property
    def failures(self) -> int:
        """How many copies are known to have failed for good since the start."""
        return self._ledger.failures

    @property
    def is_stuck(self) -> bool:
        """Something in here has outlasted its own deadline: only a new process may help."""
        since = self._busy_since
        return since is not None and self._monotonic() - since > _STUCK_AFTER

    def wake(self) -> None:
        """Look at the outbox now: something was committed, or the daemon has caught up."""
        self._resting.clear()
        self._awake.set()

    async def rest(self) -> None:
        """Wait until all that can be done at the moment has been done."""
        await self._resting.wait()

    async def run(self) -> None:
        """
        Send until drained or cancelled, which may happen anywhere.

        Raises:
            StateError: The state cannot be used any more.
        """
        self._is_loaded = False
        while not self._is_draining:
            try:
                seconds = await self.step()
            except StateError as error:
                if not error.is_temporary:
                    raise
                # Reading failed, so what we know may be incomplete.
                self._is_loaded = False
                seconds = _RECORD_AGAIN
            if seconds > 0 and not self._is_draining:
                await self._pause(seconds)

    async def step(self) -> float:
        """
        Do the next thing that is due: at most one mail.

        Returns:
            Seconds after which there is more to do if nothing wakes us: 0 for at once, infinity
            for never.
        """
        async with self._turn:
            self._busy_since = self._monotonic()
            try:
                return await self._step()
            finally:
                self._busy_since = None

    async def _step(self) -> float:
        if self._awake.is_set():
            self._awake.clear()
            self._has_news = True
        await self._close_retired()
        if not await self._ledger.write() and (
            not self._is_loaded or self._ledger.is_recipient_unsettled
        ):
            # Whom to tell is not settled until it is on disk.
            return _RECORD_AGAIN
        await self._take_in()
        now = self._now()
        chosen = self._patience.until if self._patience.until > now else self._choose(now)
        if isinstance(chosen, float):
            if not self._ledger.is_empty:
                return min(chosen - now, _RECORD_AGAIN)
            await self._prune_now_and_then()
            return max(chosen - now, 0.0)
        if isinstance(chosen, Mailing):
            chosen = await self._freeze(chosen, now)
        await self._attempt(chosen)
        return 0.0

    async def drain(self, deadline: float) -> None:
        """
        Let the mail in flight arrive, and leave the rest for the next start.

        Args:
            deadline: Seconds for it.  A mail that takes longer stays pending; cancel ``run`` then.
        """
        self._is_draining = True
        self.wake()
        try:
            async with asyncio.timeout(deadline), self._turn:
                await self._ledger.write()
                await self._close_retired()
                await self._close(self._notifier)
        except TimeoutError:
            log.warning("mail in flight left for the next start")

    def reconfigure(self, email: EmailSettings, notifier: Notifier) -> None:
        """
        Follow a reload: what waits is tried at once, with these settings and through this server.

        A mail in flight ends on the connection that it began on.
        """
        if notifier is not self._notifier:
            self._retired.append(self._notifier)
            self._notifier = notifier
        self._email = email
        self._mailings.reconfigure(
            join_older_than=email.join_older_than, max_per_hour=email.max_per_hour
        )
        self._patience.forget()
        self._copies.hurry()
        self.wake()

    async def retain_recipients(
        self, recipients: Mapping[str, Collection[str]], *, within: float = 10.0
    ) -> None:
        """
        Tell nobody any more who has been taken off a rule; who was added hears of new alerts only.

        Args:
            recipients: For each rule of the new configuration, who is told.  Of a rule that is
                missing, everything still goes out.
            within: Seconds to wait for a mail in flight, so that the promise holds on return.
        """
        kept = Retained({rule: frozenset(told) for rule, told in recipients.items()})
        if not await self._record_now(kept, within):
            log.warning("mail in flight outlasts the reload")
        self.wake()

    async def retry(self, which: str) -> None:
        """
        Try mails again at once, also those that had failed for good.

        Args:
            which: A Message-ID, the id of an alert in it, or ``all``.
        """
        await self._record_now(Retried(which, self._now()))
        self._patience.forget()
        self._mailings.open()
        self.wake()

    async def drop(self, which: str) -> None:
        """
        Give mails up that have not arrived.

        Args:
            which: As for ``retry``.
        """
        await self._record_now(Dropped(which, self._now()))
        self.wake()

    async def announce(self, notice: Notice) -> bool:
        """
        Mail something at once that the outbox cannot hold, and try it only once.

        Returns:
            Whether everybody has it.
        """
        mail = self._rendered([notice], Mailing("alert", (0,), notice.recipients))
        try:
            async with asyncio.timeout(_SEND_AT_MOST), self._turn:
                self._is_connected = True
                outcomes = await self._notifier.send(
                    self._email.sender, notice.recipients, mail.payload
                )
        except (DeliveryError, TimeoutError):
            return False
        return all(outcome.status == "sent" for outcome in outcomes.values())

    async def _record_now(self, record: Record, within: float = 10.0) -> bool:
        """Record what changes whom to tell; say whether no mail in flight was in the way."""
        try:
            async with asyncio.timeout(within):
                await self._turn.acquire()
        except TimeoutError:
            self._ledger.add(record)
            self._is_loaded = False
            return False
        try:
            self._ledger.add(record)
            self._is_loaded = False
            await self._ledger.write()
        finally:
            self._turn.release()
        return True

    async def status(self) -> dict[str, object]:
        """
        Say how things stand.

        Returns:
            ``pending`` (alerts), ``oldest`` (Unix seconds, when the oldest of them was raised),
            ``held`` (alerts that wait to share a mail, once for each address), ``failed`` (copies,
            for good), ``sent_last_hour`` (mails, once for each address), ``last_error``, and
            ``next_attempt_in`` (seconds; None unless the server is being left alone).
        """
        counts = await self._outbox.counts()
        now = self._now()
        return {
            "pending": counts.pending,
            "oldest": counts.oldest,
            "held": self._mailings.held(),
            "failed": counts.failed,
            "sent_last_hour": self._mailings.sent_last_hour(now),
            "last_error": self._patience.last_error,
            "next_attempt_in": until - now if (until := self._patience.until) > now else None,
        }

    def _now(self) -> float:
        return self._epoch + self._monotonic()

    async def _pause(self, seconds: float) -> None:
        idle = _IDLE if self._is_connected else math.inf
        limit = min(seconds, idle)
        if not self._awake.is_set():
            self._resting.set()
        try:
            async with asyncio.timeout(None if limit == math.inf else limit):
                await self._awake.wait()
        except TimeoutError:
            if idle <= seconds:
                self._is_connected = False
                await self._close(self._notifier)

    async def _close_retired(self) -> None:
        while self._retired:
            await self._close(self._retired.pop())

    async def _close(self, notifier: Notifier) -> None:
        try:
            async with asyncio.timeout(_CLOSE_AT_MOST):
                await notifier.close()
        except TimeoutError:
            pass  # nothing depends on a goodbye

    # What is known.

    async def _take_in(self) -> None:
        if not self._is_loaded:
            await self._load()
        if not self._has_news:
            return
        now = self._now()
        for queued in await self._outbox.queued(self._last_number):
            self._last_number = queued.number
            self._mailings.add(
                queued.number,
                age=queued.raised_at - queued.time,
                addresses=queued.addresses,
                now=now,
                # By the same clock: it may have been set since, and ours never is.
                since=now - max(0.0, self._clock() - queued.raised_at),
                is_end=queued.is_end,
            )
        self._has_news = False

    async def _load(self) -> None:
        """Read everything, as after a start; what each address has had is read only once."""
        now = self._now()
        if not self._knows_history:
            self._knows_history = True
            for mail in await self._outbox.sent_since(now - _HOUR):
                # A time from the future was written before somebody set the clock back.
                if mail.at <= now:
                    self._mailings.count(mail.address, mail.at, is_digest=mail.reason == "digest")
        self._copies.load(await self._outbox.pending())
        self._mailings.clear()
        self._last_number = 0
        self._is_loaded = True
        self._has_news = True

    async def _prune_now_and_then(self) -> None:
        if self._since_prune < _PRUNE_EVERY:
            return
        self._since_prune = 0
        await self._outbox.prune(self._now() - _HOUR)

    # One mail.

    def _choose(self, now: float) -> Waiting | Mailing | float:
        """Return what is to be tried: what has failed least often, then what is oldest."""
        following = self._mailings.next(now, is_caught_up=self._is_caught_up())
        mail, rank = self._copies.next(now)
        if isinstance(following, Mailing):
            # What has never been tried has never failed.
            return following if mail is None or (0, following.notices[0]) < rank else mail
        return min(following, rank[0]) if mail is None else mail

    async def _freeze(self, mailing: Mailing, now: float) -> Waiting:
        """Make a mail's bytes, for good; return what is to be tried now, most often that."""
        is_single = len(mailing.notices) == 1
        notices = await self._outbox.notices(mailing.notices, is_brief=not is_single)
        if is_single:
            mail = self._rendered(notices, mailing)
        else:
            # Thousands of alerts take a second, in which other tasks want to run.
            mail = await asyncio.to_thread(self._rendered, notices, mailing)
        self._ledger.add(
            Frozen(
                message_id=mail.message_id,
                payload=mail.payload,
                reason=mailing.reason,
                notices=mailing.notices,
                addresses=mailing.addresses,
                at=now,
            )
        )
        is_stored = await self._ledger.write()
        self._mailings.take(mailing, now)
        self._since_prune += 1
        waiting = self._copies.add(mail.message_id, mailing, now)
        # Whoever got this mail before got the bytes that are stored: everybody does.
        if is_stored:
            waiting.payload = None
        elif waiting.payload is None:
            waiting.payload = await self._outbox.payload(mail.message_id) or mail.payload
        # Who is told that something is over has been told of it.
        answered = [answer for notice in notices for answer in notice.answers]
        return self._copies.earlier(waiting, answered, now)

    def _rendered(self, notices: Sequence[Notice], mailing: Mailing) -> Mail:
        sent_at = self._clock()
        if len(notices) == 1:
            return render_alert(
                notices[0],
                host=self._host,
                sender=self._email.sender,
                timezone=self._timezone,
                sent_at=sent_at,
            )
        return render_joined(
            notices,
            reason="catching up" if mailing.reason == "alert" else mailing.reason,
            host=self._host,
            sender=self._email.sender,
            timezone=self._timezone,
            sent_at=sent_at,
            recipients=mailing.addresses,
        )

    async def _attempt(self, mail: Waiting) -> None:
        due = mail.due(self._now())
        payload = mail.payload or await self._outbox.payload(mail.message_id)
        if payload is None:
            # Only a person with a database tool can bring this about.
            self._copies.judge(
                mail, {copy.address: Outcome("refused", "its bytes are gone") for copy in due}
            )
            await self._ledger.write()
            return
        addresses = [copy.address for copy in due]
        self._is_connected = True
        try:
            async with asyncio.timeout(_SEND_AT_MOST):
                outcomes = await self._notifier.send(self._email.sender, addresses, payload)
        except DeliveryError as error:
            self._copies.fail(mail, payload, addresses, error)
        except TimeoutError:
            late = DeliveryError("temporary", "took longer than any mail may")
            self._copies.fail(mail, payload, addresses, late)
        except Exception as error:  # noqa: BLE001 - one mail that cannot be sent stops no other
            detail = f"{type(error).__name__}: {error}"[:200]
            self._copies.fail(mail, payload, addresses, DeliveryError("temporary", detail))
        else:
            silent = Outcome("deferred", "not mentioned")
            self._copies.answer(mail, payload, {a: outcomes.get(a, silent) for a in addresses})
        await self._ledger.write()
