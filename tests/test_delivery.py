"""What was committed is sent: once where possible, byte-identical where not, never not at all."""

from __future__ import annotations

import asyncio
import email
import math
import re
import resource
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from notices import notice
from smtpx import ScriptedServer, drop, forever, reply, stall
from structlog.testing import capture_logs

from alertd.delivery import Delivery, retry_delay
from alertd.smtp import DeliveryError, Outcome, SmtpNotifier
from alertd.state import Change, State, StateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from smtpx import Script, Session

    from alertd.core.events import Notice

OPS, A, B, C = "ops@example.com", "a@example.com", "b@example.com", "c@example.com"
DAY = 86_400.0


@dataclass(frozen=True)
class Settings:
    """The part of ``[email]`` that delivery reads."""

    sender: str = "alertd <alertd@example.com>"
    join_older_than: float = 600.0
    max_per_hour: int = 0


@dataclass
class Clock:
    """Both clocks; only ``monotonic`` moves by itself."""

    wall: float = 1_000_000.0
    passed: float = 0.0

    def time(self) -> float:
        """Unix seconds."""
        return self.wall + self.passed

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return self.passed


@dataclass
class Recorder:
    """A server that accepts everything at once, for what is about time and numbers."""

    mails: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)
    failure: DeliveryError | None = None
    closed: int = 0

    async def send(
        self, sender: str, recipients: Sequence[str], payload: bytes
    ) -> dict[str, Outcome]:
        """Accept, unless told to fail."""
        assert "alertd@example.com" in sender
        if self.failure is not None:
            raise self.failure
        self.mails.append((tuple(recipients), payload))
        return {recipient: Outcome("sent", "250 ok") for recipient in recipients}

    async def close(self) -> None:
        """Count."""
        self.closed += 1

    @property
    def ids(self) -> list[list[str]]:
        """The alerts that each mail names."""
        return [sorted(set(re.findall(r"\bid-\d+\b", text(payload)))) for _, payload in self.mails]


def text(payload: bytes) -> str:
    """The mail's text part."""
    message = email.message_from_bytes(payload)
    part = next(part for part in message.walk() if part.get_content_type() == "text/plain")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()


def message_id(payload: bytes) -> str:
    return str(email.message_from_bytes(payload)["Message-ID"])


class Bench:
    """A state, a delivery and a clock that only the test moves."""

    def __init__(self, state: State, delivery: Delivery, clock: Clock) -> None:
        self.state = state
        self.delivery = delivery
        self.clock = clock

    async def commit(self, *notices: Notice) -> None:
        """Raise alerts."""
        await self.state.commit(Change(notices=notices))
        self.delivery.wake()

    async def settle(self) -> float:
        """Do all that is due now; return the seconds until there is more."""
        while not (seconds := await self.delivery.step()):
            pass
        return seconds

    async def after(self, seconds: float) -> float:
        """Let time pass, then settle."""
        self.clock.passed += seconds
        return await self.settle()


@asynccontextmanager
async def bench(
    directory: Path,
    notifier: Recorder | SmtpNotifier,
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    is_caught_up: Callable[[], bool] = lambda: True,
) -> AsyncIterator[Bench]:
    clock = clock or Clock()
    state = await State.open(directory)
    await state.load()
    delivery = Delivery(
        state.outbox,
        notifier,
        settings or Settings(),
        host="box.example.com",
        timezone=UTC,
        is_caught_up=is_caught_up,
        clock=clock.time,
        monotonic=clock.monotonic,
        jitter=lambda: 0.0,
    )
    try:
        yield Bench(state, delivery, clock)
        await delivery.drain(5.0)
    finally:
        await state.close()


def with_bench(
    directory: Path,
    work: Callable[[Bench, Recorder], Awaitable[None]],
    settings: Settings | None = None,
    *,
    is_caught_up: Callable[[], bool] = lambda: True,
) -> None:
    async def run() -> None:
        recorder = Recorder()
        async with bench(directory, recorder, settings, is_caught_up=is_caught_up) as place:
            await work(place, recorder)

    asyncio.run(run())


def with_server(
    directory: Path, script: Script, work: Callable[[Bench, ScriptedServer], Awaitable[None]]
) -> None:
    async def run() -> None:
        async with ScriptedServer(script) as server:
            notifier = SmtpNotifier(
                host="127.0.0.1", port=server.port, security="none", timeout=2.0
            )
            async with bench(directory, notifier) as place:
                await work(place, server)

    asyncio.run(run())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


# The ordinary way.


