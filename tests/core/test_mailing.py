"""Which alerts share a mail, and when: by address, by the clock, and never lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from alertd.core import mailing
from alertd.core.mailing import HOUR, Mailing, Mailings

if TYPE_CHECKING:
    import pytest

A, B = "a@example.com", "b@example.com"


def lanes(*, join_older_than: float = 600.0, max_per_hour: int = 0) -> Mailings:
    return Mailings(join_older_than=join_older_than, max_per_hour=max_per_hour)


def gone(mailings: Mailings, now: float, *, is_caught_up: bool = True) -> list[Mailing]:
    """Take all that may go at ``now``."""
    taken = []
    while isinstance(found := mailings.next(now, is_caught_up=is_caught_up), Mailing):
        mailings.take(found, now)
        taken.append(found)
    assert found > now
    return taken


def test_nothing_waits_for_nothing() -> None:
    """Without alerts there is no time at which to look again."""
    assert math.inf == lanes().next(0.0, is_caught_up=True)


def test_alerts_go_one_by_one_oldest_first() -> None:
    """An ordinary alert is a mail of its own, to all of its addresses at once."""
    mailings = lanes()
    mailings.add(1, age=0.0, addresses=(A, B), now=0.0)
    mailings.add(2, age=0.0, addresses=(B,), now=0.0)
    mailings.add(3, age=600.0, addresses=(A,), now=0.0)

    assert [
        Mailing("alert", (1,), (A, B)),
        Mailing("alert", (2,), (B,)),
        Mailing("alert", (3,), (A,)),
    ] == gone(mailings, 0.0)


def test_late_alerts_share_one_mail_once_nothing_is_behind() -> None:
    """What was older than `join_older_than` when raised waits until alertd has caught up."""
    mailings = lanes()
    for number in (1, 2, 3):
        mailings.add(number, age=601.0, addresses=(A,), now=float(number))
    behind = gone(mailings, 3.0, is_caught_up=False)

    assert [] == behind
    assert 3 == mailings.held()
    assert [Mailing("catching up", (1, 2, 3), (A,))] == gone(mailings, 3.2)
    assert 0 == mailings.held()


def test_a_late_alert_goes_within_a_fifth_of_a_second_when_nothing_is_behind() -> None:
    """A single one needs no company."""
    mailings = lanes()
    mailings.add(1, age=601.0, addresses=(A,), now=10.0)

    assert 10.1 == mailings.next(10.0, is_caught_up=True)
    assert [Mailing("catching up", (1,), (A,))] == gone(mailings, 10.1)


def test_late_alerts_do_not_wait_longer_than_a_minute() -> None:
    """Catching up may take hours; the first of them was raised 60 s ago, so they go."""
    mailings = lanes()
    mailings.add(1, age=601.0, addresses=(A,), now=0.0)
    mailings.add(2, age=601.0, addresses=(A,), now=59.0)

    assert 59.2 == mailings.next(59.0, is_caught_up=False)
    assert [Mailing("catching up", (1, 2), (A,))] == gone(mailings, 60.0, is_caught_up=False)


def test_a_prompt_alert_overtakes_late_ones_that_wait() -> None:
    """What happens now must not wait for what happened then."""
    mailings = lanes()
    mailings.add(1, age=601.0, addresses=(A,), now=0.0)
    mailings.add(2, age=0.0, addresses=(A,), now=0.0)

    assert [Mailing("alert", (2,), (A,))] == gone(mailings, 0.0, is_caught_up=False)
    assert 1 == mailings.held()


def test_joining_is_off_at_zero() -> None:
    """`join_older_than = "0s"` sends every alert by itself, however old."""
    mailings = lanes(join_older_than=0.0)
    mailings.add(1, age=1e9, addresses=(A,), now=0.0)

    assert [Mailing("alert", (1,), (A,))] == gone(mailings, 0.0, is_caught_up=False)


def test_what_exceeds_the_mails_of_an_hour_goes_in_one_digest() -> None:
    """
    60 mails go, the other 40 alerts share one a minute later; another address is not concerned.

        0s          60s                960s             3600s
        60 mails    digest of 40       digest of 5      mails again
    """
    mailings = lanes(max_per_hour=60)
    for number in range(100):
        mailings.add(number, age=0.0, addresses=(A,), now=0.0)
    mailings.add(100, age=0.0, addresses=(B,), now=0.0)
    at_once = gone(mailings, 0.0)

    assert 61 == len(at_once)
    assert Mailing("alert", (100,), (B,)) == at_once[-1]
    assert 40 == mailings.held()
    assert [] == gone(mailings, 59.9)
    assert [Mailing("digest", tuple(range(60, 100)), (A,))] == gone(mailings, 60.0)
    for number in range(101, 106):
        mailings.add(number, age=601.0 if number == 103 else 0.0, addresses=(A,), now=70.0)
    assert 960.0 == mailings.next(70.0, is_caught_up=True)
    assert [Mailing("digest", tuple(range(101, 106)), (A,))] == gone(mailings, 960.0)
    mailings.add(106, age=0.0, addresses=(A,), now=3601.0)
    assert [Mailing("alert", (106,), (A,))] == gone(mailings, 3601.0)
    assert 3 == mailings.sent_last_hour(3601.0)


def test_an_address_that_has_had_its_mails_does_not_hold_up_the_others_of_an_alert() -> None:
    """The limit is each address's own."""
    mailings = lanes(max_per_hour=1)
    mailings.count(A, -10.0)
    mailings.add(1, age=0.0, addresses=(A, B), now=0.0)

    assert [Mailing("alert", (1,), (B,))] == gone(mailings, 0.0)
    assert [Mailing("digest", (1,), (A,))] == gone(mailings, 60.0)


