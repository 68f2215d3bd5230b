"""How tests let something happen between two steps of a look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import pytest


def before_first(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, happens: Callable[[], None]
) -> list[str]:
    """Let something happen just before a function is called for the first time."""
    called: list[str] = []
    function = getattr(module, name)

    def first(*args: Any, **more: Any) -> Any:
        if not called:
            called.append(name)
            happens()
        return function(*args, **more)

    monkeypatch.setattr(module, name, first)
    return called