def test_alerts_go_oldest_first_over_one_connection(directory: Path) -> None:
    """One mail each, to the alert's recipients, and nothing is left."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(*(notice(n, recipients=(A, B)) for n in range(5)))

        assert math.inf == await bench.settle()
        assert [f"<id-{n}@box.example.com>" for n in range(5)] == [
            message_id(copy.payload) for copy in server.copies
        ]
        assert {(A, B)} == {copy.recipients for copy in server.copies}
        assert 1 == len(server.sessions)
        assert {
            "pending": 0,
            "oldest": None,
            "held": 0,
            "failed": 0,
            "sent_last_hour": 10,
            "last_error": None,
            "next_attempt_in": None,
        } == await bench.delivery.status()

    with_server(directory, [], work)


def test_who_waits_for_rest_waits_until_the_mail_is_on_its_way(directory: Path) -> None:
    """And from the moment at which something is committed."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        running = asyncio.create_task(bench.delivery.run())
        await bench.delivery.rest()
        for sent in (1, 2):
            await bench.commit(notice(sent, recipients=(A,)))
            async with asyncio.timeout(10):
                await bench.delivery.rest()
            assert sent == len(server.copies)
        await bench.delivery.drain(5.0)
        await running

    with_server(directory, [], work)


def test_m22_an_address_that_is_named_twice_gets_one_copy(directory: Path) -> None:
    """Whichever way its domain is written."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1, recipients=(A, "a@EXAMPLE.com", A)))
        await bench.settle()

        assert [(A,)] == [copy.recipients for copy in server.copies]

    with_server(directory, [], work)


def test_an_alert_that_is_committed_again_is_not_sent_again(directory: Path) -> None:
    """Its id is remembered after it was sent."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(notice(1))
        await bench.settle()
        await bench.commit(notice(1))
        await bench.settle()

        assert 1 == len(recorder.mails)

    with_bench(directory, work)


def test_done_alerts_are_remembered_without_what_they_said(directory: Path) -> None:
    """The status shows the last ones; of sent mails no bytes and no log lines are kept."""

    async def work(bench: Bench, _recorder: Recorder) -> None:
        await bench.commit(*(notice(n) for n in range(3)))
        await bench.settle()
        last = await bench.state.outbox.last_alerts(2)

        assert [("id-2", (("ip", "192.0.2.2"),)), ("id-1", (("ip", "192.0.2.1"),))] == [
            (alert.id, alert.key) for alert in last
        ]
        assert all(alert.done_at == 1_000_000.0 for alert in last)
        assert await bench.state.outbox.payload("<id-1@box.example.com>") is None
        assert [] == await bench.state.outbox.notices([1, 2, 3])

    with_bench(directory, work)


def test_the_outbox_remembers_only_the_last_thousand(directory: Path) -> None:
    """What is done does not pile up, nor do the mails that carried it."""

    async def work(bench: Bench, _recorder: Recorder) -> None:
        await bench.commit(*(notice(n, time=999_000.0, raised_at=1e6) for n in range(1500)))
        await bench.after(await bench.settle())
        await bench.state.outbox.prune(before=2_000_000.0)
        alerts = await bench.state.outbox.last_alerts(2000)

        assert [f"id-{n}" for n in range(1499, 499, -1)] == [alert.id for alert in alerts]

    with_bench(directory, work)


# Trouble with the server.


def test_m1_a_server_that_is_down_is_tried_from_5_s_to_15_min_apart(directory: Path) -> None:
    """It is said once, and once that it is over; the mail that waited has the same bytes."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("connect", "Connection refused")
        await bench.commit(notice(1))
        with capture_logs() as logs:
            waits = [await bench.settle()]
            for _ in range(9):
                waits.append(await bench.after(waits[-1]))
            recorder.failure = None
            await bench.after(waits[-1])

        assert [5, 10, 20, 40, 80, 160, 320, 640, 900, 900] == pytest.approx(waits)
        assert [["id-1"]] == recorder.ids
        assert [
            ("delivery failing", "connect", "Connection refused"),
            ("delivery recovered", None, None),
            ("mail sent", None, None),
        ] == [(entry["event"], entry.get("kind"), entry.get("reason")) for entry in logs]

    with_bench(directory, work)


def test_the_delay_is_spread_by_a_tenth() -> None:
    """And never shorter than promised."""
    assert 60.0 == retry_delay(1, 60.0, 0.0)
    assert 66.0 == retry_delay(1, 60.0, 1.0)
    assert 990.0 == pytest.approx(retry_delay(10_000, 5.0, 1.0))


def test_m1_after_five_days_a_mail_is_given_up_and_kept(directory: Path) -> None:
    """Five days from its first attempt; it is listed as failed, the next one is tried."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("connect", "Connection refused")
        await bench.commit(notice(1), notice(2))
        await bench.settle()
        await bench.after(5 * DAY - 1)
        before = await bench.delivery.status()
        await bench.after(901)
        status = await bench.delivery.status()
        failed = await bench.state.outbox.failed()
        recorder.failure = None
        await bench.after(901)

        assert (2, 0) == (before["pending"], before["failed"])
        assert (1, 1) == (status["pending"], status["failed"])
        assert [(OPS, "given up: Connection refused")] == [(f.address, f.detail) for f in failed]
        assert [["id-2"]] == recorder.ids

    with_bench(directory, work)


