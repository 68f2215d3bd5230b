"""A bounded number of the model's programs; ``model`` runs thousands of them by hand."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from torture.model import judged

PROGRAMS = int(os.environ.get("ALERTD_MODELS", "120"))
BLOCK = 12


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(0, PROGRAMS, BLOCK))
def test_whatever_happens_each_line_is_told_once(first: int) -> None:
    """Rotations, kills, reloads, clocks, full disks and failing servers, in any order at once."""
    total: Counter[str] = Counter()
    for seed in range(first, first + BLOCK):
        _, found, steps, seen = judged(seed)
        total += seen
        assert [] == found, (seed, steps)

    assert total["alerts"] > total["lines nobody could read"]
    assert total["killed"] > 5
    assert total["mails"] > 50
