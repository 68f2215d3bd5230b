"""Who was told that something is too much is told when it is over, once, in the same thread."""

from __future__ import annotations

import asyncio
import email
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from living import alertd, append, mailbox, text_of
from notices import notice
from test_delivery import OPS, A, B, Recorder, Settings, bench, text

from alertd.cli import main
from alertd.core.events import End
from alertd.smtp import DeliveryError, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import Message
    from pathlib import Path

    import pytest

    from alertd.core.events import Notice

RULES = """
[source.app]
paths = ["{log}"]
format = "json"
start_at = "beginning"

[rule.error-share]
kind = "ratio"
match = {{ status = {{ at_least = 500 }} }}
group_by = "host"
more_than = "50%"
min_total = 2
within = "1m"
cooldown = "30s"
description = "Look at the dashboard."
"""
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(seconds: int, status: int) -> str:
    """Write down a request."""
    time = f"{START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    return json.dumps({"ts": time, "host": "web-1", "status": status})


TROUBLE = [line(0, 500), *(line(second, 503) for second in range(1, 40)), line(40, 200)]
CALM = [line(second, 200) for second in range(90, 120)]


def over(number: int, ends: int, **changes: object) -> Notice:
    """Make the notice that what another one told is over."""
    told = notice(number)
    began = told.alert.time - 100
    end = End(f"id-{ends}", "more than 5 events in 1 minute", began, began + 40, 7, 2, 0.0)
    alert = msgspec.structs.replace(told.alert, key=notice(ends).alert.key, end=end)
    return msgspec.structs.replace(told, alert=alert, **changes)


def sent(box: Recorder) -> list[Message]:
    """Read what arrived."""
    return [email.message_from_bytes(payload) for _, payload in box.mails]


def test_an_end_is_mailed_once_in_the_thread_of_its_alert(tmp_path: Path) -> None:
    """A kill between the two loses nothing and repeats nothing; a replay says the same."""
    log = tmp_path / "app.log"
    log.touch()
    with (
        mailbox() as box,
        alertd(tmp_path, RULES.format(log=log), box.port, 'join_older_than = "0s"') as daemon,
    ):
        daemon.start()
        append(log, *TROUBLE)
        first, second = box.wait_for(2)[:2]
        daemon.kill()
        daemon.start()
        append(log, *CALM)
        daemon.wait_until_read(log)
        daemon.kill()
        daemon.start()
        daemon.wait_until_read(log)
        daemon.stop()
    third = next(mail for mail in box.mails if mail["X-Alertd-Resolves"])

    # Whoever was killed before it wrote down that a mail went sends the same once more.
    assert 3 == len({mail["Message-ID"] for mail in box.mails}) == len(set(box.bytes))
    assert f"Resolved: {first['Subject']}" == third["Subject"]
    assert first["Message-ID"] == third["In-Reply-To"]
    assert f"{first['References']} {first['Message-ID']}" == third["References"]
    assert f"<{third['X-Alertd-Resolves']}@" == str(first["Message-ID"])[:22]
    assert first["References"] == second["References"]
    assert not {"Priority", "X-Priority", "Importance"} & {*third.keys()}
    text = " ".join(text_of(third).split())
    assert "It lasted 38 seconds, from Sun 1 Mar 2026, 12:00:01 UTC to 12:00:39." in text
    assert "Nothing like it in the 1 minute since." in text
    assert "It was so at 39 events: 2 alerts, 37 hidden by the cooldown." in text
    assert "At worst, the share was 100 %." in text


def test_a_replay_marks_an_end_and_does_not_count_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For people and for programs; the timeline shows alerts."""
    log = tmp_path / "app.log"
    append(log, *TROUBLE, *CALM)
    with mailbox() as box, alertd(tmp_path, RULES.format(log=log), box.port) as daemon:
        config = str(daemon.config)

    assert 0 == main(["replay", "--config", config, "--json"])
    printed = capsys.readouterr()
    first, _, third = (json.loads(one) for one in printed.out.splitlines())
    assert 0 == main(["replay", "--config", config, "--timeline"])
    told = capsys.readouterr().out

    assert "2 alerts;" in printed.err
    assert {
        "resolves": first["id"],
        "began": "2026-03-01T12:00:01Z",
        "ended": "2026-03-01T12:00:39Z",
        "time": "2026-03-01T12:01:39Z",
        "events": 39,
        "alerts": 2,
        "worst": 100.0,
    }.items() <= third.items()
    assert first["id"] != third["id"]
    assert "resolved: more than 50 % in 1 minute, since 2026-03-01" in told
    assert "error-share" in told
    assert "39 lines, 2 alerts" not in told
    assert "71 lines, 2 alerts" in told


def test_nothing_is_said_where_nobody_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With ``resolve = false`` there are the same alerts, and nothing besides."""
    log = tmp_path / "app.log"
    append(log, *TROUBLE, *CALM)
    rules = RULES.format(log=log)
    with mailbox() as box, alertd(tmp_path, rules, box.port) as daemon:
        config = str(daemon.config)
        main(["replay", "--config", config, "--json"])
        loud = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
        daemon.configure(f"{rules}resolve = false\n")
        main(["replay", "--config", config, "--json"])
        quiet = [json.loads(one) for one in capsys.readouterr().out.splitlines()]

    assert 3 == len(loud)
    assert [one for one in loud if "resolves" not in one] == quiet