def test_c15_a_mail_that_was_queued_for_a_month_is_sent(directory: Path) -> None:
    """Being switched off is no failed attempt, and the network may come up after us."""

    async def run() -> None:
        recorder = Recorder(failure=DeliveryError("connect", "Connection refused"))
        async with bench(directory, recorder) as place:
            await place.commit(notice(1))
            await place.settle()
        async with bench(directory, recorder, clock=Clock(1_000_000.0 + 30 * DAY)) as place:
            await place.settle()
            recorder.failure = None
            await place.after(5.0)

        assert [["id-1"]] == recorder.ids

    asyncio.run(run())


def test_t1_a_clock_that_jumps_changes_no_wait(directory: Path) -> None:
    """Somebody sets the clock a week ahead, or back: the next attempt is when it was to be."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("connect", "Connection refused")
        await bench.commit(notice(1))
        first = await bench.settle()
        bench.clock.wall += 7 * DAY
        ahead = await bench.after(1.0)
        bench.clock.wall -= 14 * DAY
        back = await bench.after(1.0)

        assert (5.0, 4.0, 3.0) == pytest.approx((first, ahead, back))
        assert 0 == (await bench.delivery.status())["failed"]

    with_bench(directory, work)


def test_m14_a_refused_login_is_tried_after_a_minute_and_by_a_reload_at_once(
    directory: Path,
) -> None:
    """A hot loop locks accounts; whoever corrects the password need not wait."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("login", "535 no")
        await bench.commit(notice(1))
        waits = [await bench.settle(), await bench.after(60.0)]
        other = Recorder()
        bench.delivery.reconfigure(Settings(), other)
        await bench.settle()

        assert [60.0, 120.0] == pytest.approx(waits)
        assert ([], [["id-1"]]) == (recorder.ids, other.ids)
        assert 1 == recorder.closed

    with_bench(directory, work)


def test_m5_a_stall_in_the_middle_is_tried_again(directory: Path) -> None:
    """The server never had a complete copy, so there is one in the end."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        bench.delivery.reconfigure(
            Settings(),
            SmtpNotifier(host="127.0.0.1", port=server.port, security="none", timeout=0.2),
        )
        await bench.commit(notice(1))
        wait = await bench.settle()
        at_first = len(server.copies)
        await bench.after(wait)

        assert 5.0 <= wait <= 60.0
        assert (0, 1) == (at_first, len(server.copies))

    with_server(directory, [("body@100", stall())], work)


def test_m6_an_uncertain_mail_is_repeated_byte_by_byte(directory: Path) -> None:
    """The connection broke between the final dot and the answer."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1))
        wait = await bench.settle()
        pending = await bench.state.outbox.pending()
        await bench.after(wait)

        assert 5.0 == pytest.approx(wait)
        assert [True] == [copy.is_uncertain for mail in pending for copy in mail.copies]
        assert 2 == len(server.copies)
        assert server.copies[0].payload == server.copies[1].payload
        assert 0 == (await bench.delivery.status())["pending"]

    with_server(directory, [("dot", drop)], work)


def test_a_mail_that_breaks_the_connection_stops_no_other(directory: Path) -> None:
    """What has failed most often comes last."""

    class Picky(Recorder):
        async def send(
            self, sender: str, recipients: Sequence[str], payload: bytes
        ) -> dict[str, Outcome]:
            if b"<id-1@" in payload:
                raise ValueError("a bug that this mail wakes")
            return await super().send(sender, recipients, payload)

    async def run() -> None:
        recorder = Picky()
        async with bench(directory, recorder) as place:
            await place.commit(notice(1), notice(2), notice(3))
            wait = await place.settle()
            await place.after(wait)

            assert 60.0 == pytest.approx(wait)
            assert [["id-2"], ["id-3"]] == recorder.ids
            assert 1 == (await place.delivery.status())["pending"]

    asyncio.run(run())


