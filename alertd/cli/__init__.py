"""
Arguments, exit codes, printing.

Every command is a module here with two functions: ``add`` describes its arguments, ``run`` does it
and returns a sysexits code.  Nothing is decided here that a program could not also want to know.

Trap: starting must be quick, also for ``--help``.  So a command is imported, and its arguments are
described, only where it is the one that is called, and it imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from alertd import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = (
    "run",
    "check",
    "test",
    "reload",
    "status",
    "outbox",
    "replay",
    "tune",
    "explain",
    "send-test",
    "demo",
    "completion",
)

DESCRIPTION = """\
alertd watches log files and e-mails you when something happens too often.

  first time     alertd demo                 the whole thing in a box, nothing to set up
  set up         alertd check                is the configuration right, and what does it mean?
                 alertd test                 do the rules do what their tests expect?
                 alertd send-test            does the mail server take our mail?
                 alertd replay               what would it have said about old logs?
                 alertd tune                 which limit would have been right for them?
  at work        alertd run                  the daemon, in the foreground (systemd starts it)
                 alertd reload               put a changed configuration to work
                 alertd status               what is the daemon doing?
                 alertd outbox               what has not been delivered, and why?
"""

EPILOG = """\
The configuration is /etc/alertd/alertd.toml, or $ALERTD_CONFIG, or what --config says.
Exit codes are those of sysexits.h: 0 all is well, 64 wrong usage, 66 no such file, 69 no daemon or
no mail server, 70 a bug of ours, 73-74 cannot write, 75 try again later, 77 no permission, 78 the
configuration is wrong.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do what the command line says.

    Args:
        arguments: The words after ``alertd``; by default those of this process.

    Returns:
        A sysexits code.
    """
    words = sys.argv[1:] if arguments is None else [*arguments]
    parsed = _parsed(words)
    try:
        return int(parsed.run(parsed))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output (`head`, say) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_OK


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Understand the words; files may also stand behind options that stand behind others."""
    root = parser(words[0] if words else "")
    parsed, rest = root.parse_known_args(words)
    if rest and (not hasattr(parsed, "paths") or any(word.startswith("-") for word in rest)):
        root.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        parsed.paths += map(Path, rest)
    return parsed


def parser(first: str = "") -> argparse.ArgumentParser:
    """
    Describe the command line; ``completion`` needs that too.

    Args:
        first: The first word of it.  If it is a command, the others are left out.
    """
    root = _Parser(
        prog="alertd",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"alertd {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in () if first == "--version" else (first,) if first in COMMANDS else COMMANDS:
        import_module(f"{__name__}.{command.replace('-', '_')}").add(commands)
    return root


class _Parser(argparse.ArgumentParser):
    """Exits as sysexits wants it, not with argparse's 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words, and where to look."""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: error: {message}; see {self.prog} --help\n")
