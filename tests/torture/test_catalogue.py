"""Every case of the catalogue names the tests that hold it, and those tests are there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from torture.catalogue import CASES, Case, chosen

ROOT = Path(__file__).parent.parent.parent
NUMBERS = {
    "R": [*range(1, 12), *range(13, 22), 23, 24, 25, 27],
    "L": [*range(1, 9), 10, 12, 13, 14],
    "F": [*range(1, 9), 10, 11, 12, 14],
    "C": [*range(1, 16), 17, 18],
    "T": [*range(1, 9), 10, 11],
    "G": range(1, 12),
    "M": [*range(1, 11), *range(12, 21), 22],
    "S": [*range(1, 13), 14, 15, 16, 19, 20, 21],
    "P": [*range(1, 12), 13],
    "N": range(1, 5),
}


@cache
def names_in(path: str) -> frozenset[str]:
    """Name the tests of a module that assert something or expect an error."""
    return frozenset(
        node.name
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_no_case_is_missing_and_none_is_there_twice() -> None:
    """The numbers are those of the catalogue as it was written."""
    expected = {f"{group}{number}" for group, numbers in NUMBERS.items() for number in numbers}

    assert expected == {case.id for case in CASES}
    assert len(expected) == len(CASES)


HELD = [case for case in CASES if case.tests]


def test_a_case_that_no_test_holds_says_why() -> None:
    """And no case says both."""
    assert all(bool(case.reason) != bool(case.tests) for case in CASES)


@pytest.mark.parametrize("case", HELD, ids=lambda case: f"{case.id} {case.fault}")
def test_case_is_held(case: Case) -> None:
    """By tests that exist."""
    for test in case.tests:
        path, _, name = test.partition("::")
        assert name in names_in(path), test


def test_at_least_120_cases_are_held() -> None:
    """A catalogue of excuses would be none."""
    assert 120 <= len(HELD)


def test_the_catalogue_prints_what_pytest_takes() -> None:
    """All of it, a group, or a case."""
    printed = subprocess.run(
        [sys.executable, ROOT / "tests" / "torture" / "catalogue.py", "C13", "N"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert chosen(["C13", "N"]) == printed
    assert "tests/test_live.py::test_a_second_daemon_is_refused" in printed
    assert set(printed) < set(chosen([]))


def test_every_promise_names_a_test_that_is_there() -> None:
    """The README's promises are worth what holds them."""
    section = (ROOT / "README.md").read_text().split("## What is promised")[1]
    promised, _, _ = section.partition("What is **not**")
    promises = re.findall(r"^- ", promised, re.MULTILINE)
    tests = re.findall(r"`([\w/]+\.py)::(test_\w+)`", promised)

    assert 10 <= len(promises) == len(tests)
    assert [] == [test for path, test in tests if test not in names_in(f"tests/{path}")]