# Trouble with a recipient.


def test_m10_one_deferred_recipient_of_three_is_tried_again_alone(directory: Path) -> None:
    """The others have theirs; the third gets the same bytes after a minute."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1, recipients=(A, B, C)))
        wait = await bench.settle()
        at_once = [copy.recipients for copy in server.copies]
        await bench.after(wait)

        assert 60.0 == pytest.approx(wait)
        assert [(A, C)] == at_once
        assert [(A, C), (B,)] == [copy.recipients for copy in server.copies]
        assert 1 == len({copy.payload for copy in server.copies})
        assert 0 == (await bench.delivery.status())["pending"]

    with_server(directory, [("rcpt[1]", reply(450, "later"))], work)


def test_a_deferred_recipient_delays_no_other_and_is_not_pressed(directory: Path) -> None:
    """While its server asks for patience, new alerts wait for it alone."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1, recipients=(A,)))
        await bench.settle()
        await bench.commit(notice(2, recipients=(A, B)), notice(3, recipients=(A,)))
        await bench.settle()
        at_once = [(copy.recipients, message_id(copy.payload)[:5]) for copy in server.copies]
        await bench.after(60.0)

        assert [((B,), "<id-2")] == at_once
        assert ["<id-2", "<id-2", "<id-3", "<id-1"] == [
            message_id(copy.payload)[:5] for copy in server.copies
        ]
        assert 1 == len({copy.payload for copy in server.copies[:2]})

    with_server(directory, [("rcpt[0]", reply(451, "greylisted"))], work)


def test_m12_one_refused_recipient_of_three_fails_for_good(directory: Path) -> None:
    """It is kept as failed, said once, and never tried again."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1, recipients=(A, B, C)))
        with capture_logs() as logs:
            wait = await bench.settle()
        await bench.after(6 * DAY)
        status = await bench.delivery.status()

        assert math.inf == wait
        assert [(A, C)] == [copy.recipients for copy in server.copies]
        assert (0, 1) == (status["pending"], status["failed"])
        assert ["mail failed for good"] == [
            entry["event"] for entry in logs if entry.get("recipient") == B
        ][1:]

    with_server(directory, [("rcpt[1]", reply(550, "no such user"))], work)


def test_m13_a_mail_that_all_refuse_is_kept(directory: Path) -> None:
    """With what the server said, and its bytes, so that it can be sent after all."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1, recipients=(A, B)))
        await bench.settle()
        failed = await bench.state.outbox.failed()
        (past,) = await bench.state.outbox.last_alerts()

        assert [] == server.copies
        assert past.done_at is None
        assert [A, B] == [copy.address for copy in failed]
        assert all("550" in copy.detail for copy in failed)
        assert await bench.state.outbox.payload("<id-1@box.example.com>") is not None

    with_server(directory, [("rcpt", forever(reply(550, "no")))], work)


def large_notice(**changes: Any) -> Notice:
    """Make an alert whose mail is larger than what a mail is cut to."""
    small = notice(1, **changes)
    sample = msgspec.structs.replace(small.alert.first, line="x" * 20_000)
    alert = msgspec.structs.replace(small.alert, line=sample.line, first=sample, last=(sample,) * 9)
    return msgspec.structs.replace(small, alert=alert)


def test_m18_a_mail_that_is_too_large_is_cut_once(directory: Path) -> None:
    """To 8 KiB under the same headers; its repeat after a crash is the short one."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(large_notice())
        await bench.settle()
        [copy] = server.copies
        head, _, body = copy.payload.partition(b"\r\n\r\n")

        assert "<id-1@box.example.com>" == message_id(copy.payload)
        assert b"multipart" not in head
        assert len(body) <= 8_192
        assert "ssh" in text(copy.payload)
        assert 0 == (await bench.delivery.status())["pending"]

    with_server(directory, [("dot", reply(552, "5.3.4 too big"))], work)


def test_m18_a_recipient_whose_mailbox_is_nearly_full_gets_the_short_one(directory: Path) -> None:
    """The others have theirs whole already; nobody waits for anybody."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(large_notice(recipients=(A, B)))
        await bench.settle()

        assert [(A,), (B,)] == [copy.recipients for copy in server.copies]
        assert len(server.copies[1].payload) < len(server.copies[0].payload)
        assert 0 == bench.delivery.failures

    with_server(directory, [("rcpt[1]", reply(552, "5.2.2 over quota"))], work)


