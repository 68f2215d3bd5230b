"""
Headers and parts → the bytes of a mail.

Everything is encoded here rather than by the ``email`` package, which has let header injections
through (CVE-2024-6923, CVE-2026-1299) and raises on text that a log may well hold.  What was built
is read back, and if the headers found are not exactly those meant, no such mail is made.

Trap: RFC 5321 counts bytes (998 a line) and RFC 2047 characters a word (75), so words are cut
between characters and parts are wrapped by their transfer encoding.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import TYPE_CHECKING

import msgspec

from alertd.core.escape import label

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD_BYTES = 36
"""Of UTF-8 in an encoded word: with ``X-Alertd-Rule:`` before it, the line stays within 76."""

_ADDRESS_LENGTH = 400
"""Characters, a display name included.  Encoding a megabyte as a domain takes a minute."""

CUT_BYTES = 8_192
"""Of the body of a mail whose whole the server finds too large."""
_CUT = "\n\n[The rest is left out: the mail server takes no mail as large as the whole was.]\n"

_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
_MAILBOX = re.compile(r"(?P<name>.*)<(?P<bracketed>[^<>]*)>\s*|(?P<bare>.*)", re.DOTALL)


class HeaderMismatchError(Exception):
    """The mail that was built does not have the headers that it was meant to have."""


class Mail(msgspec.Struct, frozen=True):
    """
    A mail, ready to be sent, and sent again as it is.

    Attributes:
        message_id: With its angle brackets.
        subject: As a person reads it.
        recipients: Who gets it, as they were configured, each once.
        payload: Headers and body: ASCII, CRLF, no line longer than 998 bytes.
    """

    message_id: str
    subject: str
    recipients: tuple[str, ...]
    payload: bytes


def build(
    headers: Sequence[tuple[str, str]],
    recipients: Sequence[str],
    *,
    text: str,
    html: str | None = None,
) -> Mail:
    r"""
    Pack a mail.

    Args:
        headers: Names and encoded values (``words``, ``mailboxes``); those of MIME are added.
        recipients: Of the envelope.
        text: The plain part, its lines ended by ``\n``.
        html: The other one, if there is to be one.

    Raises:
        HeaderMismatchError: The bytes would not say what ``headers`` says.
    """
    if html is None:
        mime, body = _part("plain", text)
    else:
        boundary = "=_" + hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        mime = [("Content-Type", f'multipart/alternative; boundary="{boundary}"')]
        pieces: list[bytes] = []
        for subtype, content in (("plain", text), ("html", html)):
            part_headers, part = _part(subtype, content)
            pieces.append(f"--{boundary}\r\n{_lines(part_headers)}\r\n".encode("ascii") + part)
        body = b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode("ascii")])
    meant = [*headers, ("MIME-Version", "1.0"), *mime]
    try:
        payload = _lines(meant).encode("ascii") + b"\r\n" + body
    except UnicodeEncodeError as error:
        raise HeaderMismatchError("a header is not ASCII") from error
    _verify(payload, meant)
    values = dict(headers)
    return Mail(
        message_id=values["Message-ID"],
        subject=plain(values["Subject"]),
        recipients=tuple(dict.fromkeys(recipients)),
        payload=payload,
    )


def cut_mail(payload: bytes) -> bytes | None:
    """
    Make a mail shorter for a server that takes no more: the beginning of its text, nothing else.

    Args:
        payload: A mail that ``build`` has made.

    Returns:
        The mail under the same headers with a body of at most 8 KiB; None if it is no longer than
        that already.
    """
    from email.parser import BytesParser  # noqa: PLC0415 - hardly ever needed
    from email.policy import compat32  # noqa: PLC0415 - likewise

    head, _, whole = payload.partition(b"\r\n\r\n")
    if len(whole) <= CUT_BYTES:
        return None
    parts = BytesParser(policy=compat32).parsebytes(payload).walk()
    texts = [part for part in parts if part.get_content_type() == "text/plain"]
    content = texts[0].get_payload(decode=True) if texts else b""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
    text = text.replace("\r\n", "\n")
    limit = CUT_BYTES
    while True:
        mime, body = _part("plain", text[:limit] + _CUT)
        if len(body) <= CUT_BYTES:
            break
        limit = limit * 3 // 4
    kept = re.split(rb"\r\n(?=[^ ])", head)
    lines = [line for line in kept if not line.lower().startswith(b"content-")]
    return b"\r\n".join([*lines, *_lines(mime).encode("ascii").splitlines(), b"", body])


def words(text: str) -> str:
    """Encode header text: as it is when it is ASCII, else as words of RFC 2047."""
    text = text.strip(" ")  # whoever reads it would take them for the header's own
    if text.isascii():
        return text
    chunks = [""]
    for character in text:
        if len((chunks[-1] + character).encode()) > _WORD_BYTES:
            chunks.append("")
        chunks[-1] += character
    return "\r\n ".join(
        f"=?utf-8?b?{binascii.b2a_base64(chunk.encode(), newline=False).decode('ascii')}?="
        for chunk in chunks
    )


def plain(value: str) -> str:
    """Undo ``words``."""
    unfolded = value.replace("?=\r\n =?utf-8?b?", "?==?utf-8?b?")
    return re.sub(
        r"=\?utf-8\?b\?([A-Za-z0-9+/=]*)\?=",
        lambda word: binascii.a2b_base64(word[1]).decode(),
        unfolded,
    )


def mailboxes(addresses: Sequence[str]) -> str:
    """
    Encode addresses for ``From`` or ``To``.

    An address that only SMTPUTF8 could carry is left out of the header (the envelope has it), so
    that one header fits every server.
    """
    encoded = [box for address in dict.fromkeys(addresses) if (box := _mailbox(address))]
    return ",\r\n ".join(encoded) or "undisclosed-recipients:;"


def _mailbox(text: str) -> str | None:
    if len(text) > _ADDRESS_LENGTH:
        return None
    found = _MAILBOX.fullmatch(text)
    assert found is not None  # noqa: S101 - its second alternative takes anything
    address = found["bare"] if found["bracketed"] is None else found["bracketed"]
    local, _, domain = address.strip().rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not (_ATEXT.fullmatch(local) and _ATEXT.fullmatch(domain)):
        return None
    name = label((found["name"] or "").strip().strip('"'), 80)
    if not name:
        return f"{local}@{domain}"
    return f"{phrase(name)} <{local}@{domain}>"


def phrase(text: str) -> str:
    """Encode a display name."""
    if not text.isascii():
        return words(text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _part(subtype: str, content: str) -> tuple[list[tuple[str, str]], bytes]:
    """Encode one part, by whichever encoding is shorter."""
    data = content.encode()
    quoted = binascii.b2a_qp(data, istext=True).replace(b"\n", b"\r\n")
    wide = data.replace(b"\n", b"\r\n")
    lines = [
        binascii.b2a_base64(wide[at : at + 57], newline=False) for at in range(0, len(wide), 57)
    ]
    base64 = b"".join(line + b"\r\n" for line in lines)
    name, body = ("quoted-printable", quoted) if len(quoted) <= len(base64) else ("base64", base64)
    return [
        ("Content-Type", f'text/{subtype}; charset="utf-8"'),
        ("Content-Transfer-Encoding", name),
    ], body


def _lines(headers: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers)


def _verify(payload: bytes, meant: Sequence[tuple[str, str]]) -> None:
    """Read a mail as a server and a client would, and compare its headers with those meant."""
    from email.parser import BytesHeaderParser  # noqa: PLC0415 - only a mail needs it
    from email.policy import compat32  # noqa: PLC0415 - likewise

    head, _, _ = payload.partition(b"\r\n\r\n")
    # Any line end counts: what one server passes on as text, the next may take for a new line.
    lines = re.split(rb"\r\n|\r|\n", head)
    by_hand = [line.partition(b":")[0] for line in lines if not line.startswith(b" ")]
    parsed = BytesHeaderParser(policy=compat32).parsebytes(payload)
    names = [name for name, _ in meant]
    if [name.encode() for name in names] != by_hand or names != parsed.keys():
        raise HeaderMismatchError("the headers are not those meant")
    if max(map(len, payload.split(b"\r\n"))) > 998:  # noqa: PLR2004 - RFC 5322, 2.1.1
        raise HeaderMismatchError("a line is too long")
