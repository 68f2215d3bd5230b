"""
A configuration file's bytes → the tables in them.

What is wrong with the bytes is the only error that comes alone: behind it there is nothing to see.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alertd.config.errors import ConfigError, reason_of
from alertd.core.escape import visible

if TYPE_CHECKING:
    from pathlib import Path

# Nobody writes more by hand, and /dev/zero has no end.
_LONGEST_FILE = 16 * 2**20
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# A table's name as tomllib writes it: ('rule', 'ssh').
_KEY = re.compile(r"\((?:'[^']*',? ?)+\)")
_TOML_REMEDIES = (
    ("Unescaped '\\'", "write regexes in single quotes: '\\d+'"),
    ("twice", "every table and key may stand there once: rename or join them"),
    ("overwrite", "every key may stand there once: remove one of them"),
    ("Duplicate", "every key may stand there once: remove one of them"),
    ("Expected newline", "a line holds one key and its value, and text stands in quotes"),
    ("Invalid value", "text stands in quotes"),
    ('Expected "\'"', "close it on the same line"),
    ("Unterminated", "close it on the same line"),
)


@dataclass(frozen=True, slots=True)
class File:
    """
    A configuration file that is TOML, whatever else it may be.

    Attributes:
        path: Where it was found.
        mode: The mode that its permissions are part of.
        tables: What it holds.  Not shown, because a password may be in it.
    """

    path: Path
    mode: int
    tables: dict[str, Any] = field(repr=False)

    @property
    def shown(self) -> str:
        """The path as errors show it."""
        return visible(str(self.path))

    @property
    def is_public(self) -> bool:
        """Everybody on this machine can read it."""
        return bool(self.mode & stat.S_IROTH)


def read(path: Path) -> File:
    """
    Read a configuration file.

    Raises:
        ConfigError: It cannot be read, or is not TOML.
    """
    shown = visible(str(path))
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigError(
            [f"{shown}: no such file; create it, or name another one with --config"],
            exit_code=os.EX_NOINPUT,
        ) from None
    except PermissionError:
        raise ConfigError(
            [f"{shown}: permission denied; make it readable for the user that runs alertd"],
            exit_code=os.EX_NOPERM,
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            [f"{shown}: cannot be read: {reason_of(error)}; name a file with --config"],
            exit_code=os.EX_NOINPUT,
        ) from None
    if len(content) > _LONGEST_FILE:
        raise ConfigError([f"{shown}: is longer than 16 MiB; is it a configuration file?"])
    try:
        # Editors on Windows put a byte order mark there.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise ConfigError(
            [f"{shown}:{line}:{column}: is not UTF-8; save the file as UTF-8 in your editor"]
        ) from None
    return File(path, mode, _parse(shown, text))


def _parse(shown: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        place = _TOML_PLACE.search(reason)
        reason = visible(_TOML_PLACE.sub("", reason))
        reason = _KEY.sub(lambda key: "[" + ".".join(re.findall(r"'(.*?)'", key[0])) + "]", reason)
        if place and place[1]:
            where = f"{shown}:{place[1]}:{place[2]}"
        else:
            where = f"{shown}:{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"
    except RecursionError:
        where, reason = shown, "is nested too deeply"
    except ValueError:
        # Python refuses to read integers of thousands of digits.
        where, reason = shown, "holds a number that is too long"
    remedy = next(
        (remedy for word, remedy in _TOML_REMEDIES if word in reason),
        "correct it: see https://toml.io",
    )
    raise ConfigError([f"{where}: {reason}; {remedy}"])