def test_m18_a_mail_that_cannot_be_short_enough_is_kept(directory: Path) -> None:
    """It is cut once, then it has failed for good, and that is counted."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(large_notice())
        await bench.settle()
        [failed] = await bench.state.outbox.failed()

        assert [] == server.copies
        assert "552" in failed.detail
        assert 1 == bench.delivery.failures
        commands = [command for session in server.sessions for command in session.commands]
        assert 2 == commands.count("DATA")

    with_server(directory, [("dot", forever(reply(552, "too big")))], work)


@pytest.mark.parametrize("which", ["all", "<id-1@box.example.com>", "id-1@box.example.com", "id-1"])
def test_m13_what_failed_for_good_can_be_retried(directory: Path, which: str) -> None:
    """By any name a person may have for it; another one is not meant."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        await bench.commit(notice(1, recipients=(A,)))
        await bench.settle()
        before = await bench.state.outbox.entries()
        other = await bench.state.outbox.holds("id-2")
        meant = await bench.state.outbox.holds(which)
        bench.clock.passed += 6 * DAY
        await bench.delivery.retry(which)
        await bench.settle()

        assert [("<id-1@box.example.com>", A, "failed", ("ssh",), 1)] == [
            (entry.id, entry.address, entry.status, entry.rules, entry.alerts) for entry in before
        ]
        assert "550" in before[0].detail
        assert (0, 1) == (other, meant)
        assert [(A,)] == [copy.recipients for copy in server.copies]
        assert [] == await bench.state.outbox.entries()

    with_server(directory, [("rcpt[0]", reply(550, "no"))], work)


def test_a_retry_does_not_wait_for_a_server_that_is_left_alone(directory: Path) -> None:
    """A person who asks for it now knows why; what is given up at once is what is five days old."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("connect", "refused")
        await bench.commit(notice(1))
        await bench.settle()
        [waiting] = await bench.state.outbox.entries()
        recorder.failure = None
        await bench.delivery.retry("all")
        await bench.settle()

        assert "pending" == waiting.status
        assert [["id-1"]] == recorder.ids

    with_bench(directory, work)


def test_what_is_dropped_is_never_sent(directory: Path) -> None:
    """Whether it is in a mail or not; what others wait for goes on."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("connect", "refused")
        await bench.commit(notice(1), notice(2), notice(3))
        await bench.settle()
        listed = await bench.state.outbox.entries()
        await bench.delivery.drop("id-1")
        await bench.delivery.drop("id-3")
        recorder.failure = None
        await bench.after(10)

        assert ["pending", "queued", "queued"] == [entry.status for entry in listed]
        assert [["id-2"]] == recorder.ids
        assert 0 == (await bench.state.outbox.counts()).pending

    with_bench(directory, work)


def test_what_the_outbox_cannot_hold_can_still_be_announced(directory: Path) -> None:
    """Once, and kept nowhere; whether it has arrived is known."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        assert await bench.delivery.announce(notice(1))
        recorder.failure = DeliveryError("connect", "refused")
        assert not await bench.delivery.announce(notice(2))
        await bench.settle()

        assert [["id-1"]] == recorder.ids
        assert [] == await bench.state.outbox.last_alerts()

    with_bench(directory, work)


def test_p7_a_sender_that_outlasts_its_deadline_is_known_to_be_stuck(directory: Path) -> None:
    """A library that swallows the cancellation holds up the rest: then no watchdog is fed."""

    async def run() -> None:
        reached, released = asyncio.Event(), asyncio.Event()

        class Stuck(Recorder):
            async def send(
                self, sender: str, recipients: Sequence[str], payload: bytes
            ) -> dict[str, Outcome]:
                reached.set()
                await released.wait()
                return await super().send(sender, recipients, payload)

        async with bench(directory, Stuck()) as place:
            await place.commit(notice(1))
            sending = asyncio.create_task(place.settle())
            await asyncio.wait_for(reached.wait(), 5)
            stuck = []
            for _ in range(4):
                place.clock.passed += 300.0
                stuck.append(place.delivery.is_stuck)
            released.set()
            await asyncio.wait_for(sending, 5)

            assert [False, False, False, True] == stuck
            assert not place.delivery.is_stuck

    asyncio.run(run())


def test_f5_a_flood_that_nobody_takes_off_is_kept_short(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many alerts lines are left out, then all come in one mail with exact numbers."""
    monkeypatch.setattr("alertd.state.outbox.BRIEF_FROM", 10)
    monkeypatch.setattr("alertd.core.mailing.OUTBOX_MAX", 10)

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(*(notice(n) for n in range(1, 12)))
        await bench.commit(*(notice(n) for n in range(12, 31)))
        kept = await bench.state.outbox.notices(range(1, 31))
        await bench.settle()
        [ids] = recorder.ids

        assert [f"line {n}" if n < 12 else "" for n in range(1, 31)] == [
            notice.alert.line for notice in kept
        ]
        assert {f"id-{n}" for n in range(1, 31)} == set(ids)
        assert "ssh: 30 alerts, 180 events" in text(recorder.mails[0][1])

    with_bench(directory, work)


