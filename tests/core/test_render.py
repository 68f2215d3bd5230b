from __future__ import annotations

import base64
import json
import re
from datetime import UTC, timedelta, timezone
from email import message_from_bytes, policy
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.core import wording
from alertd.core.complaints import Trouble, as_notice
from alertd.core.escape import visible
from alertd.core.events import Alert, Notice, Sample
from alertd.core.render import (
    Mail,
    alert_as_json,
    cut_mail,
    mails,
    render_alert,
    render_fallback,
    render_joined,
    render_test,
)
from alertd.core.render.message import HeaderMismatchError, build, mailboxes, words

if TYPE_CHECKING:
    from datetime import tzinfo
    from email.message import EmailMessage

BERLIN = ZoneInfo("Europe/Berlin")
SENDER = "alertd <alerts@example.com>"
# Tue 10 Dec 2024, 06:56:33 in Berlin.
RANG_AT = 1_733_810_193.0

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "List-Id",
    "X-Alertd-Rule",
    "MIME-Version",
    "Content-Type",
]

FAILED = "Failed password for root from 203.0.113.9 port {} ssh2"


def sample(ago: float, offset: int, *, path: str = "/var/log/auth.log") -> Sample:
    """A line of an sshd, its message marked as the part that matched."""
    head = f"Dec 10 06:5{6 if ago <= 33 else 5}:{(93 - int(ago)) % 60:02d} web-1 sshd[24200]: "
    line = head + FAILED.format(38_900 + offset)
    return Sample(RANG_AT - ago, path, offset, line, (len(head), len(line) - len(" ssh2")))


LAST = sample(0, 500)
ALERT = Alert(
    id="3f9c1d2e7a6b4c5d8e9f0a1b2c3d4e5f",
    rule="ssh-bruteforce",
    key=(("ip", "203.0.113.9"),),
    time=RANG_AT,
    count=6,
    limit=5,
    within=600.0,
    since=RANG_AT - 47,
    since_last=1_204,
    previous=RANG_AT - 3_780,
    path=LAST.path,
    offset=LAST.offset,
    line=LAST.line,
    first=sample(47, 0),
    last=(sample(21, 300), sample(12, 400), LAST),
    histogram=(0,) * 16 + (1, 0, 1, 4),
)
NOTICE = Notice(
    alert=ALERT,
    recipients=("ops@example.com", "Night Shift <night@example.com>"),
    severity="critical",
    description="Ban the address:\n  fail2ban-client set sshd banip ADDRESS\n\nThen call Robin.",
    raised_at=RANG_AT + 1,
)


def changed(**attributes: Any) -> Notice:
    """The usual notice with an alert that differs."""
    return msgspec.structs.replace(NOTICE, alert=msgspec.structs.replace(ALERT, **attributes))


def render(
    notice: Notice = NOTICE,
    *,
    host: str = "web-1",
    sender: str = SENDER,
    zone: tzinfo = BERLIN,
    sent_at: float = RANG_AT + 2,
) -> Mail:
    return render_alert(notice, host=host, sender=sender, timezone=zone, sent_at=sent_at)


def parsed(mail: Mail) -> EmailMessage:
    return message_from_bytes(mail.payload, policy=policy.default)


