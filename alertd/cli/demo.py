"""``alertd demo``: the whole thing in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Show alertd at work, with nothing to set up: a log is written, mails are caught on a local port,
both are shown.  Takes a few seconds, and leaves nothing behind.

Needs the extra that brings a mail server to catch the mails: pip install 'alertd[demo]'
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands, "demo", run, summary="show the whole thing in a box", description=DESCRIPTION
    )
    command.add_argument(
        "--keep", action="store_true", help="leave the configuration, log and state behind"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from alertd.demo import run_demo  # noqa: PLC0415 - brings a mail server

    return run_demo(keep=arguments.keep)