def test_f5_alerts_of_an_outage_of_hours_come_in_one_mail_with_exact_numbers(
    directory: Path,
) -> None:
    """The first one was frozen before anybody knew; its 30 followers say that they are late."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        server.then(("banner", forever(reply(554, "closed for the night"))))
        for number in range(31):
            await bench.commit(notice(number, time=bench.clock.time()))
            await bench.after(240.0)
        before = len(server.copies)
        server.forget()
        await bench.commit(notice(31, time=bench.clock.time()))
        await bench.after(901.0)
        subjects = [str(email.message_from_bytes(c.payload)["Subject"]) for c in server.copies]
        told = [set(re.findall(r"\bid-\d+\b", text(copy.payload))) for copy in server.copies]

        assert 0 == before
        assert [{"id-0"}, {f"id-{n}" for n in range(1, 32)}] == told
        assert "31 alerts while no mail could be sent" in subjects[1]
        assert "ssh: 31 alerts, 186 events" in text(server.copies[1].payload)
        assert "Delayed: no server took mails" in text(server.copies[1].payload)

    with_server(directory, [], work)


def test_a_mailbox_that_is_closed_for_hours_gets_one_mail_and_delays_no_other(
    directory: Path,
) -> None:
    """Only its own alerts wait for it; they are merged when it takes mail again."""

    async def work(bench: Bench, server: ScriptedServer) -> None:
        server.then(("rcpt[0]", reply(451, "over quota")))
        await bench.commit(notice(0, recipients=(A, B)))
        await bench.settle()
        for number in range(1, 4):
            await bench.commit(notice(number, recipients=(A, B)))
            await bench.settle()
        prompt = len(server.copies_for(B))
        errors = [(await bench.delivery.status())["last_error"]]
        await bench.after(7200.0)
        errors.append((await bench.delivery.status())["last_error"])

        assert 4 == prompt == len(server.copies_for(B))
        assert [f"{A} deferred: 451 over quota", None] == errors
        # What has failed least often goes first.
        assert [{"id-1", "id-2", "id-3"}, {"id-0"}] == [
            set(re.findall(r"\bid-\d+\b", text(payload))) for payload in server.copies_for(A)
        ]

    with_server(directory, [], work)


# Mails that are shared.


def test_what_was_late_when_raised_goes_in_one_mail(directory: Path) -> None:
    """While alertd catches up it holds alerts on old events; a new one goes at once."""
    behind = [True]

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(
            *(notice(n, time=990_000.0, raised_at=1_000_000.0) for n in (1, 2, 3)), notice(4)
        )
        wait = await bench.settle()
        while_behind, held = recorder.ids, (await bench.delivery.status())["held"]
        behind.clear()
        await bench.after(0.1)

        assert 0.2 >= wait
        assert ([["id-4"]], 3) == (while_behind, held)
        assert [["id-4"], ["id-1", "id-2", "id-3"]] == recorder.ids

    with_bench(directory, work, is_caught_up=lambda: not behind)


def test_a_single_late_alert_is_an_ordinary_mail(directory: Path) -> None:
    """Its Message-ID is the alert's, and it goes within a fifth of a second."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(notice(1, time=990_000.0, raised_at=1_000_000.0))
        wait = await bench.settle()
        await bench.after(wait)

        assert 0.2 >= wait
        assert ["<id-1@box.example.com>"] == [message_id(payload) for _, payload in recorder.mails]

    with_bench(directory, work)


