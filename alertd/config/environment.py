"""
What the environment overrides.

A variable that begins with ``ALERTD_`` and means nothing is refused: it is a misspelt setting, and
whoever set it believes that it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.config.errors import Finding, closest
from alertd.config.schema import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "ALERTD_"
PATH_VARIABLE = "ALERTD_CONFIG"


def variable(section: str, key: str) -> str:
    """Name the variable that overrides a key: ``ALERTD_EMAIL__PASSWORD``."""
    return f"{PREFIX}{section}__{key}".upper()


def overrides(environ: Mapping[str, str]) -> tuple[dict[str, dict[str, object]], list[Finding]]:
    """
    Collect what ``environ`` says instead of the file.

    Returns:
        By section and key; and a finding for every variable that means nothing.
    """
    known = {variable(section, key) for section, table in SECTIONS.items() for key in table.known}
    ours = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
    findings = [
        Finding((name,), f"unknown variable; {_meant(name, known)}")
        for name in ours
        if name not in known and name != PATH_VARIABLE
    ]
    meant = {name: text for name, text in ours.items() if name in known}
    if not meant:
        return {}, findings
    from alertd.config import overridable  # noqa: PLC0415 - slow, and hardly ever needed

    return overridable.read(meant), findings


def _meant(name: str, known: Iterable[str]) -> str:
    # Without what all of them have in common, or any two would look alike.
    close = closest(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
    if close:
        return f"did you mean {PREFIX}{close}?"
    return "only [email], [state] and [log] are set here, like ALERTD_EMAIL__PASSWORD"