def part(mail: Mail, kind: str) -> str:
    """One part as a mail client shows it."""
    body = parsed(mail).get_body((kind,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


def text_of(mail: Mail) -> str:
    return part(mail, "plain")


def html_of(mail: Mail) -> str:
    return part(mail, "html")


class Reader(HTMLParser):
    """
    What a person sees of HTML, and of what it is made.

    Attributes:
        tags: Names of all elements.
        attributes: Names of all attributes.
        cells: Heights of coloured cells.
        marks: What is marked.
        text: What is shown.
    """

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.cells: list[int] = []
        self.marks: list[str] = []
        self.text = ""
        self._is_marked = False
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what there is."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        values = dict(attrs)
        if "height" in values and values.get("bgcolor"):
            self.cells.append(int(values["height"] or 0))
        self._is_marked = tag == "mark"

    def handle_endtag(self, tag: str) -> None:
        """Marks hold nothing but text."""
        self._is_marked = self._is_marked and tag != "mark"

    def handle_data(self, data: str) -> None:
        """Note what is shown."""
        self.text += data
        if self._is_marked:
            self.marks.append(data)


def test_a_whole_mail_as_text() -> None:
    """This is what somebody reads at three in the morning."""
    assert text_of(render()) == (
        """\
ssh-bruteforce: more than 5 events in 10 minutes for ip 203.0.113.9

6 events within 47 seconds; the limit is 5 in 10 minutes.
1,204 events since the last alert, which was at 05:53:33, 1 hour 3
minutes before.

What to do:
  Ban the address:
    fail2ban-client set sshd banip ADDRESS
  Then call Robin.

06:46:33 |                ▂ ▂█| 06:56:33
Each bar is 30 seconds; the highest has 4 events.

ip        203.0.113.9
Last      Tue 10 Dec 2024, 06:56:33 CET (2 seconds ago)
First     Tue 10 Dec 2024, 06:55:46 CET (49 seconds ago)
Host      web-1
File      /var/log/auth.log, byte 500
Severity  critical

[06:55:46]
Dec 10 06:55:46 web-1 sshd[24200]: »Failed password for root from 203.0.113.9 port 38900« ssh2

    ... 2 lines in between ...

[06:56:12]
Dec 10 06:56:12 web-1 sshd[24200]: »Failed password for root from 203.0.113.9 port 39200« ssh2

[06:56:21]
Dec 10 06:56:21 web-1 sshd[24200]: »Failed password for root from 203.0.113.9 port 39300« ssh2

[06:56:33, the line that rang]
Dec 10 06:56:33 web-1 sshd[24200]: »Failed password for root from 203.0.113.9 port 39400« ssh2

--"""
        " "
        """
To change when or whom this rings, edit rule ssh-bruteforce in alertd's
configuration on web-1 (more_than, within, cooldown, recipients), then
run: alertd reload
alert 3f9c1d2e7a6b4c5d8e9f0a1b2c3d4e5f
"""
    )


def test_the_headers_of_a_mail() -> None:
    """Exactly these, in this order; auto-responders keep quiet, lists and threads are known."""
    message = parsed(render())

    assert HEADERS == message.keys()
    assert "alertd <alerts@example.com>" == message["From"]
    assert "ops@example.com, Night Shift <night@example.com>" == message["To"]
    assert (
        "ssh-bruteforce: ip 203.0.113.9 - more than 5 in 10 minutes on web-1" == message["Subject"]
    )
    assert "Tue, 10 Dec 2024 06:56:35 +0100" == message["Date"]
    assert "<3f9c1d2e7a6b4c5d8e9f0a1b2c3d4e5f@web-1>" == message["Message-ID"]
    assert message["In-Reply-To"] == message["References"]
    assert "auto-generated" == message["Auto-Submitted"]
    assert '"alertd on web-1" <ssh-bruteforce.alertd.web-1>' == message["List-Id"]
    assert "ssh-bruteforce" == message["X-Alertd-Rule"]


def test_a_mail_describes_itself() -> None:
    """Delivery and ``send-test`` need no parser."""
    notice = msgspec.structs.replace(NOTICE, recipients=("a@x.example", "b@x.example") * 2)
    mail = render(notice)
    message = parsed(mail)

    assert message["Message-ID"] == mail.message_id
    assert message["Subject"] == mail.subject
    assert ("a@x.example", "b@x.example") == mail.recipients
    assert "a@x.example, b@x.example" == message["To"]


def test_the_same_notice_gives_the_same_bytes() -> None:
    """A repeat can be told from a second alert only if nothing in it is drawn."""
    assert render().payload == render().payload


def test_mails_about_one_rule_and_key_are_one_thread() -> None:
    """They refer to the same mail, which never was, and have the same subject."""
    first, second = render(), render(changed(id="another", time=RANG_AT + 999, count=7))
    other = render(changed(key=(("ip", "203.0.113.10"),)))

    assert first.message_id != second.message_id
    assert first.subject == second.subject
    assert parsed(first)["References"] == parsed(second)["References"]
    assert parsed(first)["References"] != parsed(other)["References"]


# What it says -----------------------------------------------------------------------------------


def test_html_says_what_the_text_says() -> None:
    """Two layouts of one story."""
    reader = Reader(html_of(render()))

    for words_shown in (
        "ssh-bruteforce",
        "more than 5 events in 10 minutes for ip 203.0.113.9",
        "6 events within 47 seconds; the limit is 5 in 10 minutes.",
        "1,204 events since the last alert, which was at 05:53:33, 1 hour 3 minutes before.",
        "fail2ban-client set sshd banip ADDRESS",
        "Tue 10 Dec 2024, 06:55:46 CET (49 seconds ago)",
        "/var/log/auth.log, byte 500",
        "critical",
        "2 lines in between",
        "06:56:33, the line that rang",
        LAST.line,
        "alert 3f9c1d2e7a6b4c5d8e9f0a1b2c3d4e5f",
    ):
        assert words_shown in reader.text
    assert [FAILED.format(port)[:-5] for port in (38_900, 39_200, 39_300, 39_400)] == reader.marks


def test_html_needs_nothing_from_outside() -> None:
    """No image, no link, no script: it shows the same in every client, and tells nobody."""
    reader = Reader(html_of(render()))

    assert not {"a", "img", "script", "link", "iframe", "form", "svg"} & reader.tags
    assert not {"href", "src", "action", "background"} & reader.attributes
    assert "url(" not in html_of(render())
    assert "prefers-color-scheme: dark" in html_of(render())


def test_html_draws_the_chart_with_cells() -> None:
    """Every bar is a coloured cell whose height is an attribute, which Outlook respects too."""
    assert [18, 18, 72] == Reader(html_of(render())).cells


def test_a_chart_of_many_slices_is_drawn_with_fewer_bars() -> None:
    """A phone has room for some sixty."""
    mail = render(changed(histogram=(1,) * 150))

    assert 50 == len(Reader(html_of(mail)).cells)
    assert f"|{'█' * 50}|" in text_of(mail)
    assert "Each bar is 12 seconds; the highest has 3 events." in text_of(mail)


@pytest.mark.parametrize("histogram", [(), (0, 0, 0)])
def test_without_numbers_there_is_no_chart(histogram: tuple[int, ...]) -> None:
    """A chart of nothing would be read as: nothing happened."""
    mail = render(changed(histogram=histogram))

    assert "Each bar" not in text_of(mail)
    assert [] == Reader(html_of(mail)).cells


def test_a_rule_without_groups_names_no_key() -> None:
    """There is none."""
    mail = render(changed(key=()))

    assert text_of(mail).startswith("ssh-bruteforce: more than 5 events in 10 minutes\n")
    assert "ssh-bruteforce: more than 5 in 10 minutes on web-1" == mail.subject


def test_a_compound_key_is_shown_whole() -> None:
    """In the rule's order, in the subject, the headline and the table."""
    mail = render(changed(key=(("ip", "203.0.113.9"), ("user", "root"))))

    assert "for ip 203.0.113.9, user root\n" in text_of(mail)
    assert "\nuser      root\n" in text_of(mail)
    assert mail.subject.startswith("ssh-bruteforce: ip 203.0.113.9, user root - more than 5")


def test_a_rule_that_rings_on_each_event_says_so() -> None:
    """``more_than = 0`` has no limit worth a sentence."""
    mail = render(changed(limit=0, count=1, since=RANG_AT, since_last=1, previous=None))

    assert text_of(mail).startswith("ssh-bruteforce: an event for ip 203.0.113.9\n\n1 event;")
    assert "ssh-bruteforce: ip 203.0.113.9 - an event on web-1" == mail.subject


def test_events_of_one_instant_are_said_to_be() -> None:
    """``within 0 seconds`` is no English."""
    assert "6 events at the same time; the limit" in text_of(render(changed(since=RANG_AT)))


def test_what_preceded_the_first_alert_is_said() -> None:
    """More events than the window has room for, and nobody was told yet."""
    assert "1,204 events since the first one was seen." in text_of(render(changed(previous=None)))


def test_nothing_hidden_is_nothing_said() -> None:
    """If every event is in the window, there is no second number."""
    mail = render(changed(previous=None, since_last=6))

    assert "since" not in text_of(mail).split("What to do")[0]


def test_without_a_description_there_is_no_advice() -> None:
    """An empty box would only push the facts down."""
    mail = render(msgspec.structs.replace(NOTICE, description=""))

    assert "What to do" not in text_of(mail)
    assert "What to do" not in html_of(mail)


@pytest.mark.parametrize(
    ("raised_after", "sent_after", "expected"),
    [
        (1, 600, None),
        (1, 10_800, "Delayed: this happened 3 hours ago. alertd knew it then, but the mail"),
        (7_200, 10_800, "Delayed: this happened 3 hours ago. alertd read the line at 08:56:33."),
        (86_400, 90_000, "alertd read the line at Wed 11 Dec 2024, 06:56:33."),
    ],
)
def test_a_late_mail_says_so_and_why(
    raised_after: float, sent_after: float, expected: str | None
) -> None:
    """More than ten minutes late, and before anything else, because the fire may be out."""
    notice = msgspec.structs.replace(NOTICE, raised_at=RANG_AT + raised_after)
    mail = render(notice, sent_at=RANG_AT + sent_after)
    text = " ".join(text_of(mail).split())

    if expected is None:
        assert "Delayed" not in text
    else:
        assert expected in text
        assert expected in Reader(html_of(mail)).text
        assert text.index("Delayed") < text.index("6 events")


def test_times_of_reading_are_said_to_be() -> None:
    """Lines without timestamps have no times of their own."""
    notice = msgspec.structs.replace(NOTICE, is_time_of_reading=True)

    assert "\nTimes     are those of reading: these lines have no timestamp\n" in text_of(
        render(notice)
    )
    assert "those of reading" not in text_of(render())


@pytest.mark.parametrize(("event_time", "is_said"), [(RANG_AT - 90, True), (RANG_AT, False)])
def test_a_line_that_came_late_shows_its_own_time(event_time: float, *, is_said: bool) -> None:
    """It was counted at another time than it says."""
    text = text_of(render(changed(event_time=event_time)))

    expected = "Line's time  Tue 10 Dec 2024, 06:55:03 CET, too late to count there"
    assert is_said == (expected in text)


def test_lines_of_several_files_name_them() -> None:
    """One file is named once."""
    other = sample(12, 9, path="/var/log/auth.log.1")
    text = text_of(render(changed(last=(other, LAST))))

    assert "[06:56:21 in /var/log/auth.log.1]" in text
    assert "[06:56:33 in /var/log/auth.log, the line that rang]" in text


def test_a_first_line_that_is_among_the_last_is_shown_once() -> None:
    """Nothing lies in between then."""
    text = text_of(render(changed(first=LAST, last=(LAST,), count=1)))

    assert 1 == text.count("Failed password")
    assert "in between" not in text


def test_lines_that_follow_each_other_have_nothing_in_between() -> None:
    """Four of four are shown."""
    assert "in between" not in text_of(render(changed(count=4)))


def test_an_alert_without_kept_lines_shows_the_one_that_it_has() -> None:
    """The triggering line is part of the alert itself."""
    text = text_of(render(changed(last=())))

    assert f"[06:56:33, the line that rang]\n{LAST.line}\n" in text


@pytest.mark.parametrize("severity", ["critical", "warning", "info", "whatever"])
def test_severity_is_a_word_and_a_colour(severity: str) -> None:
    """The word is what counts: colours are not seen by everybody."""
    mail = render(msgspec.structs.replace(NOTICE, severity=severity))

    assert f"Severity  {severity}\n" in text_of(mail)
    assert severity in Reader(html_of(mail)).text


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        ((0, 0), "abcdef"),
        ((0, 6), "abcdef"),
        ((2, 4), "ab»cd«ef"),
        ((0, 2), "»ab«cdef"),
        ((4, 99), "abcd»ef«"),
        ((-3, 2), "»ab«cdef"),
        ((5, 3), "abcdef"),
        ((99, 100), "abcdef"),
    ],
)
def test_a_mark_is_set_where_it_tells_something(span: tuple[int, int], shown: str) -> None:
    """Around a part of the line; a span that makes no sense marks nothing."""
    line = Sample(RANG_AT, LAST.path, LAST.offset, "abcdef", span)

    assert f"rang]\n{shown}\n" in text_of(render(changed(last=(line,))))


