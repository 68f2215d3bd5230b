"""What every test may rely on."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from living import Mailbox, mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How long one example takes says more about what else the machine does than about the code.
settings.register_profile("alertd", deadline=None)
settings.load_profile("alertd")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "needs(program, …): skip where one of these programs is missing; with CI set, fail.",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = [
        program
        for marker in item.iter_markers("needs")
        for program in marker.args
        if shutil.which(program) is None
    ]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    """A mail server that takes everything."""
    with mailbox() as box:
        yield box


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory for logs."""
    directory = tmp_path / "logs"
    directory.mkdir()
    return directory
