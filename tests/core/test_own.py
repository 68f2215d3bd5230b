"""alertd never rings about itself by accident, and nobody hides behind its name."""

from __future__ import annotations

import pytest
from core.examples import match

from alertd.core.own import OwnLines, domain

ID, JOINED = "0123456789abcdef0123", "0123456789abcdef" * 2
ALERTD = (
    "Nov 24 11:36:52 web1 alertd[123]: alert raised rule=x",
    "Nov  4 11:36:52 web1 alertd: alert raised",
    "<30>Nov 24 11:36:52 web1 alertd[123]: alert raised",
    "2025-11-24T11:36:52.123456+00:00 web1 alertd[9]: alert raised",
    "<30>1 2025-11-24T11:36:52Z web1 alertd 123 - - alert raised",
    "1 2025-11-24T11:36:52Z web1 alertd - - - alert raised",
)
MAIL = (
    f"Nov 24 11:36:52 mx postfix/cleanup[99]: 4F2: message-id=<{ID}@web1>",
    f"Nov 24 11:36:52 mx sendmail[99]: 5AB: from=<a@b>, msgid=<{JOINED}@web1>, relay=localhost",
    f"2025-11-24T11:36:52+00:00 mx rspamd[1]: <x>; id: <{ID}@web1>, from: <a@b>",
    f"2025-11-24 11:36:52 1rVb3X-0004Qk-2z <= a@b H=localhost id={ID}@web1",
    f"2025-11-24 11:36:52 [77] 1rVb3X-000000004Qk-2zAB <= a@b H=localhost id={ID}@web1",
)
OTHERS = (
    "Nov 24 11:36:52 web1 sshd[5]: Failed password for alertd[1]: from 192.0.2.1",
    "Nov 24 11:36:52 web1 systemd[1]: alertd.service: Failed with result 'watchdog'.",
    "Nov 24 11:36:52 web1 alertd-exporter[5]: ERROR",
    "alertd[1]: ERROR, in a log that no syslog wrote",
    "ERROR talking to alertd",
    f"Nov 24 11:36:52 web1 nginx[5]: GET / agent=<{ID}@web1>",
    f'192.0.2.1 - - [24/Nov/2025] "GET / postfix/cleanup[1]: message-id=<{ID}@web1>"',
    f"Nov 24 11:36:52 mx postfix/cleanup[99]: 4F2: message-id=<{ID}@web2>",
    f"Nov 24 11:36:52 mx postfix/cleanup[99]: 4F2: message-id=<{ID}@web1.example.com>",
    f"Nov 24 11:36:52 mx postfix/cleanup[99]: 4F2: message-id=<a{ID}@web1>",
    "Nov 24 11:36:52 mx postfix/smtpd[99]: warning: user@web1: SASL login failed",
)


@pytest.mark.parametrize("line", [*ALERTD, *MAIL])
def test_what_is_ours_is_known_by_who_wrote_it(line: str) -> None:
    """Alertd's own program, in every form of syslog, and mail servers about its mails."""
    assert line in OwnLines("web1")


@pytest.mark.parametrize("line", OTHERS)
def test_what_anybody_can_write_into_a_line_hides_nothing(line: str) -> None:
    """A user name, a user agent or a Message-ID of another machine is not ours."""
    assert line not in OwnLines("web1")


@pytest.mark.parametrize("host", ["web1", ""])
def test_only_matches_of_our_lines_are_left_out(host: str) -> None:
    """Those that stay keep their order."""
    own = OwnLines(host)
    matches = [match(0, line=line) for line in ("nothing", *ALERTD, *OTHERS, *MAIL)]

    assert [one for one in matches if one.line not in own] == own.left_out_of(matches)


def test_without_a_host_no_mail_is_ours() -> None:
    """Who drives the core without a name has sent none."""
    assert MAIL[0] not in OwnLines("")
    assert ALERTD[0] in OwnLines("")


@pytest.mark.parametrize(
    ("host", "expected"), [("web 1", "web-1"), ("a..b", "a.b"), ("…", "localhost")]
)
def test_a_host_name_becomes_the_domain_of_message_ids(host: str, expected: str) -> None:
    """Whatever the machine is called."""
    assert expected == domain(host)