def test_a_long_line_keeps_its_beginning_and_its_match() -> None:
    """The beginning has the time, the match is why it is shown, and what is left out is counted."""
    text = "2024-12-10 " + "b" * 5_000 + "MATCH" + "a" * 5_000
    start = text.index("MATCH")
    line = Sample(RANG_AT, LAST.path, LAST.offset, text, (start, start + 5))
    shown = text_of(render(changed(last=(line,)))).partition("rang]\n")[2].partition("\n")[0]

    assert shown.startswith("2024-12-10 bbb")
    assert "bbb»MATCH«aaa" in shown
    assert re.search(r"… \(4,\d\d\d characters\) …", shown)
    assert re.search(r"… \(4,\d\d\d more characters\)$", shown)
    assert len(shown) < 1_100


# Hostile text -----------------------------------------------------------------------------------

HOSTILE = [
    "x\r\nBcc: evil@example.com\r\n\r\nhello",
    "x\nBcc: evil@example.com",
    "x\rBcc: evil@example.com",
    "x=?UTF-8?Q?=0A?=Bcc: evil@example.com",
    "x=?utf-8?b?CkJjYzogZXZpbEBleGFtcGxlLmNvbQ==?=",
    "x\x0bBcc: evil@example.com",
    "x\x85Bcc: evil@example.com",
    "x\u2028Bcc: evil@example.com",
    "x\u2029\x1c\x1d\x1e",
    "\x00\x1b[2J\x1b]0;title\x07\x7f\x9b",
    "\ud800 \udcff \ud83d",
    "\u202etxt.exe\u2066\u200b\ufeff",
    "<script>alert(1)</script><a href='http://evil.example'>x</a>&amp;",
    "\U000e0041\U000e007f",
    "Grüße, 日本語, 🚨",
    "." * 3 + "\n.\n",
    "{0} {rule} %s %(x)s",
    "",
    " ",
    "\t\n ",
    '"quoted" <angle@example.com>, second@example.com;',
    "x" * 1_000_000,
    "ü" * 1_000_000,
    "<" * 1_000_000,
    "\x1b" * 1_000_000,
    "🚨" * 100_000,
]


