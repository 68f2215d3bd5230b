"""
A busy log is rotated under a reader for a few seconds; ``rotate.py`` does it as long as wanted.

What is measured there, a rate of loss, depends on the machine; what is held here does not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from torture.rotate import LENGTH, Load, torture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r25_renamed_ten_times_a_second(tmp_path: Path, glob: str) -> None:
    """R1, R4, R25: nothing is lost, nothing comes twice, and no descriptors pile up."""
    outcome = asyncio.run(torture(tmp_path, Load("rename", 20_000, 10.0, 2.0, glob)))
    before, after = outcome.descriptors

    assert 10_000 < outcome.written
    assert 5 < outcome.rotations
    assert ([], 0) == (outcome.lost, outcome.twice)
    assert after - before < 64


@pytest.mark.needs("logrotate")
@pytest.mark.parametrize("glob", ["a.log", "*.log*"])
def test_r9_copied_and_emptied_by_logrotate(tmp_path: Path, glob: str) -> None:
    """R8, R9: what is lost is in no file, nothing comes twice, and a loss is reported."""
    outcome = asyncio.run(torture(tmp_path, Load("copytruncate", 20_000, 3.0, 2.0, glob)))

    assert 10_000 < outcome.written
    assert 1 < outcome.rotations
    assert set(outcome.lost) <= outcome.in_neither
    assert 0 == outcome.twice
    assert outcome.reported > 0 or len(outcome.lost) * LENGTH < 1024
