r"""
Make hostile text harmless, and leave it readable.

What a terminal, a mail client or a mail server could obey or fail to show (control characters,
line separators, bidirectional overrides, zero-width characters, lone surrogates) becomes a visible
escape such as ``\x1b``.  All other text stays as it is.

The set is spelled out rather than asked of ``unicodedata``, so that every Python
gives the same mail.
"""

from __future__ import annotations

import re

_INVISIBLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)

_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}


def visible(text: str) -> str:
    """
    Replace what cannot be seen by what can.

    Returns:
        One line, without any character that is not shown as itself.
    """
    return _INVISIBLE.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number <= 0xFF:  # noqa: PLR2004 - the last that two hexadecimal digits can spell
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 - likewise


def shortened(text: str, limit: int) -> str:
    """Cut text to so many characters, the dots that say so included."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def label(text: str, limit: int) -> str:
    """
    Make text fit for a header.

    It is cut before it is escaped as well, so that a megabyte costs no more than a word, and
    ``=?`` is broken, so that nobody who decodes it finds a header in it.
    """
    return shortened(visible(shortened(text, limit)).replace("=?", r"=\x3f"), limit)


def quoted(text: str) -> str:
    """Put text in quotes on one line, whatever it holds, as TOML would write it."""
    return '"' + visible(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