def hostile_notice(text: str) -> Notice:
    """The same text in every place that text can have."""
    line = Sample(RANG_AT, text, 1, text, (1, 3))
    alert = msgspec.structs.replace(
        ALERT,
        id=text,
        rule=text,
        key=((text, text), ("ip", text)),
        path=text,
        line=text,
        first=Sample(RANG_AT - 9, text, 0, text),
        last=(line, line, line),
    )
    return Notice(alert, (text, "ops@example.com"), text, text, RANG_AT)


def assert_sound(mail: Mail, *, kinds: tuple[str, ...] = ("plain", "html")) -> None:
    """Whatever the log says, this is what leaves."""
    payload = mail.payload
    head, _, _ = payload.partition(b"\r\n\r\n")
    names = [line.split(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] != b" "]

    assert payload.isascii()
    assert payload.count(b"\n") == payload.count(b"\r\n") == payload.count(b"\r")
    assert max(map(len, payload.split(b"\r\n"))) <= 998
    assert len(payload) <= 65_536
    message = parsed(mail)
    assert [] == message.defects
    assert message.keys() == names
    assert [name for name in HEADERS if name in names] == names[: len(HEADERS)]
    assert not {"Bcc", "Cc", "Reply-To"} & set(names)
    assert 0 < len(message["Subject"]) <= 150
    assert mail.subject == message["Subject"]
    assert "=?" not in mail.subject
    assert re.fullmatch(r"<[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+>", mail.message_id)
    for kind in kinds:
        content = part(mail, kind)
        assert content.replace("\n", "") == visible(content.replace("\n", ""))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_no_text_breaks_a_mail(text: str) -> None:
    """S1 to S5: exactly the allowed headers, no invisible character, bounded; and it arrives."""
    mail = render(hostile_notice(text), host=text, sender=text)

    assert_sound(mail)
    assert "could not be laid out" not in mail.subject


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_no_text_becomes_markup(text: str) -> None:
    """S4: what a log line says is only ever shown."""
    usual = Reader(html_of(render()))
    hostile = hostile_notice(text)
    marked = msgspec.structs.replace(
        hostile.alert.last[-1], line=f"{text} behind", span=(0, len(text))
    )
    alert = msgspec.structs.replace(hostile.alert, last=(*hostile.alert.last[:-1], marked))
    for notice in (hostile, msgspec.structs.replace(hostile, alert=alert)):
        reader = Reader(html_of(render(notice)))

        assert reader.tags <= usual.tags
        assert reader.attributes <= usual.attributes


