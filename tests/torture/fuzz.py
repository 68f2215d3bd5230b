"""
Hostile lines, through a real daemon, to the wire: every alert arrives, with the allowed headers.

    python tests/torture/fuzz.py [--lines 100000] [--seed 1]

Each line is an alert with a key, and its bytes are random: control characters, broken UTF-8,
encoded words, markup, line separators, headers.  Every alert's id must be in a mail that arrived,
and every mail must have exactly the headers that alertd's mails have, no line longer than SMTP
allows, and nothing in it that is not shown as itself.  Exits with 1 if any of it is not so.

Needs the extra ``test``.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import random
import re
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from living import Mailbox, alertd

from alertd.core.escape import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiosmtpd.smtp import SMTP, Envelope, Session

HEADERS = (
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
)
"""In this order; a mail of one part has Content-Transfer-Encoding besides."""
SETTINGS = """
[source.app]
paths = ["{log}"]
start_at = "beginning"
timestamp = "none"

[rule.hostile]
match = '^(?P<number>\\d+) (?P<key>.*)$'
group_by = ["number", "key"]
more_than = 0
within = "1s"
max_keys = 10000
"""
PIECES: Sequence[bytes] = (
    b"\r",
    b"\r\nBcc: evil@example.com",
    b"\nBcc: evil@example.com",
    b"=?UTF-8?Q?=0A?=Bcc: evil@example.com",
    b"=?utf-8?b?CkJjYzogZXZpbEBleGFtcGxlLmNvbQ==?=",
    b"=?",
    b"?=",
    b"\x0b",
    b"\x0c",
    b"\x1c\x1d\x1e\x1f",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xa9",
    b"\xed\xa0\x80",
    b"\xed\xb3\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\xf0\x9f\x9a\xa8",
    b"\xf4\x90\x80\x80",
    b"\x00",
    b"\x1b[2J\x1b]0;title\x07",
    b"\x7f\xc2\x9b",
    b"\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf",
    b"\xf3\xa0\x81\x81",
    b"<script>alert(1)</script>",
    b'<a href="http://evil.example">x</a>&amp;"',
    b"\r\n.\r\n",
    b".",
    b"--=_",
    b"Content-Type: text/html",
    b"{0} %s %(x)s $HOME `id`",
    b"\t",
    b"  ",
    "Grüße, 日本語".encode(),
    b"From nobody",
)


class Wire(Mailbox):
    """A mail server that keeps bytes only: whoever wants them parses them."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail's bytes."""
        del server, session
        content = envelope.original_content
        assert content is not None
        with self._came:
            self.bytes.append(content)
            self.mails.append(EmailMessage())
            self._came.notify_all()
        return "250 OK"

    def comes(self, within: float) -> bool:
        """Wait for a mail; say whether there is one."""
        with self._came:
            return self._came.wait_for(lambda: bool(self.bytes), timeout=within)


def hostile(chance: random.Random) -> bytes:
    """Make the text of one line."""
    pieces = []
    for _ in range(chance.choice((1, 2, 3, 5, 8, 40))):
        kind = chance.random()
        if kind < 0.6:
            pieces.append(chance.choice(PIECES))
        elif kind < 0.9:
            pieces.append(chance.randbytes(chance.randrange(1, 30)))
        else:
            pieces.append(bytes([chance.randrange(256)]) * chance.choice((1, 100, 3000)))
    return b"".join(pieces).replace(b"\n", b"\\n")


def judged(payload: bytes) -> tuple[list[str], str]:
    """Say what is wrong with a mail as it came over the wire, and which line it is about."""
    head, _, _ = payload.partition(b"\r\n\r\n")
    names = [line.split(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
    allowed = [*HEADERS, "Content-Transfer-Encoding"]
    found = []
    if names not in (allowed, list(HEADERS)):
        found.append(f"headers {names}")
    if not payload.isascii():
        found.append("bytes beyond ASCII")
    if not payload.count(b"\n") == payload.count(b"\r\n") == payload.count(b"\r"):
        found.append("a lone line end")
    if max(map(len, payload.split(b"\r\n"))) > 998:
        found.append("a line too long")
    message = email.message_from_bytes(payload, policy=email.policy.default)
    if message.keys() != names or message.defects:
        found.append(f"parsed otherwise: {message.keys()} {message.defects}")
    if len(str(message["Subject"])) > 150:
        found.append("a long subject")
    for part in message.walk():
        if part.get_content_maintype() == "text":
            content = re.sub("\r?\n", "", part.get_content())
            if content != visible(content):
                found.append(f"something invisible in {part.get_content_type()}")
    number = re.search(r"number (\d+)", str(message["Subject"]))
    return found, number[1] if number else ""


def fuzz(directory: Path, lines: int, seed: int) -> list[str]:
    """
    Have a daemon read so many lines, and see all of them arrive.

    Returns:
        What is wrong.
    """
    log = directory / "app.log"
    log.touch()
    box = Wire()
    box.start()
    try:
        with alertd(directory, SETTINGS.format(log=log), box.port, "max_per_hour = 0") as daemon:
            daemon.start()
            return _told(box, log, lines, random.Random(seed))
    finally:
        box.stop()


def _told(box: Wire, log: Path, lines: int, chance: random.Random) -> list[str]:
    wrong: list[str] = []
    told: set[str] = set()
    began = time.monotonic()
    step = 2_000
    for first in range(0, lines, step):
        count = min(step, lines - first)
        numbers = range(first, first + count)
        with log.open("ab") as file:
            file.writelines(b"%d %s\n" % (number, hostile(chance)) for number in numbers)
        # A mail may also be about alertd itself, and be no answer to any line.
        while len(told) < first + count and box.comes(within=60):
            mails, box.bytes[:] = [*box.bytes], []
            box.mails.clear()
            for payload in mails:
                found, number = judged(payload)
                wrong += found
                told.update([number] if number else [])
        if lines > step:
            rate = (first + count) / (time.monotonic() - began)
            print(
                f"{first + count:9,} lines, {len(wrong)} faults, {rate:,.0f} a second", flush=True
            )
    missing = {str(number) for number in range(lines)} - told
    if missing:
        wrong.append(f"{len(missing):,} alerts did not arrive: {sorted(missing)[:10]}")
    return wrong


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        wrong = fuzz(Path(directory), arguments.lines, arguments.seed)
    for what in wrong[:20]:
        print(f"FAIL {what}")
    print(f"{arguments.lines:,} lines, {len(wrong)} faults")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