def test_a_digest_has_exact_numbers_and_all_ids(directory: Path) -> None:
    """100 alerts, 60 mails an hour: 60 mails and one digest of the other 40, a minute later."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(*(notice(n) for n in range(100)))
        wait = await bench.settle()
        at_once = len(recorder.mails)
        await bench.after(wait)
        subject = str(email.message_from_bytes(recorder.mails[-1][1])["Subject"])

        assert (60, 60) == (at_once, round(wait))
        assert 61 == len(recorder.mails)
        assert sorted(f"id-{n}" for n in range(60, 100)) == recorder.ids[-1]
        assert "40 alerts" in subject
        assert 0 == (await bench.delivery.status())["pending"]

    with_bench(directory, work, Settings(max_per_hour=60))


def test_the_hour_is_remembered_across_a_restart(directory: Path) -> None:
    """Restarting is no way to get more mail."""

    async def run() -> None:
        first, second = Recorder(), Recorder()
        settings = Settings(max_per_hour=2)
        async with bench(directory, first, settings) as place:
            await place.commit(*(notice(n) for n in range(4)))
            await place.settle()
        async with bench(directory, second, settings, clock=Clock(1_000_030.0)) as place:
            wait = await place.settle()
            await place.after(wait)

        assert (2, 60) == (len(first.mails), round(wait))
        assert [["id-2", "id-3"]] == second.ids

    asyncio.run(run())


# Reload.


def test_g9_an_address_taken_off_a_rule_gets_nothing_any_more(directory: Path) -> None:
    """Neither what is queued nor what is frozen; others get theirs, other rules keep all."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        recorder.failure = DeliveryError("connect", "Connection refused")
        await bench.commit(
            notice(1, recipients=(A, B)),
            notice(2, recipients=(A,)),
            notice(3, recipients=(A, B)),
            notice(4, recipients=(A,), rule="other"),
            notice(5, recipients=(A,), rule="removed"),
        )
        await bench.settle()
        bench.delivery.reconfigure(Settings(), recorder)
        await bench.delivery.retain_recipients({"ssh": [B, C], "other": [A]})
        recorder.failure = None
        await bench.settle()

        assert [
            ((B,), "<id-1"),
            ((B,), "<id-3"),
            ((A,), "<id-4"),
            ((A,), "<id-5"),
        ] == [(recipients, message_id(payload)[:5]) for recipients, payload in recorder.mails]
        assert f"To: {B}" in recorder.mails[1][1].decode()
        assert 0 == (await bench.delivery.status())["pending"]

    with_bench(directory, work)


def test_g10_the_mail_in_flight_ends_on_the_old_server(directory: Path) -> None:
    """The next one goes to the new one, at once."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Recorder):
        async def send(
            self, sender: str, recipients: Sequence[str], payload: bytes
        ) -> dict[str, Outcome]:
            reached.set()
            await go_on.wait()
            return await super().send(sender, recipients, payload)

    async def run() -> None:
        old, new = Slow(), Recorder()
        async with bench(directory, old) as place:
            await place.commit(notice(1), notice(2))
            running = asyncio.create_task(place.settle())
            await asyncio.wait_for(reached.wait(), 5)
            place.delivery.reconfigure(Settings(), new)
            go_on.set()
            await running

        assert ([["id-1"]], [["id-2"]]) == (old.ids, new.ids)
        assert (1, 1) == (old.closed, new.closed)

    asyncio.run(run())


# A disk that is full.


def test_c8_committed_mail_goes_though_nothing_can_be_written(directory: Path) -> None:
    """What became of it is written down when there is space again."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(notice(1), notice(2))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            with capture_logs() as logs:
                wait = await bench.settle()
            with pytest.raises(StateError):
                await bench.state.commit(Change(journal=b"1"))
            during = await bench.state.outbox.counts()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sent = recorder.ids
        await bench.after(wait)

        assert [["id-1"], ["id-2"]] == sent == recorder.ids
        assert 2 == during.pending
        assert 0 == (await bench.delivery.status())["pending"]
        assert ["outcome not recorded", "mail sent", "mail sent"] == [
            entry["event"] for entry in logs
        ]

    with_bench(directory, work)


