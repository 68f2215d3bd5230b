"""What every test of the tailer leaves behind: nothing."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from alertd.tail import Tailer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close each tailer at the end of its test, and let none of its files stay open then."""
    made: list[Tailer] = []
    make = Tailer.__init__

    def remembered(tailer: Tailer, *args: Any, **more: Any) -> None:
        made.append(tailer)
        make(tailer, *args, **more)

    async def close() -> None:
        for tailer in made:
            await tailer.close()

    monkeypatch.setattr(Tailer, "__init__", remembered)
    before = _regular_files()
    yield
    asyncio.run(close())

    assert before == _regular_files()


def _regular_files() -> list[str]:
    """Return what regular files this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - these are strings
        path = f"/proc/self/fd/{name}"
        if os.path.isfile(path):  # noqa: PTH113
            found.append(os.readlink(path))  # noqa: PTH115
    return sorted(found)