characters = st.one_of(
    st.characters(),
    st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]),
    st.sampled_from(["=?", "?=", "\r\n", "Bcc: x@y", "<", ">", "&", '"', "\\", "=\n", "."]),
)
hostile = st.lists(characters, max_size=60).map("".join)


@settings(max_examples=60, deadline=None)
@given(text=hostile, other=hostile)
def test_no_invented_text_breaks_a_mail(text: str, other: str) -> None:
    """The same for texts that nobody thought of."""
    notice = msgspec.structs.replace(hostile_notice(text), description=other)
    mail = render(notice, host=other, sender=other)

    assert_sound(mail)
    assert "could not be laid out" not in mail.subject
    assert not {"script", "a", "img", "x"} & Reader(html_of(mail)).tags


@settings(max_examples=100, deadline=None)
@given(line=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_line_can_be_read_back(line: str) -> None:
    """Both parts show the line itself, its invisible characters spelled out."""
    mail = render(changed(last=(Sample(RANG_AT, LAST.path, LAST.offset, line),)))

    assert f"rang]\n{visible(line)}\n\n-- \n" in text_of(mail)
    assert visible(line) in Reader(html_of(mail)).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\r\n", r"a\tb\r\n"),
        ("\x00\x1b[31m\x7f\x85", r"\x00\x1b[31m\x7f\x85"),
        ("\u2028\u202e\ufeff", r"\u2028\u202e\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("Grüße 🚨 \\x1b", "Grüße 🚨 \\x1b"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, shown: str) -> None:
    """And all that can be seen stays."""
    assert shown == visible(text)


def test_a_long_key_is_cut_and_the_rest_of_the_subject_is_not() -> None:
    """The subject is at most 150 characters; its beginning and its end tell the most."""
    subject = render(changed(key=(("path", "/" + "x" * 500),))).subject

    assert subject.startswith("ssh-bruteforce: path /xxx")
    assert subject.endswith("xxx... - more than 5 in 10 minutes on web-1")
    assert 150 == len(subject)


def test_a_key_beyond_ascii_is_read_as_it_is() -> None:
    """Words of RFC 2047 carry it, cut between characters."""
    city = "München-" + "東京" * 20
    mail = render(changed(key=(("city", city),)))

    assert f"ssh-bruteforce: city {city} - more than 5" in mail.subject
    assert mail.subject == parsed(mail)["Subject"]
    head = mail.payload.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 76 for line in head.split(b"\r\n") if b"=?utf-8?" in line)


def test_a_part_is_encoded_in_the_shorter_way() -> None:
    """ASCII can be read in the raw mail; other scripts do not triple in size."""
    japanese = render(changed(last=(Sample(RANG_AT, LAST.path, LAST.offset, "東" * 900),)))

    assert b"Content-Transfer-Encoding: base64" in japanese.payload
    assert b"Content-Transfer-Encoding: base64" not in render().payload
    assert b"Failed password for root from 203.0.113.9" in render().payload


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -float("inf"), 1e300, -1e18])
def test_an_impossible_time_does_not_silence_an_alert(time: float) -> None:
    """It is said to be one."""
    notice = changed(time=time, since=time, previous=time, event_time=1.0)
    mail = render(msgspec.structs.replace(notice, raised_at=time), sent_at=time)

    assert_sound(mail)
    assert "impossible time" in text_of(mail)


def test_more_recipients_than_fit_get_their_mail_all_the_same() -> None:
    """The bound is for what logs say; whom to tell is the operator's to decide."""
    everybody = tuple(f"person-{number}@example.com" for number in range(2_000))
    mail = render(msgspec.structs.replace(NOTICE, recipients=everybody))

    assert everybody == mail.recipients
    assert b"person-1999@example.com\r\nSubject: ssh-bruteforce: ip" in mail.payload
    assert b"Failed password" in mail.payload


# When all else fails ----------------------------------------------------------------------------


def test_an_alert_that_cannot_be_laid_out_is_mailed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S6: whatever goes wrong, somebody is told, and told why the mail looks so."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the reason\r\nBcc: x")

    monkeypatch.setattr(mails, "text_part", fail)
    mail = render()

    assert_sound(mail, kinds=("plain",))
    assert "ssh-bruteforce: an alert that could not be laid out" == mail.subject
    assert NOTICE.recipients == mail.recipients
    assert "<3f9c1d2e7a6b4c5d8e9f0a1b2c3d4e5f@web-1>" == mail.message_id
    assert text_of(mail).startswith("ssh-bruteforce: 6 events, more than 5 in 10 minutes\n")
    assert r"RuntimeError: the reason\r\nBcc: x" in text_of(mail)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_the_last_resort_holds_for_hostile_text_too(text: str) -> None:
    """Nothing comes after it."""
    mail = render_fallback(hostile_notice(text), text, host=text, sender=text, sent_at=RANG_AT)

    assert_sound(mail, kinds=("plain",))