def test_c8_who_comes_later_gets_the_stored_bytes_though_nothing_can_be_written(
    directory: Path,
) -> None:
    """White box: one address has to wait, the other has the mail; then the disk is full."""
    early, late = "a@example.com", "b@example.com"

    async def work(bench: Bench, recorder: Recorder) -> None:
        bench.delivery._mailings.close(late, math.inf)
        await bench.commit(notice(1, recipients=(early, late)))
        await bench.settle()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            bench.delivery._mailings.open()
            with capture_logs():  # the limit holds for the output, too
                await bench.after(100.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        assert [(early,), (late,)] == [addresses for addresses, _ in recorder.mails]
        assert recorder.mails[0][1] == recorder.mails[1][1]

    with_bench(directory, work)


def test_an_outcome_is_written_down_soon_even_while_the_server_is_left_alone(
    directory: Path,
) -> None:
    """A pause of minutes for one trouble must not prolong the other."""

    async def work(bench: Bench, recorder: Recorder) -> None:
        await bench.commit(notice(1))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            recorder.failure = DeliveryError("login", "535 no")
            with capture_logs():  # the limit holds for the output, too
                wait = await bench.settle()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        later = await bench.after(wait)

        assert (1.0, 59.0) == pytest.approx((wait, later))
        assert ["<id-1@box.example.com>"] == [
            mail.message_id for mail in await bench.state.outbox.pending()
        ]

    with_bench(directory, work)


# The loop.


def test_a_commit_wakes_the_loop_and_an_idle_connection_is_closed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` sends what `wake` announces, lets go of the server after a while, and drains."""
    monkeypatch.setattr("alertd.delivery.loop._IDLE", 0.01)
    closed = asyncio.Event()

    class Closing(Recorder):
        async def close(self) -> None:
            await super().close()
            closed.set()

    async def run() -> None:
        recorder = Closing()
        async with bench(directory, recorder) as place:
            running = asyncio.create_task(place.delivery.run())
            await place.commit(notice(1))
            await asyncio.wait_for(closed.wait(), 5)
            await place.delivery.drain(5.0)
            await asyncio.wait_for(running, 5)

        assert [["id-1"]] == recorder.ids

    asyncio.run(run())


def test_p3_a_mail_that_hangs_at_the_end_stays_pending(directory: Path) -> None:
    """Draining has a deadline; the next start sends the same bytes under the same id."""

    async def run() -> None:
        recorder = Recorder()
        reached = asyncio.Event()

        async def silent(session: Session, polite: str) -> None:
            reached.set()
            await stall()(session, polite)

        async with ScriptedServer([("dot", silent)]) as server:
            notifier = SmtpNotifier(host="127.0.0.1", port=server.port, security="none")
            async with bench(directory, notifier) as place:
                await place.commit(notice(1))
                running = asyncio.create_task(place.delivery.run())
                await asyncio.wait_for(reached.wait(), 5)
                with capture_logs() as logs:
                    await place.delivery.drain(0.05)
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                frozen = await place.state.outbox.payload("<id-1@box.example.com>")
        async with bench(directory, recorder, clock=Clock(1_500_000.0)) as place:
            await place.settle()

        assert "mail in flight left for the next start" in [entry["event"] for entry in logs]
        assert [((OPS,), frozen)] == recorder.mails

    asyncio.run(run())


# kill -9.

CRASHING = """
import asyncio, os, signal, sys
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace

from alertd.delivery import Delivery
from alertd.smtp import SmtpNotifier
from alertd.state import Change, State
from notices import notice

directory, port, point = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def reached(name):
    if name == point:
        os.kill(os.getpid(), signal.SIGKILL)

class Notifier(SmtpNotifier):
    async def send(self, sender, recipients, payload):
        reached("frozen")
        outcomes = await super().send(sender, recipients, payload)
        reached("250")
        return outcomes

async def main():
    state = await State.open(directory)
    loaded = await state.load()
    # The same alert is found again unless the position was committed with it.
    if not loaded.files:
        await state.commit(Change(files=[(b"file", b"1")], notices=[notice(1)]))
    reached("committed")
    delivery = Delivery(
        state.outbox,
        Notifier(host="127.0.0.1", port=port, security="none"),
        SimpleNamespace(sender="alertd@example.com", join_older_than=0.0, max_per_hour=0),
        host="box",
        timezone=UTC,
    )
    while not await delivery.step():
        pass
    reached("marked")
    await delivery.drain(5.0)
    await state.close()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("point", "copies"), [("committed", 1), ("frozen", 1), ("250", 2), ("marked", 1)]
)
def test_c2_a_kill_loses_nothing_and_repeats_only_what_is_uncertain(
    directory: Path, point: str, copies: int
) -> None:
    """Between 250 and the mark there is a repeat, byte-identical; nowhere else is there one."""

    async def start(port: int, point: str) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CRASHING, directory, str(port), point),
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        return await asyncio.wait_for(process.wait(), 30)

    async def run() -> None:
        async with ScriptedServer() as server:
            codes = [await start(server.port, point), await start(server.port, "nowhere")]
            codes.append(await start(server.port, "nowhere"))

            assert [-9, 0, 0] == codes
            assert copies == len(server.copies)
            assert 1 == len({copy.payload for copy in server.copies})
            assert "<id-1@box>" == message_id(server.copies[0].payload)
        async with bench(directory, Recorder()) as place:
            assert ["id-1"] == [alert.id for alert in await place.state.outbox.last_alerts()]
            assert 0 == (await place.state.outbox.counts()).pending

    asyncio.run(run())
