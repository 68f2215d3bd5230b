"""``alertd reload``: put a changed configuration to work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, add_config, ask, say

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Ask the running daemon to read its configuration again, and wait until it has.

All that can fail is done first: a configuration with an error changes nothing, and its errors are
told here.  Rules that mean the same as before keep their windows and cooldowns.
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "reload",
        run,
        summary="put a changed configuration to work",
        description=DESCRIPTION,
    )
    add_config(command)


def run(arguments: argparse.Namespace) -> int:
    """Ask for a reload."""
    answer = ask(arguments, "reload", timeout=120.0)
    if isinstance(answer, int):
        return answer
    warnings = answer.get("warnings")
    if isinstance(warnings, list):
        for warning in warnings:
            say(f"warning: {warning}")
    say(f"reloaded; {answer.get('rules')} rules at work")
    return os.EX_OK