def test_the_limit_survives_a_restart() -> None:
    """Mails and digests that an earlier run has sent are counted."""
    mailings = lanes(max_per_hour=2)
    mailings.count(A, -700.0)
    mailings.count(A, -600.0, is_digest=True)
    mailings.add(1, age=0.0, addresses=(A,), now=0.0)

    assert 300.0 == mailings.next(0.0, is_caught_up=True)


def test_a_digest_has_a_size_that_a_server_takes() -> None:
    """What is left over goes in the next mail, at once."""
    mailings = lanes(max_per_hour=1)
    mailings.count(A, 0.0)
    most = mailing.MOST_IN_ONE
    for number in range(most + 1):
        mailings.add(number, age=0.0, addresses=(A,), now=0.0)
    mailings.next(0.0, is_caught_up=True)

    assert [most, 1] == [len(found.notices) for found in gone(mailings, 60.0)]


def test_a_closed_address_gets_nothing_new() -> None:
    """A server that asked for patience is given it, for that address only."""
    mailings = lanes()
    mailings.close(A, 60.0)
    mailings.add(1, age=0.0, addresses=(A, B), now=0.0)

    assert [Mailing("alert", (1,), (B,))] == gone(mailings, 0.0)
    assert 60.0 == mailings.next(0.0, is_caught_up=True)
    assert [Mailing("alert", (1,), (A,))] == gone(mailings, 60.0)


def test_other_settings_count_at_once() -> None:
    """A reload that lifts the limit lets everything go."""
    mailings = lanes(max_per_hour=1)
    mailings.count(A, 0.0)
    mailings.add(1, age=700.0, addresses=(A,), now=0.0)
    mailings.add(2, age=0.0, addresses=(A,), now=0.0)
    held = mailings.next(0.0, is_caught_up=True)
    mailings.reconfigure(join_older_than=0.0, max_per_hour=0)

    assert 60.0 == held
    assert [(2,), (1,)] == [found.notices for found in (*gone(mailings, 0.0), *gone(mailings, 0.1))]


def test_what_is_forgotten_is_gone_but_still_counted() -> None:
    """The lanes can be filled anew from the outbox."""
    mailings = lanes()
    mailings.add(1, age=0.0, addresses=(A,), now=0.0)
    mailings.add(2, age=700.0, addresses=(A,), now=0.0)
    mailings.count(A, 0.0)
    mailings.clear()

    assert math.inf == mailings.next(0.0, is_caught_up=True)
    assert 1 == mailings.sent_last_hour(0.0)