@pytest.mark.parametrize(
    "value",
    ["x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\r\n\r\nbody", "ü", "x" * 999],
)
def test_headers_that_are_not_those_meant_are_noticed(value: str) -> None:
    """The last line of defence does not rely on the first."""
    with pytest.raises(HeaderMismatchError):
        build([("Message-ID", "<a@b>"), ("Subject", value)], [], text="x\n")


def test_addresses_are_encoded_for_every_server() -> None:
    """Names as words, domains as their ASCII names; what only SMTPUTF8 carries is left out."""
    assert "alertd <a@b.example>" == str(_decoded(mailboxes(["alertd <a@b.example>"])))
    assert "Jürgen <j@b.example>" == str(_decoded(mailboxes(['"Jürgen" <j@b.example>'])))
    assert "a@xn--mnchen-3ya.example" == mailboxes(["a@münchen.example"])
    assert "undisclosed-recipients:;" == mailboxes(
        ["müller@example.com", "nobody", "a@" + "x" * 70]
    )


def _decoded(value: str) -> str:
    message = message_from_bytes(f"To: {value}\r\n\r\n".encode(), policy=policy.default)
    return str(message["To"])


def test_words_are_cut_between_characters() -> None:
    """Each is a word of its own to whoever decodes it."""
    encoded = words("é" * 100).split("\r\n ")

    decoded = [base64.b64decode(word[10:-2]).decode() for word in encoded]
    assert "é" * 100 == "".join(decoded)
    assert all(len(word) <= 75 for word in encoded)


# Many alerts in one mail ------------------------------------------------------------------------


def numbered(number: int, *, rule: str = "ssh-bruteforce", severity: str = "warning") -> Notice:
    notice = changed(
        id=f"{number:032x}",
        rule=rule,
        key=(("ip", f"203.0.113.{number}"),),
        time=RANG_AT + number,
        since_last=number + 1,
    )
    return msgspec.structs.replace(
        notice, severity=severity, description="Ban it.\n\n  Then call Robin."
    )


def join(
    notices: list[Notice],
    *,
    reason: Literal["catching up", "outage", "digest"] = "catching up",
    host: str = "web-1",
    sender: str = SENDER,
    sent_at: float = RANG_AT + 9_999,
    recipients: tuple[str, ...] = ("ops@example.com",),
) -> Mail:
    return render_joined(
        notices,
        reason=reason,
        host=host,
        sender=sender,
        timezone=BERLIN,
        sent_at=sent_at,
        recipients=recipients,
    )


def test_a_joined_mail_as_text() -> None:
    """Totals first, then every alert: time, rule, key, numbers, id."""
    notices = [numbered(2, rule="fatal"), numbered(1), numbered(0, severity="critical")]

    assert (
        text_of(join(notices))
        == """\
3 alerts while alertd was not reading on web-1

From Tue 10 Dec 2024, 06:56:33 CET to Tue 10 Dec 2024, 06:56:35 CET. \
alertd read these lines late, so their alerts come in one mail.

ssh-bruteforce: 2 alerts, 3 events

fatal: 1 alert, 3 events

ssh-bruteforce, what to do: Ban it. Then call Robin.

fatal, what to do: Ban it. Then call Robin.

Every alert, oldest first, in CET: time, rule, key, events in its window \
(since its key's last alert), id

2024-12-10 06:56:33  ssh-bruteforce  ip 203.0.113.0  6  (1)  00000000000000000000000000000000
2024-12-10 06:56:34  ssh-bruteforce  ip 203.0.113.1  6  (2)  00000000000000000000000000000001
2024-12-10 06:56:35  fatal  ip 203.0.113.2  6  (3)  00000000000000000000000000000002
"""
    )


def test_a_joined_mail_has_html_that_says_the_same() -> None:
    """Numbers and ids included."""
    reader = Reader(html_of(join([numbered(1), numbered(2)])))

    for expected in ("2 alerts, 5 events", "203.0.113.1", "203.0.113.2", f"{1:032x}", f"{2:032x}"):
        assert expected in reader.text


@pytest.mark.parametrize(
    ("rules", "reason", "subject"),
    [
        (["a"], "catching up", "a: 1 alert while alertd was not reading on web-1"),
        (["a", "a"], "digest", "a: 2 alerts beyond the hourly limit of mails on web-1"),
        (["a", "a"], "outage", "a: 2 alerts while no mail could be sent on web-1"),
        (["a", "b", "b"], "digest", "b and 1 other rule: 3 alerts beyond"),
        (["a", "b", "c"], "digest", "a and 2 other rules: 3 alerts beyond"),
    ],
)
def test_a_joined_subject_names_the_busiest_rule(
    rules: list[str], reason: Literal["catching up", "outage", "digest"], subject: str
) -> None:
    """It begins with a rule's name like every other."""
    mail = join([numbered(n, rule=rule) for n, rule in enumerate(rules)], reason=reason)

    assert mail.subject.startswith(subject)
    assert ("joined" if len(set(rules)) > 1 else "a") == parsed(mail)["X-Alertd-Rule"]
    assert HEADERS == parsed(mail).keys()


