"""``alertd completion``: a script that lets a shell complete alertd's words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alertd.cli.common import Commands, add_command, say

if TYPE_CHECKING:
    import argparse

DESCRIPTION = """\
Print a completion script for a shell:

  bash    alertd completion bash > /etc/bash_completion.d/alertd
  zsh     alertd completion zsh > /usr/local/share/zsh/site-functions/_alertd
  tcsh    alertd completion tcsh > /etc/profile.d/alertd.completion.csh
"""


def add(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "completion",
        run,
        summary="print a completion script for your shell",
        description=DESCRIPTION,
    )
    command.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # noqa: PLC0415 - for this command only

    from alertd.cli import parser  # noqa: PLC0415 - it knows this command

    say(shtab.complete(parser(), arguments.shell))
    return os.EX_OK
