"""The layering: what computes touches nothing, what touches the world knows no neighbour."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import alertd

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(alertd.__file__).parent
CORE = sorted((PACKAGE / "core").rglob("*.py"))

# What the core may import.  Extend it with what only computes.
PURE = {
    "__future__",
    "abc",
    "array",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "codecs",
    "collections",
    "contextlib",
    "csv",
    "dataclasses",
    "datetime",
    "email",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "html",
    "hyperscan",
    "itertools",
    "json",
    "math",
    "msgspec",
    "operator",
    "re",
    "string",
    "struct",
    "textwrap",
    "types",
    "typing",
    "unicodedata",
    "warnings",
}
# What it may never import, so that nobody extends the list above with it: I/O, the loop, clocks,
# threads, the process, the log.
IMPURE = {
    "aiofiles",
    "aiosmtplib",
    "asyncio",
    "concurrent",
    "ctypes",
    "fcntl",
    "glob",
    "http",
    "importlib",
    "io",
    "logging",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "pydantic",
    "pydantic_settings",
    "queue",
    "random",
    "rich",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "smtplib",
    "socket",
    "sqlite3",
    "ssl",
    "structlog",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
    "watchfiles",
    "zoneinfo",
}
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}
CLOCKS = {"now", "today", "utcnow"}

# Which part imports which, besides the core.  Most touch one piece of the world and know no
# neighbour; what they exchange is introduced to them by the daemon.
PARTS: dict[str, set[str]] = {
    "ahead": set(),
    "config": set(),
    "control": set(),
    "deadline": set(),
    "logs": set(),
    "memory": set(),
    "smtp": set(),
    "state": set(),
    "systemd": set(),
    "tail": set(),
    # Between the outbox and the mail server it speaks in the values and errors of both.
    "delivery": {"smtp", "state"},
    "matchers": {"deadline", "tail"},
    "health": {"state"},
    "files": {"tail"},
    "replay": {"ahead", "files", "matchers", "tail"},
    "turns": set(),
    "watch": {"state", "tail", "turns"},
    "demo": {"control"},  # it starts the daemon, and asks it, as anyone else would
}
# These introduce the parts to each other, so they may know any; none of the parts knows them.
INTRODUCERS = {"__main__", "cli", "daemon"}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def runs(node: ast.AST) -> Iterator[ast.AST]:
    """Every node beneath, except for what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" == ast.unparse(child.test):
            continue
        yield child
        yield from runs(child)


def imports(path: Path) -> set[str]:
    """Dotted names of the modules that the file imports when it runs."""
    found: set[str] = set()
    for node in runs(parsed(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert 0 == node.level, f"{path}: relative import"
            assert node.module is not None
            # `from alertd import x` imports alertd.x
            if "alertd" == node.module:
                found.update(f"alertd.{alias.name}" for alias in node.names)
            else:
                found.add(node.module)
    return found


def part(path: Path) -> str:
    """The part of the package that the file belongs to: ``tail`` for ``alertd/tail/place.py``."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_no_import_is_both_pure_and_impure() -> None:
    assert set() == PURE & IMPURE


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_core_imports_only_what_computes(path: Path) -> None:
    """No I/O, no asyncio, no clock, no logging: that is what lets it have several drivers."""
    strangers = {
        name
        for name in imports(path)
        if not f"{name}.".startswith("alertd.core.") and name.partition(".")[0] not in PURE
    }

    assert set() == strangers


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_core_calls_nothing_that_touches_the_world(path: Path) -> None:
    """Neither a builtin that does I/O, nor a method that reads the clock."""
    calls = {
        ast.unparse(node.func)
        for node in runs(parsed(path))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS)
            or (isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS)
        )
    }

    assert set() == calls


def test_importing_the_core_brings_in_no_io() -> None:
    """Also what the core imports indirectly keeps to the rule, as far as the program can tell."""
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in CORE
    ]
    program = f"import sys; before = set(sys.modules); import {', '.join(modules)}\n"
    program += "print(*(set(sys.modules) - before))"

    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()

    assert "alertd.core.events" in loaded
    assert set() == {"asyncio", "logging", "socket", "sqlite3", "ssl", "structlog"} & set(loaded)


def test_importing_alertd_imports_nothing() -> None:
    """The package's front page is text; `alertd --version` pays for nothing else."""
    assert set() == imports(PACKAGE / "__init__.py")


def test_who_only_reads_a_file_needs_no_event_loop() -> None:
    """So ``alertd check`` looks into the logs and answers at once; who follows files has all."""
    program = "import sys, alertd.tail.content; print('asyncio' in sys.modules)\n"
    program += "from alertd.tail import Tailer; print(Tailer.__name__)\n"
    program += "import alertd.tail; print(hasattr(alertd.tail, 'Header'))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert [b"False", b"Tailer", b"False"] == done.stdout.split()


def test_every_part_has_its_place() -> None:
    """Whoever adds a module says above what it may know; nothing goes round in a circle."""
    parts = {part(path) for path in PACKAGE.rglob("*.py")} - {"__init__", "core"}

    assert parts == PARTS.keys() | INTRODUCERS
    assert len(PARTS) == len(list(TopologicalSorter(PARTS).static_order()))


@pytest.mark.parametrize("name", PARTS)
def test_part_knows_only_what_it_may(name: str) -> None:
    """All that a part imports of alertd is the core, itself, and what the table says."""
    known = {
        imported.split(".")[1]
        for path in PACKAGE.rglob("*.py")
        if part(path) == name
        for imported in imports(path)
        if imported.startswith("alertd.")
    }

    assert PARTS[name] == known - {"core", name}