@given(
    limit=st.integers(0, 3),
    alerts=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 30.0, 400.0, 2000.0]),
            st.sampled_from([0.0, 700.0]),
            st.sampled_from([(A,), (B,), (A, B)]),
            st.booleans(),
        ),
        max_size=40,
    ),
)
def test_every_alert_reaches_every_address_once_and_no_hour_has_too_many_mails(
    limit: int, alerts: list[tuple[float, float, tuple[str, ...], bool]]
) -> None:
    """Whatever comes when: nothing is lost or doubled, and only digests may exceed the limit."""
    mailings = lanes(max_per_hour=limit)
    now = 0.0
    sent: list[tuple[float, Mailing]] = []
    for number, (pause, age, addresses, is_caught_up) in enumerate(alerts, 1):
        now += pause
        mailings.add(number, age=age, addresses=addresses, now=now)
        sent += ((now, found) for found in gone(mailings, now, is_caught_up=is_caught_up))
    while (again := mailings.next(now, is_caught_up=False)) != math.inf:
        assert isinstance(again, float)
        now = again
        sent += ((now, found) for found in gone(mailings, now, is_caught_up=False))

    assert sorted(
        (number, address)
        for number, (_, _, addresses, _) in enumerate(alerts, 1)
        for address in addresses
    ) == sorted(
        (number, address)
        for _, found in sent
        for number in found.notices
        for address in found.addresses
    )
    for address in (A, B):
        times = [(at, found.reason) for at, found in sent if address in found.addresses]
        for index, (at, reason) in enumerate(times):
            if reason != "digest" and limit:
                assert limit > sum(at - HOUR < earlier for earlier, _ in times[:index])


def test_f5_a_flood_beyond_outbox_max_shares_mails_whatever_the_limits_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After hours without a server nobody wants them one by one; not one is left out."""
    monkeypatch.setattr(mailing, "OUTBOX_MAX", 5)
    monkeypatch.setattr(mailing, "MOST_IN_ONE", 4)
    mailings = lanes(max_per_hour=0)
    for number in range(1, 10):
        mailings.add(number, age=0.0, addresses=(A,), now=0.0)
    mailings.add(10, age=0.0, addresses=(B,), now=0.0)

    assert [
        Mailing("digest", (1, 2, 3, 4), (A,)),
        Mailing("digest", (5, 6, 7, 8), (A,)),
        Mailing("digest", (9,), (A,)),
        Mailing("alert", (10,), (B,)),
    ] == gone(mailings, 0.0)


def test_what_waited_for_a_server_shares_one_mail_once_it_is_back() -> None:
    """Alerts that were prompt, but could not go for longer than `join_older_than`: an outage."""
    mailings = lanes()
    for number in range(1, 5):
        mailings.add(number, age=0.0, addresses=(A,), now=100.0 * number)
    mailings.add(5, age=0.0, addresses=(A,), now=1000.0)
    mailings.add(6, age=0.0, addresses=(B,), now=0.0)

    assert [
        Mailing("outage", (1, 2, 3), (A,)),
        Mailing("alert", (4,), (A,)),
        Mailing("alert", (5,), (A,)),
        Mailing("alert", (6,), (B,)),
    ] == gone(mailings, 1000.0)


def test_what_an_earlier_run_could_not_send_has_waited_too() -> None:
    """A restart does not make an alert prompt; without joining each is a mail of its own."""
    joined, apart = lanes(), lanes(join_older_than=0.0)
    for mailings in (joined, apart):
        for number in (1, 2):
            mailings.add(number, age=0.0, addresses=(A,), now=0.0, since=-601.0)

    assert ["outage"] == [found.reason for found in gone(joined, 0.0)]
    assert ["alert", "alert"] == [found.reason for found in gone(apart, 0.0)]


def test_a_mail_after_an_outage_has_a_size_that_a_server_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left goes in the next one, and counts for the hour like any other mail."""
    monkeypatch.setattr(mailing, "MOST_IN_ONE", 2)
    mailings = lanes()
    for number in range(1, 6):
        mailings.add(number, age=0.0, addresses=(A,), now=0.0)

    assert [(1, 2), (3, 4), (5,)] == [found.notices for found in gone(mailings, 601.0)]
    assert 3 == mailings.sent_last_hour(601.0)


def test_a_person_may_open_every_lane() -> None:
    """`alertd outbox --retry` does not wait for a server that asked for patience."""
    mailings = lanes()
    mailings.add(1, age=0.0, addresses=(A,), now=0.0)
    mailings.close(A, 100.0)
    assert 100.0 == mailings.next(0.0, is_caught_up=True)
    mailings.open()

    assert [Mailing("alert", (1,), (A,))] == gone(mailings, 0.0)