def test_after_an_outage_an_alert_still_goes_before_its_end(tmp_path: Path) -> None:
    """Both go, in order, and the second answers the first."""
    box = Recorder(failure=DeliveryError("connect", "refused"))

    async def deliver() -> None:
        async with bench(tmp_path, box) as subject:
            await subject.commit(notice(1))
            await subject.settle()
            await subject.commit(over(2, ends=1))
            await subject.settle()
            box.failure = None
            await subject.after(60)

    asyncio.run(deliver())
    first, second = sent(box)

    assert "Resolved: " + str(first["Subject"]) == second["Subject"]
    assert first["Message-ID"] == second["In-Reply-To"]


def test_an_alert_that_was_put_off_goes_before_its_end(tmp_path: Path) -> None:
    """What has never failed goes first, but an end does not come before what it ends."""

    class Greylisting(Recorder):
        """Puts off the first mail."""

        async def send(
            self, sender: str, recipients: Sequence[str], payload: bytes
        ) -> dict[str, Outcome]:
            """Answer."""
            if not self.closed:
                self.closed += 1
                return {recipient: Outcome("deferred", "451 later") for recipient in recipients}
            return await super().send(sender, recipients, payload)

    box = Greylisting()

    async def deliver() -> None:
        async with bench(tmp_path, box) as subject:
            await subject.commit(notice(1))
            await subject.settle()
            await subject.commit(over(2, ends=1))
            await subject.settle()
            await subject.after(120)

    asyncio.run(deliver())

    assert [False, True] == [str(mail["Subject"]).startswith("Resolved") for mail in sent(box)]


def test_an_end_waits_with_an_alert_that_is_held_back(tmp_path: Path) -> None:
    """While alertd catches up the two share a mail, which counts them apart."""
    box = Recorder()

    async def deliver() -> None:
        async with bench(tmp_path, box) as subject:
            await subject.commit(notice(1, raised_at=1_010_000.0), over(2, ends=1))
            await subject.settle()
            await subject.after(1)

    asyncio.run(deliver())
    [mail] = sent(box)

    assert "1 alert and 1 resolution while alertd was not reading" in str(mail["Subject"])
    assert "ssh: 1 alert and 1 resolution, 6 events" in text(box.mails[0][1])
    assert "ssh (resolved)" in text(box.mails[0][1])


def test_an_end_answers_each_mail_that_its_alert_was_in(tmp_path: Path) -> None:
    """One had it alone, the other in a digest; an end alone is counted as such."""
    box = Recorder()
    both = (A, B)

    async def deliver() -> None:
        async with bench(tmp_path, box, Settings(max_per_hour=1)) as subject:
            await subject.commit(notice(1, recipients=(A,)))
            await subject.settle()
            await subject.commit(notice(2, recipients=both), notice(3, recipients=(A,)))
            await subject.settle()
            await subject.after(120)
            await subject.after(7200)
            await subject.commit(over(4, ends=2, recipients=both), over(5, 6, recipients=(A,)))
            await subject.settle()
            await subject.after(120)

    asyncio.run(deliver())
    mails = sent(box)
    answers = [mail for mail in mails if str(mail["Subject"]).startswith("Resolved")]
    asked = [mail for mail in mails if "id-2" in text(mail.as_bytes())]

    assert [str(mail["In-Reply-To"]).split() for mail in answers] == [
        [str(mail["Message-ID"]) for mail in asked if mail not in answers]
    ]
    assert 2 == len(str(answers[0]["In-Reply-To"]).split())
    assert "1 resolution beyond the hourly limit" in str(mails[-1]["Subject"]) or (
        "Resolved" in str(mails[-1]["Subject"])
    )


def test_an_end_whose_alert_nobody_knows_any_more_stays_in_the_thread(tmp_path: Path) -> None:
    """Mails of a rule and key are a thread even where no mail is known."""
    box = Recorder()

    async def deliver() -> None:
        async with bench(tmp_path, box) as subject:
            await subject.commit(over(2, ends=1), notice(1))
            await subject.settle()

    asyncio.run(deliver())
    end, alert = sent(box)

    assert end["References"] == alert["References"] == end["In-Reply-To"]
    assert OPS in str(end["To"])
