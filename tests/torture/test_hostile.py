"""Torture, security: whatever a line holds, its alert arrives, and its mail is one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torture.fuzz import HEADERS, fuzz, judged

if TYPE_CHECKING:
    from pathlib import Path


def test_s1_s2_s3_hostile_lines_arrive_with_exactly_the_allowed_headers(tmp_path: Path) -> None:
    """Bounded; ``python tests/torture/fuzz.py`` does the same with 100,000 lines."""
    assert [] == fuzz(tmp_path, 200, seed=7)


def test_the_judge_of_mails_is_not_blind() -> None:
    """What it must find is found, or a clean run would mean nothing."""
    head = "".join(f"{name}: number 7\r\n" for name in HEADERS).replace(
        "Content-Type: number 7", "Content-Type: text/plain; charset=utf-8"
    )
    sound = f"{head}\r\nfine\r\n".encode()
    hostile = {
        "headers": f"Bcc: evil@example.com\r\n{head}\r\nfine\r\n".encode(),
        "beyond ASCII": sound.replace(b"fine", b"f\xc3\xafne"),
        "lone line end": sound.replace(b"fine", b"fi\nne"),
        "too long": sound.replace(b"fine", b"x" * 999),
        "long subject": sound.replace(b"Subject: ", b"Subject: " + b"word " * 40),
        "invisible": sound.replace(b"fine", b"fi\x1bne"),
    }

    assert ([], "7") == judged(sound)
    for what, payload in hostile.items():
        found, _ = judged(payload)
        assert any(what in one for one in found), (what, found)