def test_a_joined_id_depends_on_its_alerts_alone() -> None:
    """Whatever their order, and whenever it is made."""
    notices = [numbered(1), numbered(2)]
    mail = join(notices)

    assert mail.message_id == join(notices[::-1], sent_at=0.0, reason="digest").message_id
    assert mail.message_id != join(notices[:1]).message_id


def test_ten_thousand_alerts_make_one_mail_with_every_id() -> None:
    """Compact, as text only, because no client shows such a table."""
    mail = join([numbered(number) for number in range(10_000)])
    text = text_of(mail)

    ids = [line[-32:] for line in text.splitlines()[-10_000:]]
    assert [f"{number:032x}" for number in range(10_000)] == ids
    assert "ssh-bruteforce: 10,000 alerts, 50,005,000 events" in text
    assert len(mail.payload) < 1_500_000
    assert ["text/plain"] == [piece.get_content_type() for piece in parsed(mail).walk()]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_no_text_breaks_a_joined_mail(text: str) -> None:
    """As with one alert."""
    mail = join([hostile_notice(text), NOTICE], host=text, sender=text, recipients=(text,))

    assert_sound(mail)


def test_alerts_that_cannot_be_laid_out_are_mailed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S6 for many: rule, numbers and id of each are left, and the reason."""

    def fail(*_: object) -> None:
        raise RuntimeError("the reason")

    monkeypatch.setattr(mails, "stamp", fail)
    text = text_of(join([numbered(1), numbered(2, rule="fatal")]))

    assert "RuntimeError('the reason')" in text
    assert f"{RANG_AT + 1}  6  (2)  ssh-bruteforce  {1:032x}\n" in text
    assert f"{RANG_AT + 2}  6  (3)  fatal  {2:032x}\n" in text


@pytest.mark.parametrize(
    ("severities", "worst"),
    [
        (["info", "critical", "warning"], "critical"),
        (["info", "warning"], "warning"),
        (["info", "info"], "info"),
    ],
)
def test_a_joined_mail_bears_the_worst_severity(severities: list[str], worst: str) -> None:
    """One critical alert among many must not look harmless."""
    notices = [numbered(number, severity=name) for number, name in enumerate(severities)]

    assert f">{worst}</div>" in html_of(join(notices))


def test_advice_is_left_out_of_a_joined_mail_that_has_none() -> None:
    """Rules need no description."""
    notice = msgspec.structs.replace(NOTICE, description="")

    assert "what to do" not in text_of(join([notice]))


# The test mail ----------------------------------------------------------------------------------


def test_the_test_mail_says_that_nothing_happened() -> None:
    """It wakes nobody twice, and has the headers that alerts have."""
    mail = render_test(
        host="web-1",
        sender=SENDER,
        recipients=["ops@example.com"],
        timezone=BERLIN,
        sent_at=RANG_AT,
    )

    assert "alertd on web-1 can send mail" == mail.subject
    assert "This is a test. Nothing has happened." in text_of(mail)
    assert "Nothing has happened." in Reader(html_of(mail)).text
    assert HEADERS == parsed(mail).keys()
    assert_sound(mail)


# JSON -------------------------------------------------------------------------------------------


def test_the_values_that_an_alert_is_about_as_json() -> None:
    """Of kinds that judge the values of a field."""
    alert = msgspec.structs.replace(ALERT, kind="change", field="version", values=("1", "2"))

    record = json.loads(alert_as_json(alert))

    assert ("change", "version", ["1", "2"]) == (record["kind"], record["field"], record["values"])


def test_an_alert_as_json() -> None:
    """Names and values as ``replay --json`` documents them."""
    assert {
        "id": "3f9c1d2e7a6b4c5d8e9f0a1b2c3d4e5f",
        "rule": "ssh-bruteforce",
        "kind": "threshold",
        "key": {"ip": "203.0.113.9"},
        "time": "2024-12-10T05:56:33Z",
        "count": 6,
        "limit": 5,
        "within": 600.0,
        "since": "2024-12-10T05:55:46Z",
        "since_last": 1_204,
        "previous": "2024-12-10T04:53:33Z",
        "path": "/var/log/auth.log",
        "offset": 500,
        "line": LAST.line,
    } == json.loads(alert_as_json(ALERT))


def test_json_has_an_empty_key_without_groups_and_null_without_a_previous_alert() -> None:
    """A consumer need not ask whether a member is there."""
    record = json.loads(alert_as_json(changed(key=(), previous=None).alert))

    assert {} == record["key"]
    assert record["previous"] is None


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (1_733_810_193.0, "2024-12-10T05:56:33Z"),
        (1_733_810_193.5, "2024-12-10T05:56:33.500Z"),
        (1_733_810_193.123456, "2024-12-10T05:56:33.123456Z"),
        (1_733_810_193.000001, "2024-12-10T05:56:33.000001Z"),
        (-0.25, "1969-12-31T23:59:59.750Z"),
    ],
)
def test_json_times_are_exact_and_no_longer_than_they_must_be(time: float, expected: str) -> None:
    """RFC 3339, UTC, to the microsecond."""
    assert expected == json.loads(alert_as_json(changed(time=time).alert))["time"]


@pytest.mark.parametrize(("event_time", "is_there"), [(RANG_AT - 1, True), (RANG_AT, False)])
def test_json_has_an_event_time_only_where_it_differs(event_time: float, *, is_there: bool) -> None:
    """A line that came too late was counted at another time."""
    record = json.loads(alert_as_json(changed(event_time=event_time).alert))

    assert is_there == ("event_time" in record)


@given(line=hostile)
def test_json_carries_any_line_and_no_terminal_obeys_it(line: str) -> None:
    """One line of printable ASCII, from which the text comes back, lone surrogates included."""
    written = alert_as_json(changed(line=line).alert)

    assert written.isascii()
    assert written.isprintable()
    assert line.encode("utf-16", "surrogatepass") == json.loads(written)["line"].encode(
        "utf-16", "surrogatepass"
    )


# Wording ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 seconds"),
        (-5, "0 seconds"),
        (0.001, "0.01 seconds"),
        (0.5, "0.5 seconds"),
        (1, "1 second"),
        (4.25, "4.25 seconds"),
        (59.6, "1 minute"),
        (600, "10 minutes"),
        (5_400, "1 hour 30 minutes"),
        (90_061, "1 day 1 hour"),
        (172_800, "2 days"),
        (float("nan"), "an unknown time"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, expected: str) -> None:
    """At most two units."""
    assert expected == wording.duration(seconds)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (UTC, "Tue 10 Dec 2024, 05:56:33 UTC"),
        (BERLIN, "Tue 10 Dec 2024, 06:56:33 CET"),
        (ZoneInfo("America/Sao_Paulo"), "Tue 10 Dec 2024, 02:56:33 UTC-03:00"),
        (timezone(timedelta(hours=5, minutes=30)), "Tue 10 Dec 2024, 11:26:33 UTC+05:30"),
    ],
)
def test_moments_name_their_zone(zone: tzinfo, expected: str) -> None:
    """By its name where it has one."""
    assert expected == wording.moment(RANG_AT, zone)


def test_tables_survive_impossible_times() -> None:
    """They are shown as the number that they are."""
    assert "inf" == wording.stamp(float("inf"), UTC)
    assert "local time" == wording.zone_name(float("inf"), UTC)


# alertd about itself.


def complaint(**changes: Any) -> Notice:
    """Make what alertd says when it may not read."""
    trouble = Trouble(
        "permission-denied",
        ("source", "app"),
        "files may not be read",
        "/a.log: Permission denied",
        "Let it read them.\nOr do not name them.",
    )
    return as_notice(
        msgspec.structs.replace(trouble, **changes), RANG_AT - 60, RANG_AT, ("ops@example.com",)
    )


def test_a_mail_about_alertd_itself() -> None:
    """What is blind, since when, what happened, what to do; and nothing about lines and limits."""
    mail = render(complaint())

    assert "alertd/permission-denied: source app: files may not be read on web-1" == mail.subject
    text = text_of(mail)
    for part_ in ("Since ", "What      /a.log: Permission denied", "  Let it read them.", "web-1"):
        assert part_ in text
    for part_ in ("events", "limit", "edit rule", "byte 0", "last mail about this"):
        assert part_ not in text
    assert "/a.log: Permission denied" in html_of(mail)
    assert "alertd/permission-denied" == parsed(mail)["X-Alertd-Rule"]
    assert_sound(mail)


def test_a_mail_about_alertd_itself_says_when_there_was_one_before() -> None:
    """About the state there is no key; about a cause that goes on there is a last time."""
    notice = complaint(about=None)
    alert = msgspec.structs.replace(notice.alert, previous=RANG_AT - 7200)
    mail = render(msgspec.structs.replace(notice, alert=alert))

    assert "alertd/permission-denied: files may not be read on web-1" == mail.subject
    assert "The last mail about this was of" in text_of(mail)


@pytest.mark.parametrize("text", ["x" * 90_000, "\u2028é\n.\n" * 20_000])
def test_m18_a_mail_that_is_too_large_is_cut_to_8_kib(text: str) -> None:
    """Its headers stay, its text begins as it did, and it says that it has been cut."""
    headers = [("From", "a@b"), ("Subject", words("ä" * 60)), ("Message-ID", "<x@y>")]
    whole = build(headers, ["c@d"], text=text, html="<p>" + "y" * 500)
    cut = cut_mail(whole.payload)

    assert cut is not None
    _, _, body = cut.partition(b"\r\n\r\n")
    assert len(body) <= 8_192
    before, after = message_from_bytes(whole.payload), message_from_bytes(cut)
    kept = [(name, value) for name, value in before.items() if not name.startswith("Content-")]
    assert kept == [(n, v) for n, v in after.items() if not n.startswith("Content-")]
    content = after.get_payload(decode=True)
    assert isinstance(content, bytes)
    lines = content.decode().replace("\r\n", "\n")
    assert lines.startswith(text[:1000])
    assert "The rest is left out" in lines
    assert cut_mail(cut) is None
    assert max(map(len, cut.split(b"\r\n"))) <= 998


def test_m18_a_mail_without_a_text_part_keeps_its_headers() -> None:
    """No such mail is ours, but a tool may have put it there."""
    cut = cut_mail(b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + b"y" * 9000)

    assert cut is not None
    assert "x" == message_from_bytes(cut)["Subject"]
